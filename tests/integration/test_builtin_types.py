"""Connections of one process ask once, not each, what an array of PostgreSQL's own types is."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from sereno.store import builtin_types
from sereno.store.connection import connect

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
ASKED = "SELECT $1::bigint[] AS a, $2::timestamptz[] AS b, $3::uuid[] AS c"
VALUES: tuple[list[Any], ...] = ([1, None], [AT], [])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[int]]]:
    """Give the types for which the driver asks from now on, in a process that knows none."""
    found: list[list[int]] = []
    ask = asyncpg.Connection._introspect_types

    async def noting(self: Any, typeoids: Any, timeout: Any) -> Any:
        found.append(sorted(typeoids))
        return await ask(self, typeoids, timeout)

    monkeypatch.setattr(asyncpg.Connection, "_introspect_types", noting)
    monkeypatch.setattr(builtin_types, "_arrays", {})
    return found


@pytest.mark.every_postgres
async def test_the_second_connection_asks_for_no_array_of_the_first(
    database: str, asked: list[list[int]]
) -> None:
    for _ in range(3):
        connection = await connect(database)
        try:
            assert tuple(await connection.fetchrow(ASKED, *VALUES)) == VALUES
            assert tuple(await connection.fetchrow(ASKED, *VALUES)) == VALUES
        finally:
            await connection.close()
    assert asked == [[1016, 1185, 2951]]


async def test_without_prepared_statements_as_behind_a_pooler_it_is_the_same(
    database: str, asked: list[list[int]]
) -> None:
    for _ in range(2):
        connection = await connect(database, statement_cache_size=0)
        try:
            assert tuple(await connection.fetchrow(ASKED, *VALUES)) == VALUES
        finally:
            await connection.close()
    assert len(asked) == 1


async def test_types_of_a_database_are_asked_for_by_each_connection(
    database: str, asked: list[list[int]]
) -> None:
    told = "SELECT $1::bigint[] AS a, ARRAY['x']::public.letter[] AS b, ROW (2)::public.pair AS c"
    for number, kind in enumerate(("text", "varchar(9)")):  # as after a restore: another number
        connection = await connect(database)
        try:
            await connection.execute(f"CREATE DOMAIN public.letter AS {kind}")
            await connection.execute("CREATE TYPE public.pair AS (a int)")
            row = await connection.fetchrow(told, [number])
            assert (row["a"], row["b"], row["c"]["a"]) == ([number], ["x"], 2)
            await connection.execute("DROP DOMAIN public.letter")
            await connection.execute("DROP TYPE public.pair")
        finally:
            await connection.close()
    assert [len(types) for types in asked] == [3, 2]
