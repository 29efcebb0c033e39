"""A hand-over by command, the drain of one node, the rest of all: nothing is lost or doubled."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from sereno.client import Client
from sereno.engine.leader import POLL
from sereno.engine.orders import _YIELD, HEARD
from sereno.engine.verification import verify
from sereno.model.errors import (
    ConflictError,
    NotFoundError,
    ParamsError,
    WaitTimeoutError,
)
from sereno.model.job import job
from sereno.store import hand_overs
from sereno.store.pool import Database
from sereno.triggers import every

from .node import LEASE, looking, running
from .scene import connected


@job("tests.tick", schedule=every("1s"), catch_up="all", overlap="allow")
async def tick(run: Any) -> None: ...


@job("tests.long")
async def long(run: Any) -> None:
    await asyncio.sleep(30)


def named(dsn: str, label: str, **settings: Any) -> Any:
    return running(dsn, tick, long, node_name=label, **settings)


async def whole(dsn: str) -> None:
    """Hold the record against what was due."""
    db = Database(dsn, size=2)
    await db.open()
    try:
        assert (await verify(db, timedelta(days=1))).faults == []
    finally:
        await db.close()


async def test_the_lead_goes_to_the_node_that_is_named_among_several(database: str) -> None:
    async with named(database, "a") as first, Client.open(database, requested_by="ana") as client:
        await first.leads()
        async with named(database, "b") as b, named(database, "c"), named(database, "d"):
            for label in ("c", "b", "d", "a"):
                await _present(client, label)
                found = await client.lead(label, timeout=45)
                assert (found.label, found.held) == (label, True)
            again = await client.lead(str(b.id)[:8], timeout=45)
            assert again.node == b.id
            term = again.term
            assert (await client.lead("b")).term == term  # it leads already: nothing is done
            await b.finished("tests.tick")
    await whole(database)
    async with Client.open(database) as client:
        told = [c for c in (await client.changes()).items if c.action == "lead"]
    assert {c.subject for c in told} >= {"node b", "node c", "node d", "node a"}
    assert {c.by.partition("@")[0] for c in told} == {"ana"}


async def test_a_node_that_only_works_refuses_the_lead_and_nobody_gives_it_up(
    database: str,
) -> None:
    async with named(database, "a") as a, Client.open(database, requested_by="ana") as client:
        term = await a.leads()
        async with named(database, "w", leads=False), named(database, "b"):
            for label in ("w", "b"):
                await _present(client, label)
            for _ in range(3):
                with pytest.raises(ConflictError, match="'w' only works: its leads is false"):
                    await client.lead("w", timeout=45)
            leader = await client.leader()
            assert (leader.held, leader.label, leader.term) == (True, "a", term)
            assert a.status.leading
            assert [f["leading"] for n, f in a.heard.said if n == "LeaderChanged"] == []
            assert (await client.lead("b", timeout=45)).label == "b"
    await whole(database)


async def _present(client: Client, label: str) -> None:
    while not any(  # noqa: ASYNC110 - another node says so in the database alone
        n.label == label and n.present for n in (await client.cluster()).nodes
    ):
        await asyncio.sleep(0.05)


async def _led(client: Client, node: Any = None) -> None:
    leader = await client.leader()
    while not leader.held or node not in (None, leader.node):
        await asyncio.sleep(0.05)
        leader = await client.leader()


async def test_a_drained_node_leads_no_more_until_that_is_undone(database: str) -> None:
    async with named(database, "a") as first, Client.open(database) as client:
        await first.leads()
        found = await client.drain("a", timeout=45)
        assert (found.draining, found.running) == (True, 0)
        assert not (await client.leader()).held
        with pytest.raises(ConflictError, match="'a' is drained"):
            await client.lead("a")
        async with named(database, "b") as second:
            await second.leads()  # the other one does
            assert (await client.drain("a", undo=True)).draining is False
            await client.drain("b", timeout=45)
            await _led(client, first.id)
    await whole(database)


async def test_runs_of_a_drained_node_go_on_and_are_waited_for(database: str) -> None:
    async with named(database, "a") as node, looking(database) as eye:
        await node.leads()
        run = await eye.enqueue("tests.long")
        await eye.until("SELECT state = 'running' FROM sereno.run WHERE id = $1", run)
        async with Client.open(database) as client:
            with pytest.raises(WaitTimeoutError, match="works on runs"):
                await client.drain("a", timeout=1)
            assert (await client.run(run)).state == "running"
            await client.cancel(run)
            await client.drain("a", timeout=45)


async def test_a_drained_standby_is_handed_no_run(database: str) -> None:
    async with named(database, "a") as first, Client.open(database) as client:
        await first.leads()
        async with named(database, "b") as second:
            await _present(client, "b")
            db = Database(database, size=1)
            await db.open()
            try:
                while not await hand_overs.offering(db, first.id, []):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                await client.drain("b")
                assert await hand_overs.offering(db, first.id, []) == []
                await client.drain("b", undo=True)
                (offers,) = await hand_overs.offering(db, first.id, [])
                assert offers.id == second.id
            finally:
                await db.close()


async def test_in_maintenance_nothing_begins_and_afterwards_nothing_is_missing(
    database: str,
) -> None:
    async with named(database, "a"), named(database, "b"), Client.open(database) as client:
        await _led(client)
        begun = await client.begin_maintenance(
            reason="the disk is changed", requested_by="ana", timeout=45
        )
        assert (begun.reason, begun.begun_by) == ("the disk is changed", "ana")
        assert not (await client.leader()).held
        queued = await client.enqueue("tests.tick")
        async with looking(database) as eye:
            # The next slot's run may have been claimed ahead of its instant: it is given back.
            await eye.until("SELECT count(*) = 0 FROM sereno.run WHERE state = 'running'")
            over = "SELECT array_agg(id ORDER BY id) FROM sereno.run WHERE state <> 'queued'"
            before = await eye.value(over)
            # Longer than a second and a failover: a slot was due, and who polls has polled.
            await eye.until(
                "SELECT clock_timestamp() > $1::timestamptz + interval '3 s'", begun.begun_at
            )
            assert await eye.value(over) == before
        assert (await client.run(queued)).state == "queued"
        with pytest.raises(ConflictError, match="is on already, since ana began it"):
            await client.begin_maintenance(reason="again")
        with pytest.raises(ConflictError, match="nobody leads"):
            await client.lead("b")
        assert (await client.cluster()).maintenance is not None
        async with named(database, "late") as late:  # one that comes meanwhile rests, too
            await _present(client, "late")
            assert not late.status.leading
            await client.end_maintenance()
            async with looking(database) as eye:
                assert (await eye.over(queued))["state"] == "succeeded"
        assert await client.maintenance() is None
        with pytest.raises(ConflictError, match="no maintenance is on"):
            await client.end_maintenance()
    await whole(database)


async def test_a_maintenance_ends_by_itself_and_may_be_followed_by_another(database: str) -> None:
    async with named(database, "a") as node, Client.open(database) as client:
        await node.leads()
        until = await client.now() + timedelta(hours=1)
        await client.begin_maintenance(reason="short", until=until, timeout=45)
        async with looking(database) as eye:  # shorter than a leader may take to give the lead up
            await eye.value("UPDATE sereno.maintenance SET until = now() + interval '1 s'")
        await _led(client)
        assert await client.maintenance() is None
        await client.begin_maintenance(reason="a second one", timeout=45)
        await client.end_maintenance()
    await whole(database)


async def test_orders_that_make_no_sense_are_refused(database: str) -> None:
    async with Client.open(database) as client:
        for name in ("nobody", "", "x" * 500, "a/b\x1b[31m😀"):
            with pytest.raises(NotFoundError, match="no node that is there"):
                await client.lead(name)
            with pytest.raises(NotFoundError):
                await client.drain(name)
        with pytest.raises(ParamsError, match="no reason"):
            await client.begin_maintenance(reason="  ")
        with pytest.raises(ParamsError, match="over already"):
            await client.begin_maintenance(reason="x", until=await client.now())
    async with named(database, "twin"), named(database, "twin"), Client.open(database) as client:
        while sum(n.present for n in (await client.cluster()).nodes) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        with pytest.raises(NotFoundError, match="2 nodes are called 'twin'"):
            await client.lead("twin")


async def test_a_table_of_orders_that_somebody_locks_deposes_nobody(database: str) -> None:
    async with named(database, "a") as node, connected(database) as other:
        await node.leads()
        async with other.transaction():
            await other.execute("LOCK TABLE sereno.node_order, sereno.maintenance")
            await other.execute("NOTIFY sereno, 'order'")
            await other.execute("SELECT pg_sleep(1)")  # two of its waits for a lock
            await node.finished("tests.tick")
            assert node.status.leading
        async with Client.open(database) as client:
            await client.drain("a", timeout=45)
            assert not node.status.leading


def test_a_leader_waits_for_longer_than_others_take_to_hear() -> None:
    assert POLL * 25 / 24 < HEARD < LEASE.total_seconds() / 3
    assert _YIELD > 2 * HEARD
