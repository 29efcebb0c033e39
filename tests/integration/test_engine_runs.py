"""What becomes of a run: of its slot, its words and outcome, its retries and what follows it."""

import asyncio
import logging
import os
import threading
from datetime import datetime, timedelta
from typing import Any

from sereno import (
    ConfigurationError,
    FinalError,
    RunCancelled,
    RunContext,
    every,
    job,
    retry,
    schedule,
)
from sereno.testing import Signals

from .node import Eye, running

Run = RunContext[dict[str, Any]]


def unset(run: Run) -> None:
    """Fail in a process of its own."""
    raise ConfigurationError("plugins.t.url is not set")


def user_exists(run: Run) -> None:
    """Fail for good, in a process of its own."""
    raise FinalError("user 'ana' exists already")


def host_away(run: Run) -> None:
    """Fail with what another attempt may mend, in a process of its own."""
    raise ConnectionResetError("the host is away")


def refused(run: Run) -> None:
    """Fail with what no attempt mends, in a process of its own."""
    raise PermissionError("not for you")


def dies(run: Run) -> None:
    """End the process that it is in."""
    os._exit(3)


# --- slots ------------------------------------------------------------------------------------


async def test_slots_fire_at_their_instants_each_once(database: str, eye: Eye) -> None:
    began: list[tuple[datetime, datetime]] = []

    # On a loaded machine a slot may begin late: it is not to be coalesced or skipped for that.
    @job("t.tick", schedule=every("200ms"), catch_up="all", overlap="allow")
    async def tick(run: Run) -> None:
        assert run.slot is not None
        began.append((run.slot, run.now()))

    async with running(database, tick) as node:
        for _ in range(8):
            await node.finished("t.tick")
        last = max(slot for slot, _ in began)
        await eye.until(  # what is caught up waits for its turn, which later ones need not
            "SELECT bool_and(state = 'succeeded') FROM sereno.run WHERE slot <= $1", last
        )
    slots = sorted(slot for slot, _ in began if slot <= last)
    assert slots == [slots[0] + n * timedelta(milliseconds=200) for n in range(len(slots))]
    assert all(slot <= now for slot, now in began)
    ran = await eye.rows(
        "SELECT r.slot, r.state, s.verdict FROM sereno.run r JOIN sereno.slot s ON s.run_id = r.id"
        " WHERE r.slot <= $1 ORDER BY r.slot",
        last,
    )
    assert [r[0] for r in ran] == slots
    assert {r[1:] for r in ran} == {("succeeded", "ran")}


async def test_what_a_run_says_is_kept(database: str, eye: Eye) -> None:
    @job("t.talks")
    async def talks(run: Run) -> dict[str, int]:
        run.log.info("hello %s", "there")
        logging.getLogger("library").warning("from a library")
        run.progress(2, 5, "half")
        run.checkpoint({"page": 2})
        return {"rows": 3}

    async with running(database, talks):
        row = await eye.ran("t.talks")
    assert (row["state"], row["result"], row["error"]) == ("succeeded", '{"rows": 3}', None)
    lines = await eye.rows("SELECT line, level, message FROM sereno.run_log ORDER BY line")
    assert lines == [(0, "INFO", "hello there"), (1, "WARNING", "from a library")]


async def test_progress_and_checkpoint_are_durable_once_flushed(database: str, eye: Eye) -> None:
    told, go = Signals(), asyncio.Event()

    @job("t.talks")
    async def talks(run: Run) -> None:
        run.progress(2, 5, "half")
        run.checkpoint({"page": 2})
        await run.flush()
        told.say("flushed")
        await go.wait()

    async with running(database, talks):
        await eye.enqueue("t.talks")
        await told.wait("flushed")
        kept = await eye.rows("SELECT done, total, note, checkpoint FROM sereno.run_progress")
        assert kept == [(2.0, 5.0, "half", '{"page": 2}')]
        go.set()


async def test_an_error_is_kept_with_its_traceback(database: str, eye: Eye) -> None:
    @job("t.bad")
    async def bad(run: Run) -> None:
        raise ValueError("no good")

    async with running(database, bad):
        row = await eye.ran("t.bad")
    assert (row["state"], row["error"]) == ("failed", "ValueError: no good")
    assert "in bad\n" in row["traceback"]
    assert 'raise ValueError("no good")' in row["traceback"]


async def test_a_job_that_takes_too_long_is_stopped_and_timed_out(database: str, eye: Eye) -> None:
    @job("t.slow", timeout="100ms")
    async def slow(run: Run) -> None:
        await asyncio.Event().wait()

    async with running(database, slow):
        row = await eye.ran("t.slow")
    assert row["state"] == "timed_out"
    assert row["error"] == "it took longer than its timeout of 0:00:00.100000"


