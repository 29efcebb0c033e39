"""The table that was the kernel's goes over with all that waits in it; nothing is thrown away."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from sereno.model.errors import StoreError
from sereno.store.migrator import migrate
from sereno.store.pool import prepare_connection

from ...integration.scene import connected
from .scene import Recorder, made, telling

pytestmark = pytest.mark.every_postgres

WAITING = """
    INSERT INTO sereno.notification (key, notifier, kind, severity, open, message, due_at, state)
    SELECT 'k' || n, 'chat', 'test', 'warning', n % 2 = 0, jsonb_build_object(
               'title', 'k' || n, 'text', '', 'at', now(), 'facts', '{}'::jsonb),
           now() - interval '1 s',
           CASE n % 3 WHEN 0 THEN 'sent' WHEN 1 THEN 'queued' ELSE 'waiting' END
      FROM generate_series(1, 30) n
"""
KIND = "SELECT relkind::text FROM pg_class WHERE oid = to_regclass($1)"


@pytest.fixture
async def database_of_before(database: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(database) as found:
        await prepare_connection(found)
        yield found


async def kinds(connection: asyncpg.Connection) -> list[Any]:
    names = ("sereno.notification", "sereno_notify.notification")
    return [await connection.fetchval(KIND, name) for name in names]


async def test_what_waits_is_carried_once_and_the_record_stays(
    database: str, database_of_before: asyncpg.Connection
) -> None:
    await database_of_before.execute(WAITING)
    before = await database_of_before.fetch("SELECT * FROM sereno.notification ORDER BY id")
    chat = Recorder()
    await made(database)
    assert await kinds(database_of_before) == ["v", "r"]
    after = await database_of_before.fetch("SELECT * FROM sereno_notify.notification ORDER BY id")
    assert [tuple(r) for r in after] == [tuple(r) for r in before]
    async with telling(database, chat):
        for _ in range(20):
            await chat.signals.wait("sent")
    expected = sorted(f"k{n}" for n in range(1, 31) if n % 3)
    assert sorted(n.key for n in chat.sent) == expected


async def test_the_old_name_goes_by_a_post_migration_and_the_table_stays(
    database: str, database_of_before: asyncpg.Connection
) -> None:
    await database_of_before.execute(WAITING)
    await made(database)
    await migrate(database, post=True)
    assert await kinds(database_of_before) == [None, "r"]
    count = "SELECT count(*) FROM sereno_notify.notification"
    assert await database_of_before.fetchval(count) == 30
    await database_of_before.execute("INSERT INTO sereno.overdue VALUES ('etl.sync', 'info')")
    await database_of_before.execute("DELETE FROM sereno.overdue")


async def test_without_the_plugin_it_goes_only_once_nothing_waits_in_it(
    database: str, database_of_before: asyncpg.Connection
) -> None:
    await database_of_before.execute(WAITING)
    with pytest.raises(
        StoreError, match=r"20 messages wait in sereno\.notification, and no plugin"
    ):
        await migrate(database, post=True)
    assert await kinds(database_of_before) == ["r", None]
    await database_of_before.execute("UPDATE sereno.notification SET state = 'failed'")
    await migrate(database, post=True)
    assert await kinds(database_of_before) == [None, None]


async def test_a_plugin_that_comes_after_the_post_migration_makes_its_table(
    database: str, database_of_before: asyncpg.Connection
) -> None:
    await migrate(database, post=True)
    await made(database)
    assert await kinds(database_of_before) == [None, "r"]
    made_new = await shape(database_of_before)
    await database_of_before.execute("DROP SCHEMA sereno_notify CASCADE")
    await made(database)
    assert await shape(database_of_before) == made_new


async def test_the_table_that_is_made_is_the_one_that_is_taken_over(
    database: str, empty_database: str, database_of_before: asyncpg.Connection
) -> None:
    await made(database)
    taken = await shape(database_of_before)
    await migrate(empty_database, post=True)
    await made(empty_database)
    async with connected(empty_database) as other:
        assert await shape(other) == taken


async def shape(connection: asyncpg.Connection) -> list[tuple[Any, ...]]:
    """Return columns, indexes and constraints of the plugin's table."""
    columns = await connection.fetch(
        "SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns"
        " WHERE table_schema = 'sereno_notify' ORDER BY column_name"
    )
    indexes = await connection.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'sereno_notify' ORDER BY 1"
    )
    constraints = await connection.fetch(
        "SELECT conname, replace(pg_get_constraintdef(oid), ' NOT VALID', '') FROM pg_constraint"
        " WHERE connamespace = 'sereno_notify'::regnamespace AND contype <> 'n' ORDER BY 1"
    )
    return [tuple(row) for row in [*columns, *indexes, *constraints]]


async def test_roles_that_could_work_on_the_table_can_work_on_the_view(
    database: str, database_of_before: asyncpg.Connection
) -> None:
    execute = database_of_before.execute
    await execute("CREATE ROLE old_runner; GRANT USAGE ON SCHEMA sereno TO old_runner")
    await execute("GRANT SELECT, INSERT, UPDATE ON sereno.notification TO old_runner")
    try:
        await made(database)
        await execute("SET ROLE old_runner")
        await execute(WAITING.replace("30", "3"))
        assert await database_of_before.fetchval("SELECT count(*) FROM sereno.notification") == 3
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await execute("DELETE FROM sereno.notification")
    finally:
        await execute("RESET ROLE; DROP OWNED BY old_runner; DROP ROLE old_runner")
