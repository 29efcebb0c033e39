"""A database whose clock is the test's: every statement of the kernel asks it for the time.

Sereno's SQL says ``clock_timestamp()``, and its sessions find functions in Postgres's own schema
alone. So one of the same name that stands there in place of Postgres's owns the time. Nothing in
the kernel knows of it, and Postgres's ``now()`` goes on as ever. It wants a superuser, and belongs
in a database that is thrown away.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sereno.model.errors import StoreError
from sereno.store.connection import connect
from sereno.store.errors import translated
from sereno.store.migrator import migrate
from sereno.store.sql import sql, sql_blocks


def blocks() -> Mapping[str, str]:
    """Return the SQL of a test's database, by name."""
    return sql_blocks(__package__)


async def make_own_time(database_url: str) -> None:
    """Put the clock and the kernel's schema into an empty database. Raises StoreError."""
    with translated():
        connection = await connect(database_url)
        try:
            await connection.execute(blocks()["own_clock"])
        finally:
            connection.terminate()
    await migrate(database_url)


async def set_time(connection: Any, at: datetime) -> None:
    """Make it `at` for every session of this database; `connection`: one of asyncpg."""
    await connection.execute(blocks()["set_time"], at)
    if await connection.fetchval(sql("database_now")) != at:
        raise StoreError(f"this database's clock does not show the {at} that was set")