async def test_a_thread_is_stopped_at_its_next_progress(database: str, eye: Eye) -> None:
    stopped = Signals()

    @job("t.thread", timeout="1s")
    def thread(run: Run) -> None:
        try:
            while True:
                run.progress(1)
                threading.Event().wait(0.01)
        except RunCancelled:
            stopped.say("stopped")
            raise

    async with running(database, thread):
        row = await eye.ran("t.thread")
        await stopped.wait("stopped")
    assert row["state"] == "timed_out"


async def test_a_thread_s_lines_and_result_are_kept(database: str, eye: Eye) -> None:
    @job("t.thread")
    def thread(run: Run) -> str:
        logging.getLogger("library").error("from a thread")
        return threading.current_thread().name

    async with running(database, thread):
        row = await eye.ran("t.thread")
    assert row["result"] == f'"t.thread run {row["id"]}"'
    assert await eye.rows("SELECT message FROM sereno.run_log") == [("from a thread",)]


# --- retries and chains -----------------------------------------------------------------------


async def test_a_failure_is_tried_again_and_each_attempt_is_kept(database: str, eye: Eye) -> None:
    @job("t.twice", retry={"attempts": 3, "delay": "10ms"})
    async def twice(run: Run) -> int:
        if run.attempt < 3:
            raise ValueError(f"attempt {run.attempt}")
        return run.attempt

    async with running(database, twice):
        row = await eye.ran("t.twice")
    assert (row["state"], row["attempt"], row["result"], row["error"]) == (
        *("succeeded", 3, "3"),
        None,
    )
    kept = await eye.rows("SELECT attempt, state, error FROM sereno.attempt ORDER BY attempt")
    assert kept == [(n, "failed", f"ValueError: attempt {n}") for n in (1, 2)]


async def test_a_retry_survives_a_restart_and_keeps_its_instant(database: str, eye: Eye) -> None:
    @job("t.twice", retry={"attempts": 2, "delay": "1s", "jitter": 0.0})
    async def twice(run: Run) -> Any:
        if run.attempt == 1:
            run.checkpoint(["kept"])
            raise ValueError("not yet")
        return run.saved

    async with running(database, twice) as first:
        run_id = await eye.enqueue("t.twice")
        await first.finished("t.twice", state="queued")
    waits = await eye.value("SELECT run_at FROM sereno.run WHERE id = $1", run_id)
    async with running(database, twice):
        row = await eye.over(run_id)
    assert (row["state"], row["attempt"], row["result"]) == ("succeeded", 2, '["kept"]')
    assert row["started_at"] >= waits


async def test_the_last_failure_is_final(database: str, eye: Eye) -> None:
    @job("t.bad", retry={"attempts": 2, "delay": "0s"}, timeout="50ms")
    async def bad(run: Run) -> None:
        await asyncio.Event().wait()

    async with running(database, bad):
        row = await eye.ran("t.bad")
    assert (row["state"], row["attempt"]) == ("timed_out", 2)


async def test_a_wrong_setting_is_final_for_no_attempt_can_mend_it(database: str, eye: Eye) -> None:
    async def fails(run: Run) -> None:
        raise ConfigurationError("plugins.t.url is not set")

    def fails_too(run: Run) -> None:
        raise ConfigurationError("plugins.t.url is not set")

    patient = retry(attempts=5, delay="1h")
    jobs = [
        job("t.loop", retry=patient)(fails),
        job("t.thread", retry=patient)(fails_too),
        job("t.process", retry=patient, executor="process")(unset),
    ]
    async with running(database, *jobs):
        for one in jobs:
            row = await eye.ran(one.name)
            assert (row["state"], row["attempt"]) == ("failed", 1)
            assert row["error"] == "ConfigurationError: plugins.t.url is not set"


async def test_what_a_job_says_is_final_is_not_tried_again_in_any_executor(
    database: str, eye: Eye
) -> None:
    class UserExistsError(FinalError):
        """One of the job's own."""

    async def fails(run: Run) -> None:
        raise UserExistsError("user 'ana' exists already")

    def fails_too(run: Run) -> None:
        raise FinalError("user 'ana' exists already")

    patient = retry(attempts=5, delay="1h")
    jobs = [
        job("t.loop", retry=patient)(fails),
        job("t.thread", retry=patient)(fails_too),
        job("t.process", retry=patient, executor="process")(user_exists),
    ]
    async with running(database, *jobs):
        for one in jobs:
            row = await eye.ran(one.name)
            assert (row["state"], row["attempt"]) == ("failed", 1)
            assert row["error"].endswith("Error: user 'ana' exists already")
            assert row["traceback"]


