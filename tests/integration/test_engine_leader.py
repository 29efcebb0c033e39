"""The lead passes on, whatever ends it, and what it leaves behind is taken up."""

import asyncio
import re
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from sereno import RunContext, every, job
from sereno.engine import leader
from sereno.store.keys import LEADER_LOCK, LOCK_CLASS
from sereno.testing import Signals

from ..servers.postgres import PostgresServer
from .node import LONG_LEASE, Eye, LiveNode, looking, running

Run = RunContext[dict[str, Any]]
DOUBLED = "SELECT schedule_id, slot FROM sereno.run GROUP BY 1, 2 HAVING count(*) > 1"
SUCCEEDED = "SELECT count(*) >= $2 FROM sereno.run WHERE job = $1 AND state = 'succeeded'"
END_LEADER = (
    "SELECT bool_or(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory'"
    f" AND classid = {LOCK_CLASS} AND objid = {LEADER_LOCK} AND objsubid = 2 AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@job("t.tick", schedule=every("100ms"), overlap="queue")
async def tick(run: Run) -> None:
    """Do nothing, ten times a second."""


class Long:
    """The job `t.long`, whose attempts begin, and end when they may."""

    def __init__(self) -> None:
        self.began = Signals()
        self.go = asyncio.Event()
        self.job = job("t.long")(self._work)

    async def _work(self, run: Run) -> int:
        self.began.say("began")
        await self.go.wait()
        return run.attempt


async def gapless(eye: Eye) -> None:
    """Check that every slot from the first to the last has one verdict, and none two runs.

    On a loaded machine many at once may be settled late, and are a range.
    """
    assert await eye.rows(DOUBLED) == []
    told = await eye.rows(
        "SELECT slot, slot, 1 FROM sereno.slot UNION ALL"
        " SELECT first_slot, last_slot, slots FROM sereno.slot_range ORDER BY 1"
    )
    step = timedelta(milliseconds=100)
    assert {after[0] - before[1] for before, after in pairwise(told)} == {step}
    assert [n for first, last, n in told if first + (n - 1) * step != last] == []


async def test_of_two_nodes_one_leads_and_the_other_stands_by(database: str, eye: Eye) -> None:
    async with (
        running(database, tick, lease=LONG_LEASE) as first,
        running(database, tick, lease=LONG_LEASE) as second,
    ):
        await eye.until(SUCCEEDED, "t.tick", 5)
        assert [first.status.leading, second.status.leading].count(True) == 1
        assert await eye.value("SELECT term FROM sereno.leadership") == 1
    await gapless(eye)


async def test_a_leader_that_is_told_to_stop_hands_over_and_no_slot_is_lost(
    database: str, eye: Eye
) -> None:
    async with running(database, tick) as first:
        await eye.until(SUCCEEDED, "t.tick", 3)
        async with running(database, tick) as second:
            await eye.until("SELECT count(*) = 2 FROM sereno.node")
            await first.stop()
            await second.leads()
            done = await eye.value("SELECT count(*) FROM sereno.run")
            await eye.until(SUCCEEDED, "t.tick", done + 3)
    await gapless(eye)
    reasons = await eye.rows("SELECT term, reason FROM sereno.term ORDER BY term")
    assert reasons[0] == (1, "handed over")


async def test_a_leader_whose_backend_is_terminated_leads_again_and_loses_no_slot(
    database: str, eye: Eye
) -> None:
    async with running(database, tick) as node:
        await eye.until(SUCCEEDED, "t.tick", 3)
        for term in range(2, 5):
            assert await eye.value(END_LEADER)
            await eye.until("SELECT term >= $1 FROM sereno.leadership", term)
            done = await eye.value("SELECT count(*) FROM sereno.run")
            await eye.until(SUCCEEDED, "t.tick", done + 3)
        assert node.fault is None
    await gapless(eye)


async def test_the_runs_of_a_node_that_lost_only_its_session_go_on(database: str, eye: Eye) -> None:
    long = Long()
    async with running(database, long.job, lease=LONG_LEASE):
        run_id = await eye.enqueue("t.long")
        await long.began.wait("began")
        await eye.value(END_LEADER)
        await eye.until("SELECT term = 2 FROM sereno.leadership")
        long.go.set()
        row = await eye.over(run_id)
    assert (row["state"], row["result"], row["losses"]) == ("succeeded", "1", 0)


async def test_the_runs_of_a_node_that_died_are_tried_again_or_lost_as_their_jobs_say(
    database: str, eye: Eye
) -> None:
    began = Signals()

    def long(name: str, on_lost: str) -> Any:
        async def work(run: Run) -> int:
            began.say(name)
            if run.attempt == 1:
                await asyncio.Event().wait()
            return run.attempt

        return job(name, on_lost=on_lost)(work)

    jobs = [long("t.again", "retry"), long("t.gone", "fail")]
    first = await LiveNode(database, *jobs).start()
    try:
        ids = [await eye.enqueue(j.name) for j in jobs]
        for j in jobs:
            await began.wait(j.name)
    finally:
        await first.die()
    async with running(database, *jobs) as second:
        again, gone = [await eye.over(run_id) for run_id in ids]
        told = await second.finished("t.gone")
        await second.finished("t.again", state="succeeded")
    again_told = [f for name, f in second.heard.said if name == "RunFinished"]
    assert again_told == []
    assert (told["run_id"], told["state"], told["attempt"]) == (ids[1], "lost", 1)
    assert re.match(rf"its node '.*' \({first.id}\) died", told["error"])
    assert told["duration"] > timedelta(0)
    assert (again["state"], again["attempt"], again["losses"]) == ("succeeded", 2, 1)
    assert (gone["state"], gone["attempt"]) == ("lost", 1)
    assert gone["error"] == told["error"]


async def test_a_run_of_a_leaving_leader_that_is_to_be_tried_again_is_tried_by_the_next(
    database: str, eye: Eye
) -> None:
    go, began = asyncio.Event(), Signals()

    @job("t.long", max_running=1, retry={"attempts": 2, "delay": "0s"})
    async def long(run: Run) -> int:
        began.say("began")
        await go.wait()
        if run.attempt == 1:
            raise ValueError("not yet")
        return run.attempt

    async with running(database, long) as first:
        run_id = await eye.enqueue("t.long")
        await began.wait("began")
        async with running(database, long) as second:
            leaving = asyncio.ensure_future(first.stop())
            await second.leads()
            await eye.until(
                "SELECT true FROM pg_stat_activity WHERE application_name = $1",
                f"sereno {second.id}",
            )
            go.set()
            row = await eye.over(run_id, limit=5)
            await leaving
    assert (row["state"], row["attempt"], row["node"]) == ("succeeded", 2, second.id)


async def test_a_fault_in_what_leads_ends_neither_the_node_nor_its_runs(
    database: str, eye: Eye, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = Long()
    monkeypatch.setattr(leader, "_AFTER_A_FAULT", 0.1)
    async with running(database, long.job, lease=LONG_LEASE) as node:
        run_id = await eye.enqueue("t.long")
        await long.began.wait("began")
        tick = leader.Dispatcher.tick

        async def broken(self: Any, between: Any) -> None:
            monkeypatch.setattr(leader.Dispatcher, "tick", tick)
            raise ZeroDivisionError("a fault of ours")

        monkeypatch.setattr(leader.Dispatcher, "tick", broken)
        await eye.until("SELECT term = 2 FROM sereno.leadership")
        long.go.set()
        assert (await eye.over(run_id))["state"] == "succeeded"
        assert node.fault is None


async def test_a_node_that_fails_whenever_it_leads_gives_way_to_another(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lets the lock go before it waits for its next try; told to stop, it waits no longer."""
    monkeypatch.setattr(leader, "_AFTER_A_FAULT", 60.0)
    async with running(database, lease=LONG_LEASE) as broken:
        await broken.leads()
        failing = broken.kernel.leader
        assert failing is not None
        failing._declared = None  # type: ignore[assignment] - a fault of ours, at each new term
        failing.cut()
        await broken.heard.wait("LeaderChanged", leading=False)
        async with running(database, lease=LONG_LEASE) as other:
            await other.leads()
            assert other.status.term > 1
            assert not broken.status.leading
            async with asyncio.timeout(10):
                await failing.leave()


async def test_a_registration_that_takes_longer_than_the_lease_does_not_cost_the_lead(
    database: str, eye: Eye, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, slept = leader.register, 0

    async def slow(*args: Any) -> bool:
        nonlocal slept
        await eye.connection.execute("SELECT pg_sleep(4)")
        slept += 1
        return await real(*args)

    monkeypatch.setattr(leader, "register", slow)
    async with running(database, tick, lease=timedelta(seconds=3)) as node:
        await node.leads()
        await node.finished("t.tick")
        assert (node.status.term, slept) == (1, 1)


@pytest.mark.parametrize(("on_lost", "state"), [("retry", "queued"), ("fail", "failed")])
async def test_a_run_that_outlasts_its_node_s_drain_is_treated_as_its_job_says(
    database: str, eye: Eye, on_lost: str, state: str
) -> None:
    began = Signals()

    @job("t.long", on_lost=on_lost)
    async def long(run: Run) -> None:
        began.say("began")
        await asyncio.Event().wait()

    async with running(database, long, drain_timeout=timedelta(seconds=0.2)):
        run_id = await eye.enqueue("t.long")
        await began.wait("began")
    assert await eye.value("SELECT state FROM sereno.run WHERE id = $1", run_id) == state


async def test_a_node_that_starts_while_the_database_is_away_waits_for_it(
    postgres_servers: Any, private_postgres: PostgresServer
) -> None:
    dsn = private_postgres.dsn()
    private_postgres.stop()
    node = await LiveNode(dsn, tick).start()
    try:
        async with asyncio.timeout(10):
            while node.status.store_error in (None, "not connected yet"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not node.status.store_up
        assert node.fault is None
        await asyncio.to_thread(private_postgres.start)
        await node.leads()
        assert node.status.store_up
        async with looking(dsn) as eye:
            await eye.until(SUCCEEDED, "t.tick", 2)
    finally:
        await node.stop()


async def test_a_database_that_goes_away_and_comes_back_costs_no_slot_and_no_outcome(
    private_postgres: PostgresServer,
) -> None:
    long = Long()
    dsn = private_postgres.dsn()
    async with running(dsn, tick, long.job) as node:
        await node.leads()
        async with looking(dsn) as eye:
            await eye.until(SUCCEEDED, "t.tick", 3)
            run_id = await eye.enqueue("t.long")
            await long.began.wait("began")
        await asyncio.to_thread(private_postgres.stop)
        await node.heard.wait("LeaderChanged", leading=False)
        long.go.set()
        await asyncio.to_thread(private_postgres.start)
        await node.leads()
        async with looking(dsn) as eye:
            row = await eye.over(run_id)
            assert (row["state"], row["result"], row["attempt"]) == ("succeeded", "1", 1)
            done = await eye.value("SELECT count(*) FROM sereno.run")
            await eye.until(SUCCEEDED, "t.tick", done + 3)
            assert await eye.rows(DOUBLED) == []
            ((due, told),) = await eye.rows(
                "SELECT round(extract(epoch FROM max(slot) - min(slot)) * 10)::bigint + 1,"
                " count(*) + (SELECT coalesce(sum(slots), 0) FROM sereno.slot_range)"
                " FROM sereno.slot"
            )
            assert told == due


async def test_a_node_is_present_as_long_as_it_drains(database: str, eye: Eye) -> None:
    long = Long()
    async with running(database, long.job, lease=timedelta(seconds=1)) as first:
        run_id = await eye.enqueue("t.long")
        await long.began.wait("began")
        leaving = asyncio.ensure_future(first.stop())
        async with running(database, long.job, lease=timedelta(seconds=1)) as second:
            await second.leads()
            acquired = await eye.value("SELECT max(acquired_at) FROM sereno.term")
            await eye.until("SELECT clock_timestamp() > $1", acquired + timedelta(seconds=2.5))
            assert (
                await eye.value("SELECT state FROM sereno.run WHERE id = $1", run_id) == "running"
            )
            long.go.set()
            await leaving
    row = await eye.over(run_id)
    assert (row["state"], row["attempt"], row["node"]) == ("succeeded", 1, first.id)


async def test_notifications_of_others_do_not_make_a_follower_rush_for_the_lock(
    database: str, eye: Eye, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0
    real = leader.NodeSession.try_lead

    async def counted(self: Any) -> Any:
        nonlocal tries
        tries += 1
        return await real(self)

    async with running(database, job("t.adhoc")(tick.function)) as first:
        await first.leads()
        async with running(database, job("t.adhoc")(tick.function)):
            await eye.until("SELECT count(*) = 2 FROM sereno.node")
            monkeypatch.setattr(leader.NodeSession, "try_lead", counted)
            began = await eye.value("SELECT clock_timestamp()")
            for _ in range(200):
                await eye.connection.execute("SELECT pg_notify('sereno', 'run')")
            await eye.until("SELECT clock_timestamp() > $1", began + timedelta(seconds=0.5))
            took = await eye.value("SELECT extract(epoch FROM clock_timestamp() - $1)", began)
            assert tries <= float(took) / 0.15 + 2
