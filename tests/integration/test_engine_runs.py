"""What becomes of a run, whatever its job does."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from sereno import RunCancelled, RunContext, every, job, schedule
from sereno.engine.runlog import RunLogHandler
from sereno.store import runs
from sereno.testing import Signals

from .node import Eye, looking, running

Run = RunContext[dict[str, Any]]


@pytest.fixture
async def eye(database: str) -> AsyncIterator[Eye]:
    async with looking(database) as found:
        yield found


async def nothing(run: Run) -> None:
    """Do nothing."""


# --- slots ------------------------------------------------------------------------------------


async def test_slots_fire_at_their_instants_each_once(database: str, eye: Eye) -> None:
    began: list[tuple[datetime, datetime]] = []

    @job("t.tick", schedule=every("200ms"))
    async def tick(run: Run) -> None:
        assert run.slot is not None
        began.append((run.slot, run.now()))

    async with running(database, tick) as node:
        for _ in range(8):
            await node.finished("t.tick")
    slots = [slot for slot, _ in began]
    assert slots == [slots[0] + n * timedelta(milliseconds=200) for n in range(len(slots))]
    assert all(slot <= now for slot, now in began)
    ran = await eye.rows(
        "SELECT r.slot, r.state, s.verdict FROM sereno.run r JOIN sereno.slot s ON s.run_id = r.id"
        " WHERE r.state = 'succeeded' ORDER BY r.slot"
    )
    assert [r[0] for r in ran] == slots[: len(ran)]
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

    @job("t.thread", timeout="100ms")
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


# --- limits -----------------------------------------------------------------------------------


class Gauge:
    """Counts how many run at once, and lets them end."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.said = Signals()
        self.go = asyncio.Event()

    async def work(self, run: Run) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        self.said.say("began", run_id=run.run_id)
        try:
            await self.go.wait()
        finally:
            self.now -= 1


async def test_no_more_runs_of_a_job_than_max_running(database: str, eye: Eye) -> None:
    gauge = Gauge()
    limited = job("t.limited", max_running=2)(gauge.work)
    async with running(database, limited):
        ids = [await eye.enqueue("t.limited") for _ in range(6)]
        for _ in range(2):
            await gauge.said.wait("began")
        gauge.go.set()
        for run_id in ids:
            assert (await eye.over(run_id))["state"] == "succeeded"
    assert gauge.most == 2


async def test_no_more_runs_than_the_kernel_s_limit(database: str, eye: Eye) -> None:
    gauge = Gauge()
    free = job("t.free")(gauge.work)
    async with running(database, free, max_running=3):
        ids = [await eye.enqueue("t.free") for _ in range(9)]
        for _ in range(3):
            await gauge.said.wait("began")
        gauge.go.set()
        for run_id in ids:
            await eye.over(run_id)
    assert gauge.most == 3


async def test_runs_of_one_concurrency_key_go_one_after_another(database: str, eye: Eye) -> None:
    gauge = Gauge()
    keyed = job("t.keyed", concurrency_key="tenant {tenant}")(gauge.work)
    async with running(database, keyed):
        same = [await eye.enqueue("t.keyed", '{"tenant": 1}') for _ in range(3)]
        other = await eye.enqueue("t.keyed", '{"tenant": 2}')
        await gauge.said.wait("began", run_id=other)
        gauge.go.set()
        for run_id in [*same, other]:
            await eye.over(run_id)
    assert gauge.most == 2


async def test_of_those_that_wait_the_higher_priority_starts_first_then_the_older(
    database: str, eye: Eye
) -> None:
    gauge = Gauge()
    limited = job("t.limited", max_running=1)(gauge.work)
    async with running(database, limited):
        first = await eye.enqueue("t.limited")
        await gauge.said.wait("began", run_id=first)
        enqueue = "SELECT sereno.enqueue('t.limited', priority => $1)"
        low, high, older, newer = [await eye.value(enqueue, p) for p in (-1, 5, 0, 0)]
        gauge.go.set()
        await eye.over(low)
    began = await eye.rows("SELECT id FROM sereno.run ORDER BY started_at, id")
    assert began == [(first,), (high,), (older,), (newer,), (low,)]


