"""A run that its job puts off: nothing is used up, nothing is forgotten, and it is told truly."""

import asyncio
from datetime import timedelta
from typing import Any

from sereno import Client, RunContext, Snooze, job, retry
from sereno.testing import run_job

from .node import Eye, running

Run = RunContext[dict[str, Any]]
ATTEMPTS = "SELECT attempt, state, error, traceback FROM sereno.attempt ORDER BY attempt"


def twice_too_early(run: Run) -> None:
    """Put itself off twice, then fail, in a process of its own too."""
    run.log.info("attempt %s", run.attempt)
    if run.attempt <= 2:
        run.checkpoint(run.attempt)
        raise Snooze("1ms", "the file is not there")
    raise ValueError(f"as ever, after {run.saved}")


async def test_it_uses_up_no_attempt_in_any_executor(database: str, eye: Eye) -> None:
    async def early(run: Run) -> None:
        twice_too_early(run)

    rule = retry(2, delay="0s")
    jobs = [
        job("t.loop", retry=rule)(early),
        job("t.thread", retry=rule)(twice_too_early),
        job("t.process", retry=rule, executor="process")(twice_too_early),
    ]
    for one in jobs:
        async with running(database, one):
            row = await eye.ran(one.name)
        assert (row["state"], row["attempt"]) == ("failed", 4), one.name
        assert row["error"] == "ValueError: as ever, after 2"
        attempts = await eye.rows(ATTEMPTS)
        assert [a[1] for a in attempts] == ["snoozed", "snoozed", "failed"]
        assert attempts[0][2].startswith("until 20")
        assert attempts[0][2].endswith(" UTC: the file is not there")
        assert attempts[0][3] is None
        lines = await eye.rows("SELECT attempt, message FROM sereno.run_log ORDER BY attempt")
        assert lines == [(n, f"attempt {n}") for n in range(1, 5)]
        counted = "SELECT retried = 1 AND failed = 1 FROM sereno.job_stat WHERE job = $1"
        await eye.until(counted, one.name)
        await eye.value("DELETE FROM sereno.run")


async def test_it_waits_through_a_restart_until_its_instant_and_nobody_is_told_of_a_failure(
    database: str, eye: Eye
) -> None:
    @job("t.later", timeout="10s")
    async def later(run: Run) -> str:
        if run.attempt == 1:
            raise Snooze(run.now() + timedelta(hours=1))
        return "done"

    async with running(database, later) as first:
        run_id = await eye.enqueue("t.later")
        told = await first.finished("t.later", state="queued")
    assert told["snoozed"]
    row = (
        "SELECT state, error, node, run_at > now() + interval '55 m' FROM sereno.run WHERE id = $1"
    )
    assert await eye.rows(row, run_id) == [("queued", None, None, True)]
    soon = "UPDATE sereno.run SET run_at = clock_timestamp() + interval '1 s' WHERE id = $1"
    until = await eye.value(f"{soon} RETURNING run_at", run_id)
    async with running(database, later):
        over = await eye.over(run_id)
    assert (over["state"], over["attempt"], over["result"]) == ("succeeded", 2, '"done"')
    assert over["started_at"] >= until


async def test_what_is_too_long_or_no_time_fails_the_run_with_a_sentence(
    database: str, eye: Eye
) -> None:
    async def too_long(run: Run) -> None:
        raise Snooze("31d")

    async def no_time(run: Run) -> None:
        raise Snooze("soon")

    jobs = [job("t.long", retry=3)(too_long), job("t.no", retry=1)(no_time)]
    async with running(database, *jobs):
        long, no = await eye.ran("t.long"), await eye.ran("t.no")
    assert (long["state"], long["attempt"]) == ("failed", 1)
    assert long["error"].startswith("it would put itself off for over 30d since its attempt of 20")
    assert no["state"] == "failed"
    assert "soon" in no["error"]


async def test_a_job_that_was_told_to_stop_has_stopped_whatever_it_raises(
    database: str, eye: Eye
) -> None:
    @job("t.stopped", timeout="50ms")
    async def stopped(run: Run) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise Snooze("1h")

    async with running(database, stopped):
        row = await eye.ran("t.stopped")
    assert (row["state"], row["attempt"]) == ("timed_out", 1)
    assert row["error"] == "it took longer than its timeout of 0:00:00.050000"


async def test_a_run_that_is_put_off_can_be_cancelled(database: str, eye: Eye) -> None:
    @job("t.later")
    async def later(run: Run) -> None:
        raise Snooze("1h")

    async with running(database, later) as node:
        run_id = await eye.enqueue("t.later")
        await node.finished("t.later", state="queued")
        async with Client.open(database) as client:
            await client.cancel(run_id)
        row = await eye.over(run_id)
    assert row["state"] == "cancelled"


async def test_a_test_of_a_job_meets_its_snoozes_as_waits() -> None:
    ran = await run_job(job("t.thread", retry=retry(2, delay="5s"))(twice_too_early))

    assert ran.state == "failed"
    assert [w.total_seconds() for w in ran.waits] == [0.001, 0.001, 5]
