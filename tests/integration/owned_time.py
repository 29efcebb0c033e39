"""A database whose clock is the test's: every statement of the kernel asks it for the time.

Sereno's SQL says ``clock_timestamp()``, and its sessions find functions in Postgres's own schema
alone. So one of the same name that stands there in place of Postgres's owns the time, also in the
kernel's functions and in the defaults of its tables. Nothing in the kernel knows of it.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import asyncpg

from sereno.store.migrator import migrate
from sereno.store.sql import sql

_SCHEMA = """
CREATE SCHEMA owned;
CREATE TABLE owned.time (at timestamptz NOT NULL);
INSERT INTO owned.time VALUES ('2000-01-01T00:00:00Z');
SET allow_system_table_mods = on;
ALTER FUNCTION pg_catalog.clock_timestamp() RENAME TO true_clock_timestamp;
CREATE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT at FROM owned.time';
"""


def fill(dsn: str) -> None:
    """Put the clock and the kernel's schema into an empty database, on a loop of its own."""
    with ThreadPoolExecutor(1) as thread:  # the caller may be on a loop
        thread.submit(asyncio.run, _fill(dsn)).result()


async def _fill(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(_SCHEMA)
    connection.terminate()
    await migrate(dsn)


async def set_time(connection: asyncpg.Connection, at: datetime) -> None:
    """Make it `at` for every session of this database."""
    await connection.execute("UPDATE owned.time SET at = $1", at)
    assert await connection.fetchval(sql("database_now")) == at