async def test_a_run_waits_for_its_instant(database: str, eye: Eye) -> None:
    async with running(database, job("t.later")(nothing)):
        await eye.enqueue("t.later")
        run_id = await eye.value(
            "SELECT sereno.enqueue('t.later', run_at => clock_timestamp() + interval '0.5 s')"
        )
        row = await eye.over(run_id)
    assert row["started_at"] >= row["run_at"]


async def test_a_run_of_which_nobody_told_the_leader_is_found(database: str, eye: Eye) -> None:
    async with running(database, job("t.quiet")(nothing)):
        await eye.ran("t.quiet")
        run_id = await eye.value(
            "INSERT INTO sereno.run (job, cause) VALUES ('t.quiet', 'program') RETURNING id"
        )
        assert (await eye.over(run_id))["state"] == "succeeded"


async def test_threads_that_wait_for_a_place_hold_up_no_other_executor(
    database: str, eye: Eye
) -> None:
    go = threading.Event()

    @job("t.thread")
    def thread(run: Run) -> None:
        go.wait(20)

    @job("t.quick")
    async def quick(run: Run) -> None:
        pass

    async with running(database, thread, quick, threads=1):
        await eye.enqueue("t.thread")
        await eye.connection.execute(
            "SELECT sereno.enqueue('t.thread', priority => 5) FROM generate_series(1, 600)"
        )
        assert (await eye.ran("t.quick"))["state"] == "succeeded"
        go.set()


async def test_runs_that_wait_for_their_own_schedule_hold_up_no_other_s(
    database: str, eye: Eye
) -> None:
    go = asyncio.Event()

    @job("t.tick", schedule=schedule(every("1s"), max_running=1, overlap="allow", priority=9))
    async def tick(run: Run) -> None:
        await go.wait()

    @job("t.quick")
    async def quick(run: Run) -> None:
        pass

    async with running(database, tick, quick):
        await eye.until("SELECT true FROM sereno.run")
        await eye.connection.execute(
            "INSERT INTO sereno.run (job, cause, schedule_id, slot, priority, policies)"
            " SELECT job, 'person', schedule_id, slot, 9, policies"
            " FROM sereno.run, generate_series(1, 600) WHERE id = 1"
        )
        assert (await eye.ran("t.quick", limit=5))["state"] == "succeeded"
        go.set()


async def test_a_schedule_may_limit_its_runs_more_than_its_job_does(
    database: str, eye: Eye
) -> None:
    gauge = Gauge()
    limited = job("t.limited", schedule=schedule(every("100ms"), max_running=1, overlap="allow"))(
        gauge.work
    )
    async with running(database, limited):
        await eye.until("SELECT count(*) >= 4 FROM sereno.run")
        await eye.until("SELECT count(*) >= 3 FROM sereno.run WHERE state = 'queued'")
        gauge.go.set()
        await eye.until("SELECT count(*) >= 4 FROM sereno.run WHERE state = 'succeeded'")
    assert gauge.most == 1


# --- overlap ----------------------------------------------------------------------------------


async def test_overlap_skip_starts_none_while_one_runs(database: str, eye: Eye) -> None:
    gauge = Gauge()
    tick = job("t.tick", schedule=every("100ms"), overlap="skip")(gauge.work)
    async with running(database, tick):
        await gauge.said.wait("began")
        await eye.until("SELECT count(*) >= 3 FROM sereno.slot WHERE verdict = 'skipped'")
        assert await eye.value("SELECT count(*) FROM sereno.run") == 1
        gauge.go.set()
    assert gauge.most == 1


async def test_a_schedule_goes_on_once_its_run_that_waited_was_cancelled(
    database: str, eye: Eye
) -> None:
    @job("t.tick", schedule=every("200ms"), retry={"attempts": 2, "delay": "1h"})
    async def tick(run: Run) -> None:
        raise ValueError("no good")

    async with running(database, tick) as node:
        await eye.until("SELECT count(*) >= 2 FROM sereno.slot WHERE verdict = 'skipped'")
        await runs.request_cancel(node.kernel.db, 1, "ann")
        await eye.until("SELECT count(*) >= 2 FROM sereno.run", limit=3)


