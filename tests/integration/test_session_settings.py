"""What the database or the role sets for its sessions changes nothing of what the kernel does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from sereno.engine.verification import verify
from sereno.model.job import job
from sereno.store.connection import SESSION, connect, session_settings
from sereno.store.migration import migrations
from sereno.store.migrator import migrate
from sereno.store.pool import Database
from sereno.store.session import NodeIdentity, NodeSession
from sereno.triggers import every

from ..servers.pgbouncer import PgBouncer
from ..servers.postgres import PostgresServer
from .node import running
from .scene import connected

pytestmark = pytest.mark.every_postgres


@job("tests.tick", schedule=every("1s"))
async def tick(run: object) -> None: ...


HOSTILE = {
    "synchronous_commit": "off",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "statement_timeout": "1ms",
    "lock_timeout": "1ms",
    "idle_session_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "transaction_timeout": "1ms",
    "exit_on_error": "on",
    "search_path": "nowhere",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "TimeZone": "Pacific/Chatham",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
}
SHOWN = "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])"


def hostile(version: int) -> dict[str, str]:
    return {n: v for n, v in HOSTILE.items() if n != "transaction_timeout" or version >= 17}


async def spoil(dsn: str, settings: dict[str, str], whom: str = "DATABASE") -> None:
    """Set `settings` for every session to come, by the database or by the role."""
    async with connected(dsn) as admin:
        name = "postgres" if whom == "ROLE" else await admin.fetchval("SELECT current_database()")
        await admin.execute("SET standard_conforming_strings = on")
        for setting, value in settings.items():
            await admin.execute(f"ALTER {whom} {name} SET {setting} = '{value}'")


async def heal(dsn: str) -> None:
    admin = await connect(dsn)
    try:
        await admin.execute("ALTER ROLE postgres RESET ALL")
    finally:
        await admin.close()


@asynccontextmanager
async def pool(dsn: str, lock_timeout: float = 0.0) -> AsyncIterator[Database]:
    db = Database(dsn, size=2, lock_timeout=lock_timeout)
    await db.open()
    try:
        yield db
    finally:
        await db.close()


async def shown(connection: asyncpg.Connection, names: list[str]) -> dict[str, str]:
    return {r["name"]: r["setting"] for r in await connection.fetch(SHOWN, names)}


def test_each_setting_that_is_named_has_a_hostile_value_here() -> None:
    assert set(HOSTILE) == set(session_settings(99))


@pytest.mark.parametrize("whom", ["DATABASE", "ROLE"])
async def test_the_sessions_of_the_pool_and_of_the_lead_name_what_they_need(
    whom: str, database: str, postgres_server: PostgresServer
) -> None:
    version = postgres_server.version
    named = session_settings(version)
    expected = {n: v for n, v in named.items() if not v.endswith("min")}
    try:
        await spoil(database, hostile(version), whom)
        async with pool(database) as db, db.connection() as connection:
            assert await shown(connection, list(expected)) == expected
        session = NodeSession(database, lease=60.0, timeout=20.0, application="sereno test")
        await session.open(lambda word: None, lambda: None)
        try:
            assert session._connection is not None
            lease = {"idle_session_timeout": "60000", "statement_timeout": "60000"}
            lease["lock_timeout"] = "10000"  # half of what a call may take
            assert await shown(session._connection, list(expected)) == expected | lease
        finally:
            session.terminate()
    finally:
        await heal(database)


async def test_nodes_that_start_together_on_an_empty_database_all_find_their_schema(
    empty_database: str, postgres_server: PostgresServer
) -> None:
    await spoil(empty_database, hostile(postgres_server.version))
    applied = await asyncio.gather(*(migrate(empty_database) for _ in range(6)))
    assert sorted(n for found in applied for n in found.applied) == sorted(
        m.name for m in migrations() if not m.post
    )
    async with pool(empty_database) as db:
        assert await db.fetchval("leader_now", 1, 0) == 0


async def test_a_term_begins_where_every_setting_is_against_it(
    database: str, postgres_server: PostgresServer
) -> None:
    await spoil(database, hostile(postgres_server.version))
    node = NodeIdentity(UUID(int=7), 7)
    async with pool(database) as db:
        async with db.connection() as connection:
            node_row = "INSERT INTO sereno.node (id, label, pid, version) VALUES ($1, 'x', 1, '1')"
            await connection.execute(node_row, node.id)
        session = NodeSession(database, lease=60.0, timeout=20.0, application="sereno test")
        await session.open(lambda word: None, lambda: None)
        try:
            assert await session.claim_presence(node)
            assert (await session.try_lead())[0]
            assert await session.begin_term(node, db) == 1
            assert (await verify(db, timedelta(days=1))).holds
        finally:
            session.terminate()


@pytest.mark.parametrize("whom", ["DATABASE", "ROLE"])
async def test_a_second_replica_takes_part_where_every_setting_is_against_it(
    whom: str, database: str, postgres_server: PostgresServer
) -> None:
    version = postgres_server.version
    async with running(database, tick) as first:
        await first.leads()
        try:
            await spoil(database, hostile(version), whom)
            async with running(database, tick) as second:
                await first.stop()
                await second.leads()
                await second.finished("tests.tick")
        finally:
            await heal(database)


@pytest.mark.parametrize("setting", ["statement_timeout", "lock_timeout"])
async def test_behind_a_pooler_each_transaction_names_the_limits_that_are_too_short(
    setting: str, database: str, postgres_server: PostgresServer
) -> None:
    await spoil(database, {setting: "9s"})  # of the 10 s that a call of the pool may take
    pooler = PgBouncer(postgres_server.port, postgres_server.programs.account)
    try:
        pooler.start()
        dsn = pooler.dsn(database.rpartition("/")[2])
        async with pool(dsn) as db, db.connection() as connection:
            assert await connection.fetchval(f"SHOW {setting}") == "0"
    finally:
        pooler.remove()


async def test_behind_a_pooler_a_statement_waits_for_a_lock_as_long_as_it_is_to(
    database: str, postgres_server: PostgresServer
) -> None:
    pooler = PgBouncer(postgres_server.port, postgres_server.programs.account)
    try:
        pooler.start()
        dsn = pooler.dsn(database.rpartition("/")[2])
        async with pool(dsn, 0.3) as db, db.connection() as connection:
            assert await connection.fetchval("SHOW lock_timeout") == "300ms"
        await spoil(database, {"lock_timeout": "250ms", "synchronous_commit": "on"})
        pooler.stop()
        pooler.start()
        async with pool(dsn, 0.3) as db, db.connection() as connection:  # it is short enough
            assert not connection.is_in_transaction()
    finally:
        pooler.remove()


async def test_behind_a_pooler_each_transaction_names_isolation_and_commit(
    database: str, postgres_server: PostgresServer
) -> None:
    settings = {"default_transaction_isolation": "serializable", "synchronous_commit": "off"}
    await spoil(database, settings)
    pooler = PgBouncer(postgres_server.port, postgres_server.programs.account)
    try:
        pooler.start()
        name = database.rpartition("/")[2]
        async with pool(pooler.dsn(name)) as db:
            assert db.pooled
            for lend in (db.connection, db.transaction):
                async with lend() as connection:
                    assert (
                        await connection.fetchval("SHOW transaction_isolation")
                        == (SESSION["default_transaction_isolation"])
                    )
                    assert await connection.fetchval("SHOW synchronous_commit") == "on"
            assert (await verify(db, timedelta(days=1))).holds
        async with connected(pooler.dsn(name)) as other:  # whose session it may be next
            assert await other.fetchval("SHOW synchronous_commit") == "off"
    finally:
        pooler.remove()


async def test_a_pooler_that_is_not_set_against_us_costs_no_transaction(
    database: str, postgres_server: PostgresServer
) -> None:
    await spoil(database, {"synchronous_commit": "on"})  # as it is where nobody has set it
    pooler = PgBouncer(postgres_server.port, postgres_server.programs.account)
    try:
        pooler.start()
        dsn = pooler.dsn(database.rpartition("/")[2])
        async with pool(dsn) as db, db.connection() as connection:
            assert not connection.is_in_transaction()
    finally:
        pooler.remove()
