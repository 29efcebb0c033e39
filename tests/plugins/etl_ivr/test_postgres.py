# ruff: noqa: DTZ001 - local times have no zone
"""etl_ivr.sync from PostgreSQL, where Asterisk's own cdr may live."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from .conftest import Sync
from .pbx import fetch, loaded
from .test_dirt import NASTY

TABLE = """
CREATE SCHEMA pbx;
CREATE TABLE pbx.cdr (
  start timestamp, answer timestamptz, src varchar(80), dst varchar(80), duration integer,
  billsec integer, disposition text, userfield text, uniqueid varchar(150), linkedid varchar(150),
  sequence integer, done boolean, amount numeric
);
CREATE INDEX ON pbx.cdr (start)
"""
SAME = ("src", "dst", "duration", "userfield", "uniqueid", "sequence")


async def source_rows(database: str, *names: str) -> dict[tuple[str | None, ...], int]:
    columns = ", ".join(f"{name}::text" for name in names)
    rows = await fetch(database, f"SELECT {columns}, count(*) FROM pbx.cdr GROUP BY {columns}")
    return {tuple(row)[:-1]: row[-1] for row in rows}


@pytest.fixture
async def exchange(database: str) -> asyncpg.Connection:
    connection = await asyncpg.connect(database)
    await connection.execute(TABLE)
    yield connection
    await connection.close()


@pytest.mark.every_postgres
async def test_calls_move_within_postgres_once_each(
    exchange: asyncpg.Connection, synced: Sync, database: str
) -> None:
    await exchange.execute(
        "INSERT INTO pbx.cdr SELECT '2026-03-01'::timestamp + n / 7 * interval '1 second', NULL,"
        " n, '', n, 0, 'BUSY', NULL, n % 50, n, n FROM generate_series(1, 5000) n"
    )

    result = await synced(database, source_table="pbx.cdr", batch_size=100)

    assert result["inserted"] == 5000
    assert await loaded(database, "calldate", *SAME) == await source_rows(database, "start", *SAME)
    again = await synced(database, source_table="pbx.cdr", overlap=timedelta(days=9000))
    assert (again["processed"], again["rejected"]) == (0, 0)


async def test_every_text_and_null_arrives_as_it_was(
    exchange: asyncpg.Connection, synced: Sync, database: str
) -> None:
    for n, text in enumerate([*NASTY, None]):
        await exchange.execute(
            "INSERT INTO pbx.cdr (start, uniqueid, userfield, sequence, done, amount)"
            " VALUES ('2026-03-01 10:00:00.25', '1.1', $1, $2, true, 1.50)",
            text,
            n,
        )

    await synced(database, source_table="pbx.cdr")

    extra = ("calldate", *SAME, "extra ->> 'done'", "extra ->> 'amount'")
    theirs = ("start", *SAME, "done", "amount")
    assert await loaded(database, *extra) == await source_rows(database, *theirs)


async def test_infinite_and_missing_times_do_no_harm(
    exchange: asyncpg.Connection, synced: Sync, database: str
) -> None:
    await exchange.execute(
        "INSERT INTO pbx.cdr (start, uniqueid) VALUES (NULL, '1.1'), ('infinity', '1.2'),"
        " ('-infinity', '1.3'), ('0044-03-15 BC', '1.4'), ('0001-01-01', '1.5'),"
        " ('9999-12-31 23:59:59.5', '1.6'), ('2026-03-01', '1.7')"
    )

    await synced(database, source_table="pbx.cdr")

    ids = {row[0] for row in await loaded(database, "uniqueid")}
    assert {"1.1", "1.5", "1.6", "1.7"} <= ids
    assert (await synced(database, source_table="pbx.cdr"))["processed"] == 0


async def test_a_cursor_with_a_zone_needs_no_zone_setting(
    exchange: asyncpg.Connection, synced: Sync, database: str
) -> None:
    await exchange.execute("SET timezone = 'UTC'")
    await exchange.execute("ALTER TABLE pbx.cdr ALTER start TYPE timestamptz")
    await exchange.execute(
        "INSERT INTO pbx.cdr (start, uniqueid) VALUES ('2026-03-01 10:00:00-03', '1.1')"
    )

    await synced(database, source_table="pbx.cdr", source_timezone="America/New_York")

    (row,) = await fetch(database, "SELECT started_at, calldate FROM ivr.calls")
    assert row["started_at"] == datetime(2026, 3, 1, 13, tzinfo=UTC)
    assert row["calldate"] == datetime(2026, 3, 1, 13)