async def test_overlap_queue_runs_each_in_its_turn(database: str, eye: Eye) -> None:
    gauge = Gauge()
    tick = job("t.tick", schedule=every("100ms"), overlap="queue")(gauge.work)
    async with running(database, tick):
        await eye.until("SELECT count(*) >= 3 FROM sereno.run WHERE state = 'queued'")
        gauge.go.set()
        await eye.until("SELECT count(*) >= 4 FROM sereno.run WHERE state = 'succeeded'")
    assert gauge.most == 1
    order = "SELECT slot FROM sereno.run WHERE started_at IS NOT NULL ORDER BY started_at, id"
    slots = await eye.rows(order)
    assert slots == sorted(slots)


async def test_overlap_allow_starts_them_side_by_side(database: str, eye: Eye) -> None:
    gauge = Gauge()
    tick = job("t.tick", schedule=every("100ms"), overlap="allow")(gauge.work)
    async with running(database, tick):
        for _ in range(3):
            await gauge.said.wait("began")
        gauge.go.set()
    assert gauge.most >= 3


async def test_overlap_cancel_previous_ends_the_one_before(database: str, eye: Eye) -> None:
    gauge = Gauge()
    tick = job("t.tick", schedule=every("200ms"), overlap="cancel_previous")(gauge.work)
    async with running(database, tick):
        await eye.until("SELECT count(*) >= 3 FROM sereno.run WHERE state = 'cancelled'")
        gauge.go.set()
    error = "SELECT DISTINCT error FROM sereno.run WHERE state = 'cancelled'"
    assert await eye.rows(error) == [("cancelled by its schedule's next slot",)]
    assert gauge.most == 1


async def test_overlap_cancel_previous_ends_those_that_wait_for_their_turn_too(
    database: str, eye: Eye
) -> None:
    """A retry that waits is the previous run as much as one under way."""

    @job(
        "t.tick",
        schedule=every("300ms"),
        overlap="cancel_previous",
        retry={"attempts": 2, "delay": "1h"},
    )
    async def tick(run: Run) -> None:
        raise ValueError("no good")

    async with running(database, tick):
        await eye.until("SELECT count(*) >= 3 FROM sereno.run WHERE attempt = 1")
        await eye.until("SELECT count(*) >= 2 FROM sereno.run WHERE state = 'cancelled'")
        assert await eye.value("SELECT count(*) FROM sereno.run WHERE state = 'queued'") <= 1


# --- cancelling -------------------------------------------------------------------------------


async def test_a_run_under_way_is_cancelled_at_once(database: str, eye: Eye) -> None:
    gauge = Gauge()
    async with running(database, job("t.long", retry=3)(gauge.work)) as node:
        run_id = await eye.enqueue("t.long")
        await gauge.said.wait("began")
        await runs.request_cancel(node.kernel.db, run_id, "ann")
        row = await eye.over(run_id, limit=3)
    assert (row["state"], row["error"], row["attempt"]) == ("cancelled", "cancelled by ann", 1)


async def test_a_node_that_no_longer_leads_hears_that_its_run_is_to_be_cancelled(
    database: str, eye: Eye
) -> None:
    gauge = Gauge()
    long = job("t.long")(gauge.work)
    async with running(database, long) as first:
        run_id = await eye.enqueue("t.long")
        await gauge.said.wait("began")
        async with running(database, long) as second:
            stopping = asyncio.ensure_future(first.stop())
            await second.leads()
            await runs.request_cancel(second.kernel.db, run_id, "ann")
            row = await eye.over(run_id, limit=5)
            await stopping
    assert (row["state"], row["error"]) == ("cancelled", "cancelled by ann")


# --- what jobs do to one another --------------------------------------------------------------


@pytest.mark.parametrize("executor", ["async", "thread"])
@pytest.mark.parametrize(
    "raised", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException("odd")]
)
async def test_what_no_job_should_raise_fails_its_run_and_nothing_else(
    database: str, eye: Eye, executor: str, raised: BaseException
) -> None:
    if executor == "async":

        @job("t.odd")
        async def odd(run: Run) -> None:
            raise raised
    else:

        @job("t.odd")
        def odd(run: Run) -> None:
            raise raised

    async with running(database, odd) as node:
        row = await eye.ran("t.odd")
        assert (await eye.ran("t.odd"))["state"] == "failed"
        assert node.fault is None
    assert row["state"] == "failed"
    assert row["error"].startswith(type(raised).__name__)
    assert "in odd\n" in row["traceback"]


