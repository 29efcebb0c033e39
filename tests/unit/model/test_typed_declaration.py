"""What a function says of its run, and a schedule of its params, is held against the job's own."""

from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import msgspec
import pytest

from sereno import DeclarationError, Job, RunContext, every, job, schedule
from sereno.model.policies import POLICY_NAMES
from sereno.model.policy_types import JobPolicies, RetryTable
from sereno.model.retry import Retry
from sereno.plugins import load_plugins
from sereno.settings import Settings

from ...planting import plant

declared: Any = job  # what follows is wrong on purpose, and a type checker would say so
V = TypeVar("V")


class Sync(msgspec.Struct):
    site: str = "rome"


class Wider(Sync):
    rows: int = 1


class Other(msgspec.Struct):
    day: int = 1


def test_type_checkers_know_the_policies_that_there_are() -> None:
    assert set(get_type_hints(JobPolicies)) == set(POLICY_NAMES)
    assert set(get_type_hints(RetryTable)) == set(Retry.__struct_fields__)


async def of_other(run: RunContext[Other]) -> None: ...


async def in_quotes(run: "RunContext[Other]") -> None: ...


@pytest.mark.parametrize("function", [of_other, in_quotes])
def test_a_run_of_other_params_is_refused_as_the_job_is_declared(function: Any) -> None:
    with pytest.raises(DeclarationError) as raised:
        declared("t.sync", params=Sync)(function)
    assert str(raised.value) == (
        f"job 't.sync': {function.__name__} takes RunContext[Other], and params is Sync; write "
        "RunContext[Sync]"
    )


def test_a_run_of_params_that_the_job_does_not_declare_is_refused() -> None:
    with pytest.raises(DeclarationError) as raised:
        declared("t.sync")(of_other)
    assert str(raised.value) == (
        "job 't.sync': of_other takes RunContext[Other], and the job declares no params; write "
        "params=Other"
    )


async def of_sync(run: RunContext[Sync]) -> None: ...


async def of_any(run: RunContext[Any]) -> None: ...


async def of_variable(run: RunContext[V]) -> None: ...


async def bare(run: RunContext) -> None: ...


async def of_dict(run: RunContext[dict[str, Any]]) -> None: ...


async def unknown(run: "RunContext[Nowhere]") -> None: ...  # type: ignore[name-defined]  # noqa: F821


async def nothing(run): ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize("function", [of_sync, of_any, of_variable, bare, unknown, nothing])
@pytest.mark.parametrize("params", [Sync, Wider])
def test_a_run_of_these_params_or_of_nobody_knows_which_is_taken(
    function: Any, params: Any
) -> None:
    assert declared("t.sync", params=params)(function).function is function


@pytest.mark.parametrize("function", [of_any, of_variable, bare, unknown, nothing, of_dict])
def test_a_job_without_params_takes_any_run(function: Any) -> None:
    assert isinstance(declared("t.sync")(function), Job)


def test_a_schedule_takes_its_params_as_a_value_of_the_struct() -> None:
    found: Any = job("t.sync", params=Sync, schedule=schedule(every("1h"), params=Sync("oslo")))(
        of_sync
    )
    assert found.schedules[0].params == {"site": "oslo"}


def test_a_schedule_s_params_that_do_not_fit_are_refused_as_the_job_is_declared() -> None:
    with pytest.raises(DeclarationError, match=r"^job 't.sync': unknown param 'day'; it takes"):
        declared("t.sync", params=Sync, schedule=schedule(every("1h"), params=Other()))(of_sync)
    labelled = schedule(every("1h"), label="oslo", params={"site": 3})
    with pytest.raises(DeclarationError, match=r"^schedule 't.sync@oslo': job 't.sync': params do"):
        declared("t.sync", params=Sync, schedule=labelled)(of_sync)


def test_what_is_wrong_in_a_plugin_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(
        tmp_path,
        "import msgspec\n"
        "from sereno import RunContext, job\n"
        "class A(msgspec.Struct): ...\n"
        "class B(msgspec.Struct): ...\n"
        "@job('t.a', params=A)\n"
        "def a(run: RunContext[B]): ...\n",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    reason = load_plugins(Settings()).records["planted"].reason
    assert "takes RunContext[B], and params is A; write RunContext[A] (" in reason
    assert reason.endswith(":5)")
