"""Who keeps PostgreSQL from cleaning up is seen, and how much is left."""

import asyncio
from uuid import uuid4

from sereno.app.vacuum_watch import watch_vacuum
from sereno.engine.status import Status
from sereno.store.pool import Database
from sereno.store.vacuum import vacuum

from .node import looking
from .scene import connected


async def test_an_open_transaction_and_dead_rows_are_seen_and_their_end_too(database: str) -> None:
    db = Database(database, size=1)
    await db.open()
    async with looking(database) as eye, connected(database) as other:
        await eye.connection.execute(
            "INSERT INTO sereno.job (name, plugin, policies) VALUES ('a.b', 'a', '{}')"
        )
        transaction = other.transaction(isolation="repeatable_read")
        await transaction.start()
        await other.fetchval("SELECT count(*) FROM sereno.job")
        await eye.connection.execute("DELETE FROM sereno.job")
        # PostgreSQL 14 tells its statistics at the end of some later statement.
        new = eye.connection.get_server_version().major >= 15
        flush = "SELECT pg_stat_force_next_flush()" if new else "SELECT 1"
        while not (found := await vacuum(db)).dead_rows or not found.oldest_seconds:
            await eye.connection.execute(flush)
            await asyncio.sleep(0.02)
        held = found.oldest_seconds
        await transaction.rollback()
        while (await vacuum(db)).oldest_seconds >= held:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    await db.close()


async def test_a_database_that_is_away_costs_nothing(database: str) -> None:
    status = Status(node=uuid4(), label="a", version="0")
    away = Database("postgresql://nobody@127.0.0.1:1/none", size=1)
    task = asyncio.ensure_future(watch_vacuum(away, status, every=0.01))
    await asyncio.wait({task}, timeout=0.1)
    assert not task.done()
    task.cancel()
    await asyncio.wait({task})
    assert (status.oldest_transaction, status.dead_rows) == (0.0, 0)
