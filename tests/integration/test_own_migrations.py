"""A schema that lists its migrations itself, in whatever database a connection leads to."""

import asyncio

import asyncpg
import pytest

from sereno import (
    Migrations,
    SchemaError,
    StoreError,
    StoreUnavailableError,
    apply_migrations,
)
from sereno.store.keys import MIGRATION_LOCK

from .scene import connected
from .tables_scene import Planted, TablesPlugin, planted

__all__ = ["planted"]

NOTE = "CREATE TABLE note (id bigint)"
WIDER = "ALTER TABLE note ADD COLUMN text text"


def wanted(plugin: TablesPlugin) -> Migrations:
    return Migrations(schema=plugin.schema, package=plugin.package)


async def listed(connection: asyncpg.Connection) -> list[str]:
    rows = await connection.fetch("SELECT name FROM notes.sereno_migration ORDER BY number")
    return [row["name"] for row in rows]


async def test_each_file_is_applied_once_however_many_begin(
    empty_database: str, planted: Planted
) -> None:
    files = {f"m000{n}_pre_t{n}": f"CREATE TABLE t{n} (id int)" for n in range(1, 6)}
    ours = wanted(planted("notes", **files))

    async def one() -> list[str]:
        async with connected(empty_database) as connection:
            return await apply_migrations(connection, ours)

    applied = [name for done in await asyncio.gather(*(one() for _ in range(6))) for name in done]

    assert sorted(applied) == [f"000{n}_pre_t{n}.sql" for n in range(1, 6)]
    assert await one() == []


async def test_a_version_that_knows_fewer_works_beside_a_newer_one(
    empty_database: str, planted: Planted
) -> None:
    async with connected(empty_database) as connection:
        newer = planted("notes", m0001_pre_note=NOTE, m0002_pre_wider=WIDER)
        await apply_migrations(connection, wanted(newer))
        older = planted("notes", m0001_pre_note=NOTE)
        assert await apply_migrations(connection, wanted(older)) == []


async def test_one_that_fails_leaves_nothing_of_itself_and_those_before_it_stay(
    empty_database: str, planted: Planted
) -> None:
    bad = planted("notes", m0001_pre_note=NOTE, m0002_pre_half=f"{WIDER}; SELECT 1/0")
    async with connected(empty_database) as connection:
        with pytest.raises(StoreError, match=r"0002_pre_half\.sql of schema 'notes' failed: div"):
            await apply_migrations(connection, wanted(bad))
        assert await listed(connection) == ["0001_pre_note.sql"]
        with pytest.raises(asyncpg.UndefinedColumnError):
            await connection.fetch("SELECT text FROM notes.note")


@pytest.mark.parametrize("word", ["COMMIT", "ROLLBACK", "COMMIT; BEGIN"])
async def test_one_that_ends_its_transaction_is_told_by_name(
    empty_database: str, planted: Planted, word: str
) -> None:
    rude = planted("notes", m0001_pre_note=f"{NOTE}; {word}")
    async with connected(empty_database) as connection:
        with pytest.raises(StoreError, match=r"0001_pre_note\.sql of schema 'notes' ends its tran"):
            await apply_migrations(connection, wanted(rude))


async def test_one_that_was_changed_after_it_had_been_applied_is_refused(
    empty_database: str, planted: Planted
) -> None:
    async with connected(empty_database) as connection:
        await apply_migrations(connection, wanted(planted("notes", m0001_pre_note=NOTE)))
        changed = planted("notes", m0001_pre_note=f"{NOTE};")
        with pytest.raises(SchemaError, match="was changed after it had been applied"):
            await apply_migrations(connection, wanted(changed))


async def test_a_post_is_refused_before_anything_is_made(
    empty_database: str, planted: Planted
) -> None:
    taking = planted("notes", m0001_pre_note=NOTE, m0002_post_less="DROP TABLE note")
    async with connected(empty_database) as connection:
        with pytest.raises(SchemaError, match=r"0002_post_less\.sql of schema 'notes' is a \*post"):
            await apply_migrations(connection, wanted(taking))
        assert await connection.fetchval("SELECT to_regnamespace('notes')") is None


async def test_what_stands_already_is_listed_and_not_executed(
    empty_database: str, planted: Planted
) -> None:
    ours = wanted(planted("notes", m0001_pre_note="SELECT 1/0", m0002_pre_wider=WIDER))
    async with connected(empty_database) as connection:
        await connection.execute(f"CREATE SCHEMA notes; SET search_path = notes; {NOTE}")
        done = await apply_migrations(connection, ours, standing=[1])
        assert done == await listed(connection) == ["0001_pre_note.sql", "0002_pre_wider.sql"]


async def test_who_holds_the_migrators_lock_is_named_and_the_connection_goes_on(
    empty_database: str, planted: Planted
) -> None:
    ours = wanted(planted("notes", m0001_pre_note=NOTE))
    async with connected(empty_database) as other, connected(empty_database) as connection:
        async with other.transaction():
            await other.execute("SET application_name = 'somebody'")
            await other.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
            with pytest.raises(StoreUnavailableError, match=r"lock is held by .*somebody"):
                await apply_migrations(connection, ours)
        assert await apply_migrations(connection, ours) == ["0001_pre_note.sql"]
