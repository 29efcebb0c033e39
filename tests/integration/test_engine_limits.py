"""How many runs go at once: limits, what overlaps, and what is cancelled."""

import asyncio
import threading
from typing import Any

import pytest

from sereno import RunContext, every, job, schedule
from sereno.engine import dispatcher, leader
from sereno.engine.dispatcher import FEWEST
from sereno.store import runs
from sereno.testing import Signals

from .node import Eye, running

Run = RunContext[dict[str, Any]]


async def nothing(run: Run) -> None:
    """Do nothing."""


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


async def test_who_waits_behind_many_that_their_own_policies_hold_back_begins(
    database: str, eye: Eye
) -> None:
    gauge = Gauge()
    held, behind = job("t.held")(gauge.work), job("t.behind")(nothing)
    async with running(database, held, behind):
        await eye.enqueue("t.held")
        await gauge.said.wait("began")
        async with eye.connection.transaction():  # the leader reads all of them at once
            await eye.value(
                "WITH made AS MATERIALIZED ("
                "SELECT sereno.enqueue('t.held') AS id FROM generate_series(1, $1))"
                " SELECT count(*) FROM made",
                2 * FEWEST,
            )
            await eye.rows(
                "UPDATE sereno.run SET policies = '{\"max_running\": 1}' WHERE state = 'queued'"
            )
            last = await eye.enqueue("t.behind")
        assert (await eye.over(last))["state"] == "succeeded"
        assert gauge.most == 1
        gauge.go.set()


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


@pytest.fixture
def told_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nodes learn by notifications alone what is to be cancelled."""
    for module in (dispatcher, leader):
        monkeypatch.setattr(module, "CANCEL_EVERY", 3_600.0)


@pytest.mark.usefixtures("told_alone")
async def test_a_run_under_way_is_cancelled_at_once(database: str, eye: Eye) -> None:
    gauge = Gauge()
    async with running(database, job("t.long", retry=3)(gauge.work)) as node:
        run_id = await eye.enqueue("t.long")
        await gauge.said.wait("began")
        await runs.request_cancel(node.kernel.db, run_id, "ann")
        row = await eye.over(run_id)
    assert (row["state"], row["error"], row["attempt"]) == ("cancelled", "cancelled by ann", 1)


@pytest.mark.usefixtures("told_alone")
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
            row = await eye.over(run_id)
            await stopping
    assert (row["state"], row["error"]) == ("cancelled", "cancelled by ann")
