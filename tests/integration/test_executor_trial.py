"""Every executor of the kernel, and one of a plugin, keeps what executors promise."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sereno import Executor, InProcess, hookimpl
from sereno.testing import ExecutorTrial, executor_promises

OWN: dict[str, dict[str, Any]] = {
    "async": {"plain": False},
    "thread": {"settings": {"threads": 2}, "capacity": 2},
    "process": {"settings": {"processes": 2}, "capacity": 2},
}


def bringing(**executors: Executor) -> Any:
    """Return a plugin that brings these executors."""

    @hookimpl
    def sereno_register_executors() -> dict[str, Executor]:
        return executors

    return SimpleNamespace(__name__="bringing", sereno_register_executors=sereno_register_executors)


async def keeps_its_promises(trial: ExecutorTrial) -> None:
    async with trial:
        for promise in executor_promises():
            try:
                await promise(trial)
            except AssertionError as error:
                pytest.fail(f"{trial.executor}: {promise}: {error}")


@pytest.mark.parametrize("executor", OWN)
async def test_an_executor_of_the_kernel_keeps_its_promises(
    executor: str, database: str, tmp_path: Path
) -> None:
    await keeps_its_promises(ExecutorTrial(database, executor, tmp_path, **OWN[executor]))


@pytest.mark.parametrize("plain", [True, False])
async def test_warm_children_of_a_plugins_executor_keep_its_promises(
    plain: bool, database: str, tmp_path: Path
) -> None:
    plugin = bringing(warm=InProcess(2, warm=True))
    trial = ExecutorTrial(database, "warm", tmp_path, plugins=[plugin], plain=plain, capacity=2)
    await keeps_its_promises(trial)


async def test_a_warm_child_works_on_until_it_is_told_to_stop(
    database: str, tmp_path: Path
) -> None:
    plugin = bringing(warm=InProcess(1, warm=True))
    trial = ExecutorTrial(database, "warm", tmp_path, plugins=[plugin], capacity=1)

    def pid(notes: Path) -> str:
        return notes.read_text().splitlines()[0].partition('"pid": ')[2]

    async with trial:
        first, second, failed = [
            (await trial.ended(name))[1] for name in ("succeeds", "speaks", "fails")
        ]
        assert pid(first) == pid(second) == pid(failed)
        stopped = trial.notes()
        run = await trial.enqueue("stays", stopped)
        await trial.begun(stopped)
        assert pid(stopped) == pid(first)
        await trial.cancel(run)
        assert (await trial.over(run)).state == "cancelled"
        _, after = await trial.ended("succeeds")
        assert pid(after) != pid(first)


class Late(InProcess):
    """An executor that begins nothing: it breaks its word."""

    async def execute(self, job: Any, context: Any, policies: Any) -> Any:
        return {"run": context.run_id, "attempt": 1, "text": "ñ/☀"}


async def test_an_executor_that_breaks_its_word_is_found_out(database: str, tmp_path: Path) -> None:
    trial = ExecutorTrial(database, "late", tmp_path, plugins=[bringing(late=Late(1))])
    async with trial:
        with pytest.raises(AssertionError):
            await executor_promises()[0](trial)


async def test_children_may_be_nicer_than_their_node(database: str, tmp_path: Path) -> None:
    plugin = bringing(warm=InProcess(1, warm=True, nice=3))
    trial = ExecutorTrial(database, "warm", tmp_path, plugins=[plugin], capacity=1)
    async with trial:
        notes = trial.notes()
        run = await trial.enqueue("stays", notes)
        await trial.begun(notes)
        pid = json.loads(notes.read_text().splitlines()[0])["pid"]
        mine = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, mine + 3)
        await trial.cancel(run)
        assert (await trial.over(run)).state == "cancelled"