async def test_a_job_that_cancels_itself_is_cancelled(database: str, eye: Eye) -> None:
    @job("t.odd")
    async def odd(run: Run) -> None:
        raise asyncio.CancelledError

    async with running(database, odd):
        row = await eye.ran("t.odd")
    assert (row["state"], row["error"]) == ("cancelled", "it cancelled itself")


async def test_a_job_that_swallows_its_cancellation_is_left_behind(
    database: str, eye: Eye, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sereno.engine.attempt.STOP_PATIENCE", timedelta(seconds=0.2))
    go = asyncio.Event()

    @job("t.deaf", timeout="50ms")
    async def deaf(run: Run) -> None:
        while not go.is_set():
            with suppress(asyncio.CancelledError):
                await go.wait()

    async with running(database, deaf):
        row = await eye.ran("t.deaf")
        go.set()
    assert row["state"] == "timed_out"
    assert "left behind" in row["traceback"]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("I have no words")


async def test_an_error_that_cannot_be_told_is_told_as_such(database: str, eye: Eye) -> None:
    @job("t.odd")
    async def odd(run: Run) -> None:
        raise Unspeakable

    async with running(database, odd) as node:
        row = await eye.ran("t.odd")
        assert node.fault is None
    assert row["state"] == "failed"
    assert row["error"].startswith("Unspeakable")


@pytest.mark.parametrize(
    ("result", "state", "error"),
    [
        (object(), "failed", "its result is not JSON: Encoding objects of type object is unsupp"),
        ({1, 2}, "succeeded", None),
        ("x" * 1_000_001, "succeeded", "its result of 1000003 bytes was not kept: the limit is"),
        ("a\x00b", "succeeded", "its result was not kept: it holds U+0000"),
        ("\\u0000", "succeeded", None),
        ("\ud800", "failed", "its result is not JSON"),
        (10**400, "succeeded", None),
        (float("nan"), "succeeded", None),
        (datetime(2026, 3, 1, tzinfo=UTC), "succeeded", None),
    ],
    ids=["object", "set", "huge", "nul", "backslash", "surrogate", "number", "nan", "instant"],
)
async def test_a_result_that_cannot_be_kept_is_told_and_does_not_fail_what_worked(
    database: str, eye: Eye, result: Any, state: str, error: str | None
) -> None:
    @job("t.odd")
    async def odd(run: Run) -> Any:
        return result

    async with running(database, odd):
        row = await eye.ran("t.odd")
    assert row["state"] == state
    assert (row["error"] or "").startswith(error or "")
    assert (row["error"] is None) == (error is None)
    assert (row["result"] is None) == (error is not None)


async def test_a_hundred_thousand_log_lines_are_capped_and_hold_nobody_up(
    database: str, eye: Eye
) -> None:
    ticks = Signals()

    @job("t.chatty")
    def chatty(run: Run) -> int:
        for n in range(100_000):
            run.log.log(logging.CRITICAL, "line %s", n)
        return n

    @job("t.tick", schedule=every("500ms"))
    async def tick(run: Run) -> None:
        ticks.say("tick")

    root = logging.getLogger()
    async with running(database, chatty, tick):
        others = [h for h in root.handlers if not isinstance(h, RunLogHandler)]
        for handler in others:
            root.removeHandler(handler)
        try:
            row = await eye.ran("t.chatty", limit=40)
        finally:
            for handler in others:
                root.addHandler(handler)
        await ticks.wait("tick")
    assert (row["state"], row["result"]) == ("succeeded", "99999")
    kept = await eye.rows(
        "SELECT count(*), max(line), (array_agg(message ORDER BY line DESC))[1]"
        " FROM sereno.run_log WHERE run_id = $1",
        row["id"],
    )
    assert kept == [(2001, 2000, "98000 more lines were not kept: the limit is 2000 an attempt")]


NASTY = "a\x00b\ud800c"


async def test_words_that_postgres_cannot_keep_are_kept_as_well_as_may_be(
    database: str, eye: Eye
) -> None:
    """And hold up neither this run's other words nor another's."""
    told, go = Signals(), asyncio.Event()

    @job("t.nasty")
    async def nasty(run: Run) -> None:
        run.log.critical(NASTY)
        logging.getLogger(f"n{NASTY}").critical("from there")
        run.progress(1, 2, NASTY)
        told.say("nasty")
        await go.wait()
        raise ValueError(NASTY)

    @job("t.nice")
    async def nice(run: Run) -> None:
        run.log.critical("nice")
        run.progress(1, 2, "nice")
        told.say("nice")
        await go.wait()

    async with running(database, nasty, nice):
        ids = [await eye.enqueue(name) for name in ("t.nasty", "t.nice")]
        await told.wait("nasty")
        await told.wait("nice")
        await eye.until("SELECT count(*) = 3 FROM sereno.run_log")
        await eye.until("SELECT count(*) = 2 FROM sereno.run_progress")
        go.set()
        row = await eye.over(ids[0])
    assert row["state"] == "failed"
    assert row["error"] == "ValueError: a\\0b\\ud800c"
    messages = await eye.rows("SELECT message FROM sereno.run_log ORDER BY message")
    assert messages == [("a\\0b\\ud800c",), ("from there",), ("nice",)]
    notes = await eye.rows("SELECT note FROM sereno.run_progress ORDER BY note")
    assert notes == [("a\\0b\\ud800c",), ("nice",)]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda run: run.checkpoint("a\x00"), "U+0000"),
        (lambda run: run.checkpoint(object()), "unsupported"),
        (lambda run: run.checkpoint("x" * 1_000_001), "1000003 bytes"),
        (lambda run: run.progress("half"), "half"),
        (lambda run: run.progress(1, "ten"), "ten"),
        (lambda run: run.progress(1, 2, 3), "note"),
    ],
)
async def test_a_word_that_makes_no_sense_fails_its_own_run_alone(
    database: str, eye: Eye, call: Any, error: str
) -> None:
    @job("t.odd")
    async def odd(run: Run) -> None:
        call(run)

    async with running(database, odd):
        row = await eye.ran("t.odd")
    assert row["state"] == "failed"
    assert error in row["error"]


