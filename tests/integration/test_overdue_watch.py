"""That a job is overdue is told to plugins' hooks once, and so is its end, over replicas, failovers
and versions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import asyncpg
import pytest

from sereno import JobOverdue, Sight
from sereno.store.keys import LEADER_LOCK, LOCK_CLASS
from sereno.store.pool import Database

from .carrying_scene import carrying_on
from .metrics_scene import add_job, add_schedule, opened, run_sql
from .scene import connected

BACK = "UPDATE sereno.watermark SET next_slot = now() + interval '1 hour', due_by = NULL"


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    async with opened(database) as found:
        await add_job(found, severity="critical")
        await add_schedule(found, next_slot="now() - interval '10 minutes'")
        yield found


async def test_of_several_nodes_that_find_it_out_at_once_one_tells(db: Database) -> None:
    heard: list[JobOverdue] = []
    async with AsyncExitStack() as stack:
        nodes = [
            (await stack.enter_async_context(carrying_on(db.dsn, None, heard.append)))[0]
            for _ in range(4)
        ]
        await asyncio.gather(*(node.poll() for node in nodes))
        assert [(e.job, e.severity, e.resolved) for e in heard] == [("etl.sync", "critical", False)]
        assert timedelta(minutes=8) < heard[0].overdue < timedelta(minutes=11)
        await run_sql(db, BACK)
        await asyncio.gather(*(node.poll() for node in nodes))
    assert [e.resolved for e in heard] == [False, True]
    async with carrying_on(db.dsn, None, heard.append) as (after, _):
        await after.poll()
    assert len(heard) == 2


async def test_the_next_lapse_is_told_again(db: Database) -> None:
    heard: list[JobOverdue] = []
    async with carrying_on(db.dsn, None, heard.append) as (node, _):
        for _ in range(2):
            await node.poll()
            await run_sql(db, BACK)
            await node.poll()
            await run_sql(db, "UPDATE sereno.watermark SET next_slot = now() - interval '9 min',"
                              " due_by = now() - interval '8 min'")  # fmt: skip
    assert [e.resolved for e in heard] == [False, True, False, True]


async def test_a_job_that_is_gone_is_no_longer_overdue(db: Database) -> None:
    heard: list[JobOverdue] = []
    async with carrying_on(db.dsn, None, heard.append) as (node, _):
        await node.poll()
        await run_sql(db, "UPDATE sereno.job SET present = false")
        await node.poll()
    assert [(e.resolved, e.severity) for e in heard] == [(False, "critical"), (True, "warning")]


async def test_a_follower_watches_only_while_nobody_leads(db: Database) -> None:
    async with AsyncExitStack() as stack:
        leader = await stack.enter_async_context(connected(db.dsn))
        for lock in (1, LEADER_LOCK):  # its own and the leader's
            await leader.execute("SELECT pg_advisory_lock($1::int, $2::int)", LOCK_CLASS, lock)
        node, _ = await stack.enter_async_context(carrying_on(db.dsn, leading=False))
        assert not await node._has_duty()
        await leader.execute("SELECT pg_advisory_unlock_all()")
        assert await node._has_duty()
        seen: list[Sight] = []

        async def shown(sight: Sight) -> None:
            seen.append(sight)

        node._show = shown
        await node.poll()
        assert seen[0].unled is not None
        assert seen[0].jobs["etl.sync"].lasting


# --- beside the version before, whose mark is a row of `notification` ---------------------------

RAISE_OF_BEFORE = """
    INSERT INTO sereno.notification AS n
           (key, notifier, kind, severity, job, open, message, state, due_at)
    VALUES ('job_overdue etl.sync', '', 'job_overdue', 'critical', 'etl.sync', true, '{}', 'sent',
            now())
    ON CONFLICT (key, notifier) WHERE open DO UPDATE SET repeats = n.repeats + 1
    RETURNING (n.xmax = 0) AS new
"""
CLOSE_OF_BEFORE = """
    UPDATE sereno.notification SET open = false
     WHERE key = 'job_overdue etl.sync' AND open RETURNING notifier
"""


@pytest.fixture
async def before(database: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(database) as found:
        yield found


@pytest.mark.parametrize("first", ["before", "now"])
async def test_what_one_version_has_told_the_other_does_not(
    db: Database, before: asyncpg.Connection, first: str
) -> None:
    heard: list[JobOverdue] = []
    async with carrying_on(db.dsn, None, heard.append) as (node, _):
        if first == "before":
            assert await before.fetchval(RAISE_OF_BEFORE)
            await node.poll()
            assert heard == []
            assert await before.fetch(CLOSE_OF_BEFORE)
            await run_sql(db, BACK)
            await node.poll()
            assert heard == []
        else:
            await node.poll()
            assert len(heard) == 1
            assert not await before.fetchval(RAISE_OF_BEFORE)
            await run_sql(db, BACK)
            await node.poll()
            assert [e.resolved for e in heard] == [False, True]
            assert not await before.fetch(CLOSE_OF_BEFORE)
