"""The reference of SQL functions is what the database has, and its examples do what it says."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from tools.reference import sql

from .scene import opened

PAGE = (Path(__file__).parents[2] / "docs/reference/sql.md").read_text()
_SHORT = {"timestamp with time zone": "timestamptz"}


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection]:
    async with opened(database) as scene:
        await scene.declare("shop.mail")
    found = await asyncpg.connect(database)
    yield found
    await found.close()


async def test_each_function_has_in_the_database_the_arguments_of_the_page(
    connection: asyncpg.Connection,
) -> None:
    for name in sql.FUNCTIONS:
        found = await connection.fetch(
            "SELECT pg_get_function_arguments(oid) AS told FROM pg_proc"
            " WHERE pronamespace = 'sereno'::regnamespace AND proname = $1",
            name,
        )
        (function,) = found
        assert _words(function["told"]) == _words(
            sql.signature(name).partition("(")[2].rpartition(") ->")[0]
        )


async def test_the_examples_of_the_page_are_carried_out(connection: asyncpg.Connection) -> None:
    (example,) = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    told = [await connection.fetch(line) for line in example.strip().splitlines()]
    assert len(told) == 8
    assert told[3][0]["run_id"] == told[2][0][0]
    assert not told[3][0]["new"]
    people = await connection.fetch("SELECT params ->> 'to' AS name FROM sereno.run ORDER BY id")
    assert [row["name"] for row in people] == ["ann", "bob", "eve", "dan", "fay", "gus", "hal"]


def _words(arguments: str) -> list[str]:
    """Return the names, types and defaults, without how PostgreSQL writes casts and spaces."""
    for long, short in _SHORT.items():
        arguments = arguments.replace(long, short)
    plain = re.sub(r"::(?:\w+(?:\[\])?)|'730 days'", "", arguments)
    return [re.sub(r" DEFAULT (NULL)?", " ", " ".join(one.split())) for one in plain.split(",")]