async def test_params_that_do_not_fit_fail_the_run_with_a_sentence(database: str, eye: Eye) -> None:
    class Params(msgspec.Struct):
        n: int

        def __post_init__(self) -> None:
            if self.n == 13:
                raise RuntimeError("unlucky")

    @job("t.strict", params=Params)
    async def strict(run: RunContext[Params]) -> int:
        return run.params.n

    async with running(database, strict) as node:
        await node.leads()
        await eye.until("SELECT true FROM sereno.job WHERE name = 't.strict'")
        for params, error in (('{"n": 1.5}', "params do not fit"), ('{"n": 13}', "unlucky")):
            row = await eye.over(await eye.enqueue("t.strict", params))
            assert row["state"] == "failed"
            assert error in row["error"]
        row = await eye.over(await eye.enqueue("t.strict", '{"n": 3}'))
        assert row["result"] == "3"


async def test_a_job_that_leaves_a_transaction_open_holds_up_no_other_run(
    database: str, eye: Eye
) -> None:
    left: list[asyncpg.Connection] = []

    @job("t.leaves")
    async def leaves(run: Run) -> None:
        connection = await asyncpg.connect(run.database_url)
        left.append(connection)
        await connection.transaction().start()
        await run.fence(connection)

    @job("t.nice")
    async def nice(run: Run) -> None:
        pass

    try:
        async with running(database, leaves, nice):
            run_id = await eye.enqueue("t.leaves")
            await eye.until("SELECT started_at IS NOT NULL FROM sereno.run WHERE id = $1", run_id)
            assert (await eye.ran("t.nice", limit=5))["state"] == "succeeded"
            left[0].terminate()
            assert (await eye.over(run_id))["state"] == "succeeded"
    finally:
        for connection in left:
            connection.terminate()
