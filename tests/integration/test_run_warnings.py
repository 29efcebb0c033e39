"""What runs warn of: kept and counted once, however often it is written, and shown."""

import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sereno import FinalError, RunContext, job, retry
from sereno.engine.run_warnings import MAX_WARNING, MAX_WARNINGS, OTHERS
from sereno.model.run import RunWarning
from sereno.store import runs
from sereno.testing import Signals

from .node import Eye, running
from .run_scene import claimed, outcome, write
from .scene import NODE, OTHER, Scene, opened

Run = RunContext[dict[str, Any]]

KEPT = "SELECT attempt, message, times FROM sereno.run_warning WHERE run_id = $1 ORDER BY 1, number"
COUNT = "SELECT warnings FROM sereno.job_stat WHERE job = $1"


def warns_in_a_process(run: Run) -> None:
    """Warn from a process of its own."""
    warn(run)


def warn(run: Run) -> None:
    run.warn("2 rows without a caller")
    run.warn("the file is of yesterday")
    run.warn("2 rows without a caller")


async def test_what_a_job_warns_of_is_kept_counted_and_logged_in_any_executor(
    database: str, eye: Eye
) -> None:
    async def in_loop(run: Run) -> None:
        warn(run)

    jobs = [
        job("t.loop")(in_loop),
        job("t.thread")(warn),
        job("t.process", executor="process")(warns_in_a_process),
    ]
    async with running(database, *jobs):
        for one in jobs:
            row = await eye.ran(one.name)
            assert row["state"] == "succeeded", row["error"]
            found = await eye.rows(KEPT, row["id"])
            assert found == [(1, "2 rows without a caller", 2), (1, "the file is of yesterday", 1)]
            assert await eye.value(COUNT, one.name) == 3
            lines = "SELECT count(*) FROM sereno.run_log WHERE run_id = $1 AND level = 'WARNING'"
            assert await eye.value(lines, row["id"]) == 3


async def test_each_attempt_keeps_its_own_warnings(database: str, eye: Eye) -> None:
    @job("t.warns", retry=retry(attempts=2, delay="10ms"))
    async def warns(run: Run) -> None:
        run.warn(f"try {run.attempt}")
        if run.attempt == 1:
            raise ValueError("once")
        raise FinalError("twice")

    async with running(database, warns):
        row = await eye.ran("t.warns")
    assert (row["state"], row["attempt"]) == ("failed", 2)
    assert await eye.rows(KEPT, row["id"]) == [(1, "try 1", 1), (2, "try 2", 1)]
    assert await eye.value(COUNT, "t.warns") == 2


async def test_a_warning_is_there_while_its_run_goes_on(database: str, eye: Eye) -> None:
    go = threading.Event()

    @job("t.warns")
    def warns(run: Run) -> None:
        run.warn("still at it")
        go.wait(90)
        run.warn("still at it")

    async with running(database, warns):
        run_id = await eye.enqueue("t.warns")
        await eye.until("SELECT times = 1 FROM sereno.run_warning WHERE run_id = $1", run_id)
        go.set()
        await eye.over(run_id)
    assert await eye.rows(KEPT, run_id) == [(1, "still at it", 2)]
    assert await eye.value(COUNT, "t.warns") == 2


async def test_a_flush_makes_warnings_durable(database: str, eye: Eye) -> None:
    told, go = Signals(), Signals()

    @job("t.warns")
    async def warns(run: Run) -> None:
        run.warn("look")
        await run.flush()
        told.say("flushed")
        await go.wait("go", limit=45)

    async with running(database, warns):
        run_id = await eye.enqueue("t.warns")
        await told.wait("flushed", limit=45)
        assert await eye.rows(KEPT, run_id) == [(1, "look", 1)]
        go.say("go")
        await eye.over(run_id)
    assert await eye.value(COUNT, "t.warns") == 1


async def test_a_job_that_warns_for_ever_costs_rows_and_memory_to_a_bound(
    database: str, eye: Eye
) -> None:
    @job("t.warns")
    async def warns(run: Run) -> None:
        run.warn("x" * 10_000_000)
        run.warn("a\x00b \ud800")
        for n in range(5_000):
            run.warn(f"row {n}")

    async with running(database, warns):
        row = await eye.ran("t.warns")
    found = await eye.rows(KEPT, row["id"])
    assert len(found) == MAX_WARNINGS + 1
    assert found[-1] == (1, OTHERS, 5_000 - (MAX_WARNINGS - 2))
    assert all(len(message) <= MAX_WARNING + 100 for _, message, _ in found)
    assert found[1][1] == "a\\0b \\ud800"
    assert await eye.value(COUNT, "t.warns") == 5_002


async def test_threads_of_one_run_lose_no_warning(database: str, eye: Eye) -> None:
    @job("t.warns")
    def warns(run: Run) -> None:
        def many() -> None:
            for _ in range(500):
                run.warn("again")

        threads = [threading.Thread(target=many) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    async with running(database, warns):
        row = await eye.ran("t.warns")
    assert await eye.rows(KEPT, row["id"]) == [(1, "again", 4_000)]


async def test_only_a_text_is_a_warning(database: str, eye: Eye) -> None:
    @job("t.warns")
    async def warns(run: Run) -> None:
        run.warn(3)  # type: ignore[arg-type]

    async with running(database, warns):
        row = await eye.ran("t.warns")
    assert row["error"] == "TypeError: warn: 3 is no text"


# --- in the database --------------------------------------------------------------------------


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare("a")
        yield found


def warning(number: int, message: str, times: int = 1) -> RunWarning:
    return RunWarning(number=number, message=message, times=times)


async def test_what_is_written_again_is_counted_once(scene: Scene) -> None:
    claim = await claimed(scene)
    said = (claim.run_id, claim.attempt, claim.token, [warning(0, "x", 2), warning(1, "y")])
    for _ in range(2):
        await runs.write_warnings(scene.db, NODE, [said])
    assert await scene.value("SELECT warnings FROM sereno.job_stat") == 3
    last = (warning(0, "x", 5), warning(1, "y"), warning(2, "z"))
    for _ in range(2):  # its answer was lost
        await write(scene, outcome(claim, warnings=last))
    assert await scene.value("SELECT warnings FROM sereno.job_stat") == 7
    assert await scene.value("SELECT sum(times) FROM sereno.run_warning") == 7


async def test_who_owns_the_run_no_more_warns_of_nothing(scene: Scene) -> None:
    claim = await claimed(scene)
    said = (claim.run_id, claim.attempt, claim.token, [warning(0, "x")])
    await runs.write_warnings(scene.db, OTHER, [said])
    assert await write(scene, outcome(claim, warnings=(warning(0, "x"),)), node=OTHER) == set()
    assert await scene.value("SELECT count(*) FROM sereno.run_warning") == 0
    assert await scene.value("SELECT warnings FROM sereno.job_stat") == 0


async def test_warnings_go_with_their_run_and_stay_counted(scene: Scene) -> None:
    claim = await claimed(scene)
    await write(scene, outcome(claim, warnings=(warning(0, "x"),)))
    await scene.value("SELECT sereno.delete_runs(ARRAY[$1::bigint])", claim.run_id)
    assert await scene.value("SELECT count(*) FROM sereno.run_warning") == 0
    assert await scene.value("SELECT warnings FROM sereno.job_stat") == 1
