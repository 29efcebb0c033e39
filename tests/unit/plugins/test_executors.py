"""What a plugin registers with sereno_register_executors, and what is wrong with it."""

from typing import Any

import pytest

from sereno import (
    ConfigurationError,
    DeclarationError,
    Executor,
    InProcess,
    RunContext,
    hookimpl,
    job,
)
from sereno.model.errors import PluginError
from sereno.model.policies import known_executors
from sereno.plugins import collect, load_plugins
from sereno.settings import JobSettings, Settings
from sereno.testing import declared


class Elsewhere(Executor):
    """An executor whose places are other nodes'."""

    capacity = 0

    async def execute(self, job: Any, context: Any, policies: Any) -> Any: ...


def bringing(answer: Any, *jobs: Any) -> Any:
    class Planted:
        @staticmethod
        @hookimpl
        def sereno_register_executors() -> Any:
            return answer

        @staticmethod
        @hookimpl
        def sereno_register_jobs() -> Any:
            return jobs

    return Planted


@job("shop.far", executor="farm")
def far(run: RunContext) -> None: ...


def test_a_job_may_ask_for_an_executor_of_any_plugin() -> None:
    planted = [("a", bringing({}, far)), ("b", bringing({"farm": Elsewhere()}))]
    found = collect(load_plugins(Settings(), extra=planted, entry_points=False), Settings())
    assert {r.state for r in found.records.values()} == {"loaded"}
    assert found.jobs["shop.far"].policies.executor == "farm"
    assert set(found.executors) == {"farm"}
    assert "farm" in known_executors()


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ([Elsewhere()], "no mapping of names to executors"),
        ({"Far Away": Elsewhere()}, "the executor 'Far Away' needs a name of lower-case letters"),
        ({5: Elsewhere()}, "the executor 5 needs a name"),
        ({"": Elsewhere()}, "the executor '' needs a name"),
        ({"thread": Elsewhere()}, "the executor 'thread' is the kernel's own"),
        ({"far": Elsewhere}, "derive it from sereno.Executor"),
        ({"far": InProcess(-1)}, "its capacity is -1"),
        ({"far": InProcess(True)}, "its capacity is True"),
        ({f"e{n}": Elsewhere() for n in range(101)}, "it brings 101 executors"),
    ],
)
def test_what_is_no_executor_fails_its_plugin(answer: Any, fault: str) -> None:
    with pytest.raises((PluginError, DeclarationError), match=fault):
        declared(bringing(answer))


def test_a_name_that_another_plugin_has_fails_the_second_alone() -> None:
    planted = [("one", bringing({"mill": Elsewhere()})), ("two", bringing({"mill": Elsewhere()}))]
    found = collect(load_plugins(Settings(), extra=planted, entry_points=False), Settings())
    assert [r.state for r in found.records.values()] == ["loaded", "failed"]


def test_an_executor_that_nobody_brings_fails_the_plugin_of_its_job() -> None:
    @job("shop.nowhere", executor="nirvana")
    def nowhere(run: RunContext) -> None: ...

    with pytest.raises(PluginError, match=r"job 'shop\.nowhere': unknown executor 'nirvana'"):
        declared(bringing({}, nowhere))


def test_one_that_settings_name_and_nobody_brings_stops_the_start() -> None:
    chosen = Settings(jobs={"shop.far": JobSettings(policies={"executor": "nirvana"})})
    planted = [("a", bringing({"farm": Elsewhere()}, far))]
    with pytest.raises(ConfigurationError, match="unknown executor 'nirvana'"):
        collect(load_plugins(chosen, extra=planted, entry_points=False), chosen)


def test_settings_that_give_a_job_an_executor_which_cannot_run_it_stop_the_start() -> None:
    @job("shop.within")
    def within(run: RunContext) -> None: ...

    chosen = Settings(jobs={"shop.within": JobSettings(policies={"executor": "kids"})})
    planted = [("a", bringing({"kids": InProcess(1)}, within))]
    with pytest.raises(ConfigurationError, match="executor 'kids' finds its function by name"):
        collect(load_plugins(chosen, extra=planted, entry_points=False), chosen)


def test_children_are_refused_a_function_that_they_could_not_find() -> None:
    @job("shop.inside", executor="kids")
    def inside(run: RunContext) -> None: ...

    with pytest.raises(PluginError, match="executor 'kids' finds its function by name"):
        declared(bringing({"kids": InProcess(1)}, inside))
