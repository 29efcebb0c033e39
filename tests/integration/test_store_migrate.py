"""The schema comes up once, whoever comes first, and nobody works on one that does not fit."""

import asyncio

import pytest

from sereno.model.errors import SchemaError, StoreUnavailableError
from sereno.store import migrate as module
from sereno.store.migrate import migrate, migrations

from .scene import connected

pytestmark = pytest.mark.every_postgres


async def _execute(dsn: str, statement: str) -> None:
    async with connected(dsn) as connection:
        await connection.execute(statement)


async def test_an_empty_database_gets_every_migration_and_a_second_go_has_nothing_to_do(
    empty_database: str,
) -> None:
    names = [m.name for m in migrations()]
    assert await migrate(empty_database) == names
    assert await migrate(empty_database) == []
    async with connected(empty_database) as connection:
        known = await connection.fetch("SELECT name FROM sereno.migration ORDER BY number")
    assert [r["name"] for r in known] == names


async def test_of_several_replicas_that_start_at_once_one_migrates_and_all_come_up(
    empty_database: str,
) -> None:
    applied = await asyncio.gather(*(migrate(empty_database) for _ in range(4)))
    assert sorted(applied) == [[], [], [], [m.name for m in migrations()]]


async def test_a_migration_that_was_changed_after_it_had_been_applied_is_refused(
    database: str,
) -> None:
    await _execute(database, "UPDATE sereno.migration SET checksum = 'x' WHERE number = 1")
    with pytest.raises(SchemaError, match=r"0001_pre_\w+\.sql was changed after it had been"):
        await migrate(database)


async def test_a_database_of_a_newer_version_is_refused_with_the_remedy(database: str) -> None:
    await _execute(
        database, "INSERT INTO sereno.migration VALUES (9999, '9999_post_future.sql', 'x')"
    )
    with pytest.raises(SchemaError, match=r"9999_post_future\.sql.*upgrade this replica"):
        await migrate(database)


async def test_a_migration_that_fails_leaves_nothing_of_itself_behind(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = module.Migration(9000, "9000_pre_bad.sql", "CREATE TABLE sereno.half (); SELECT 1/0", "x")
    monkeypatch.setattr(module, "migrations", lambda: (*migrations(), bad))
    with pytest.raises(Exception, match="division by zero"):
        await migrate(database)
    async with connected(database) as connection:
        assert await connection.fetchval("SELECT to_regclass('sereno.half')") is None
        assert await connection.fetchval("SELECT max(number) FROM sereno.migration") < 9000


async def test_no_database_is_told_as_such() -> None:
    with pytest.raises(StoreUnavailableError):
        await migrate("postgresql://nobody@127.0.0.1:1/none")


def test_migrations_are_numbered_without_a_gap_and_each_says_before_or_after_which_code() -> None:
    assert [m.number for m in migrations()] == list(range(1, len(migrations()) + 1))