async def test_which_errors_are_tried_again_is_the_rule_s_to_say_in_any_executor(
    database: str, eye: Eye
) -> None:
    async def away(run: Run) -> None:
        host_away(run)

    async def not_for_you(run: Run) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(refused, run))

    rule = retry(3, delay="0s", on=(OSError, "sereno.RunError"), final="PermissionError")
    again = [
        job("t.again_loop", retry=rule)(away),
        job("t.again_thread", retry=rule)(host_away),
        job("t.again_process", retry=rule, executor="process")(host_away),
        job("t.again_dead", retry=rule, executor="process")(dies),
    ]
    final = [
        job("t.final_loop", retry=rule)(not_for_you),
        job("t.final_thread", retry=rule)(refused),
        job("t.final_process", retry=rule, executor="process")(refused),
        job("t.final_dead", retry=retry(3, delay="0s", on="OSError"), executor="process")(dies),
    ]
    async with running(database, *again, *final):
        for one in [*again, *final]:
            row = await eye.ran(one.name)
            assert (row["state"], row["attempt"]) == ("failed", 3 if one in again else 1), one.name


async def test_an_attempt_that_took_too_long_counts_as_a_timeout_error(
    database: str, eye: Eye
) -> None:
    async def slow(run: Run) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError("what it raises as it is stopped")

    rules = {
        "t.on": (retry(2, delay="0s", on=TimeoutError), 2),
        "t.not_on": (retry(2, delay="0s", on=KeyError), 1),
        "t.final": (retry(2, delay="0s", final="TimeoutError"), 1),
        "t.plain": (retry(2, delay="0s"), 2),
    }
    jobs = [job(name, timeout="50ms", retry=rule)(slow) for name, (rule, _) in rules.items()]
    async with running(database, *jobs):
        for name, (_, attempts) in rules.items():
            row = await eye.ran(name)
            assert (row["state"], row["attempt"]) == ("timed_out", attempts), name


async def test_a_schedule_s_own_policies_in_the_database_name_errors(
    database: str, eye: Eye
) -> None:
    @job(
        "t.bad",
        retry=1,
        schedule=schedule(every("200ms"), retry={"attempts": 2, "delay": "0s", "on": "KeyError"}),
    )
    async def bad(run: Run) -> None:
        if run.attempt == 1:
            raise KeyError("once")
        raise ValueError("and then another")

    async with running(database, bad) as node:
        await node.finished("t.bad", state="failed")
    rows = await eye.rows("SELECT attempt, error FROM sereno.run WHERE state = 'failed'")
    assert rows[0] == (2, "ValueError: and then another")
    kept = await eye.value(
        "SELECT policies->'retry'->>'on' FROM sereno.run WHERE attempt > 0 LIMIT 1"
    )
    assert kept == '["KeyError"]'


async def test_a_chain_gets_its_upstream_s_result_and_a_fan_in_all_of_them(
    database: str, eye: Eye
) -> None:
    @job("t.first")
    async def first(run: Run) -> int:
        return 1

    @job("t.second", after="t.first")
    async def second(run: Run) -> int:
        return run.upstream["t.first"] + 1

    @job("t.join", after=["t.first", "t.second"])
    async def join(run: Run) -> dict[str, Any]:
        return dict(run.upstream)

    async with running(database, first, second, join) as node:
        await eye.enqueue("t.first")
        found = await node.finished("t.join")
    assert found["result"] == b'{"t.first":1,"t.second":2}'


async def test_an_outcome_that_the_database_refuses_fails_its_run_and_holds_up_no_other(
    database: str, eye: Eye
) -> None:
    @job("t.first")
    async def first(run: Run) -> None:
        pass

    @job("t.second", after="t.first")
    async def second(run: Run) -> None:
        pass

    @job("t.other")
    async def other(run: Run) -> None:
        pass

    async with running(database, first, second, other) as node:
        await eye.enqueue("t.first")
        await eye.until("SELECT count(*) = 2 FROM sereno.run WHERE state = 'succeeded'")
        await eye.connection.execute(
            "ALTER TABLE sereno.run ADD CONSTRAINT odd CHECK (cause <> 'chain') NOT VALID"
        )
        ids = [await eye.enqueue(name) for name in ("t.first", "t.other", "t.other")]
        rows = [await eye.over(run_id) for run_id in ids]
        await node.finished("t.first", state="failed")
    assert [r["state"] for r in rows] == ["failed", "succeeded", "succeeded"]
    assert "could not be kept in full" in rows[0]["error"]
