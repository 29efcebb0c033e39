"""A slot is said to have run once its run has begun, and late when that was beyond its grace."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from sereno import RunContext, every, job, schedule
from sereno.engine.verification import verify
from sereno.store import runs
from sereno.testing import Signals

from .node import Eye, running

Run = RunContext[dict[str, Any]]

COUNTED = """
SELECT (SELECT late FROM sereno.job_stat WHERE job = $1)
     = (SELECT count(*) FROM sereno.slot WHERE verdict = 'late')
"""
BEGUN_IS_SAID = """
SELECT count(*) FROM sereno.slot s JOIN sereno.run r ON r.id = s.run_id
 WHERE (s.verdict = 'waiting') <> (r.state = 'queued' AND r.attempt = 0)
"""


class Turns:
    """Lets one run after another end."""

    def __init__(self) -> None:
        self.said = Signals()
        self._free = asyncio.Semaphore(0)

    async def work(self, run: Run) -> None:
        self.said.say("began", run_id=run.run_id)
        await self._free.acquire()

    def end(self, runs: int = 1) -> None:
        for _ in range(runs):
            self._free.release()


@pytest.mark.parametrize("policies", [{"overlap": "queue"}, {"overlap": "allow", "max_running": 1}])
async def test_slots_whose_runs_wait_are_late_once_they_begin(
    database: str, eye: Eye, policies: dict[str, Any]
) -> None:
    turns = Turns()
    tick = job("t.tick", schedule=every("200ms"), grace="50ms", **policies)(turns.work)
    async with running(database, tick) as node:
        await turns.said.wait("began")
        await eye.until("SELECT count(*) >= 3 FROM sereno.slot WHERE verdict = 'waiting'")
        begun = "SELECT count(*) FROM sereno.slot WHERE verdict IN ('ran', 'late')"
        assert await eye.value(begun) == 1
        assert await eye.value(BEGUN_IS_SAID) == 0
        assert await eye.value(COUNTED, "t.tick")
        turns.end(1_000)
        for _ in range(2):  # the third of three may have waited for a moment alone
            heard = await node.heard.wait("SlotSettled", verdict="late", limit=10)
            row = "SELECT verdict, reason FROM sereno.slot WHERE slot = $1"
            assert await eye.rows(row, heard["slot"]) == [("late", heard["reason"])]
            assert heard["reason"].endswith(" s late")
        assert await eye.value(BEGUN_IS_SAID) == 0
        assert await eye.value(COUNTED, "t.tick")
        account = await verify(node.kernel.db, timedelta(days=1))
        assert account.holds, account.faults
        assert account.verdicts["late"] >= 2


async def test_what_is_not_caught_up_does_not_begin_once_it_is_beyond_its_grace(
    database: str, eye: Eye
) -> None:
    turns = Turns()
    when = schedule(every("200ms"), overlap="queue", catch_up="none", grace="300ms")
    tick = job("t.tick", schedule=when)(turns.work)
    async with running(database, tick) as node:
        first = await turns.said.wait("began")
        heard = await node.heard.wait("SlotSettled", verdict="missed", limit=10)
        assert heard["reason"] == "later than its grace, and catch_up is none"
        waited = (  # a slot that is settled that late has no run
            " FROM sereno.run r JOIN sereno.slot s ON s.run_id = r.id WHERE s.verdict = 'missed'"
        )
        await eye.until(f"SELECT count(*) >= 3{waited}")
        unbegun = await eye.rows(f"SELECT r.state, r.attempt, r.started_at{waited}")
        assert set(unbegun) == {("cancelled", 0, None)}
        turns.end()
        following = await turns.said.wait("began")
        assert following["run_id"] > first["run_id"] + 1
        late = "SELECT started_at - slot FROM sereno.run WHERE id = $1"
        assert await eye.value(late, following["run_id"]) <= timedelta(milliseconds=300)
        assert await eye.value(BEGUN_IS_SAID + " AND s.verdict <> 'missed'") == 0
        account = await verify(node.kernel.db, timedelta(days=1))
        assert account.holds, account.faults
        turns.end(1_000)


async def test_one_that_was_cancelled_while_it_waited_gives_its_schedule_free(
    database: str, eye: Eye
) -> None:
    turns = Turns()
    tick = job("t.tick", schedule=every("200ms"), overlap="queue")(turns.work)
    async with running(database, tick) as node:
        await turns.said.wait("began")
        waiting = await eye.until("SELECT run_id FROM sereno.slot WHERE verdict = 'waiting'")
        await runs.request_cancel(node.kernel.db, waiting, "ann", "not today")
        row = "SELECT verdict, reason FROM sereno.slot WHERE run_id = $1"
        assert await eye.rows(row, waiting) == [
            ("skipped", "cancelled by ann: not today, before it began")
        ]
        turns.end(1_000)
        await turns.said.wait("began")
        account = await verify(node.kernel.db, timedelta(days=1))
        assert account.holds, account.faults


async def test_slots_that_are_settled_ahead_have_their_verdicts_by_one_statement(
    database: str, eye: Eye
) -> None:
    names = [f"t.n{n}" for n in range(100)]

    async def nothing(run: Run) -> None:
        """Do nothing."""

    jobs = [job(name, schedule=every("1s"), grace="20ms")(nothing) for name in names]
    async with running(database, *jobs):
        await eye.until(  # a slot whose verdicts nothing has touched since they were inserted
            "SELECT true FROM sereno.slot s JOIN sereno.run r ON r.id = s.run_id GROUP BY s.slot"
            " HAVING count(*) = $1 AND count(DISTINCT s.xmin::text) = 1"
            " AND bool_and(s.verdict = 'ran' AND r.state = 'succeeded') LIMIT 1",
            len(names),
        )


async def test_what_a_node_gives_back_on_leaving_waits_for_the_next_leader(
    database: str, eye: Eye
) -> None:
    turns = Turns()
    tick = job("t.tick", schedule=every("100ms"), overlap="allow")(turns.work)
    async with running(database, tick) as first:
        await turns.said.wait("began")
        turns.end(100_000)
        async with running(database, tick) as second:
            leaving = asyncio.ensure_future(first.stop())
            await second.leads()
            await leaving
            await eye.until("SELECT count(*) > 3 FROM sereno.slot WHERE term = 2")
            assert await eye.value(BEGUN_IS_SAID) == 0
            account = await verify(second.kernel.db, timedelta(days=1))
    assert account.holds, account.faults
