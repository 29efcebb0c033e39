"""Makes the database that demonstrations have to themselves on the embedded PostgreSQL."""

from contextlib import suppress

import asyncpg

from sereno.store.connect import connect
from sereno.store.errors import translated
from sereno.store.sql import sql


async def make_demo_database(dsn: str) -> None:
    """Make the database `demo` beside the one at `dsn`, if it is not there."""
    with translated():
        connection = await connect(dsn, settings={}, timeout=10.0)
        try:
            # The second: two that make it at once.
            with suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                await connection.execute(sql("demo_database"))
        finally:
            connection.terminate()
