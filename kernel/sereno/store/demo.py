"""Makes the database that demonstrations have to themselves on the embedded PostgreSQL, and keeps
them out of one that is somebody's."""

from contextlib import suppress

import asyncpg

from sereno.model.errors import ConfigurationError, SchemaError
from sereno.store.connection import connect
from sereno.store.errors import translated
from sereno.store.pool import Database
from sereno.store.sql import sql

VERSION_SUFFIX = " demo"
"""How the version of a demonstration's node ends, by which it is known."""


async def refuse_real_cluster(dsn: str) -> None:
    """Raise ConfigurationError where replicas that are no demonstration led within a day: their
    schedules would move, and their jobs be orphaned. Raises StoreUnavailableError."""
    db = Database(dsn, size=1)
    await db.open()
    try:
        row = await db.fetchrow("led_lately", VERSION_SUFFIX)
    except SchemaError:  # an empty database, or one of another application
        row = None
    finally:
        await db.close()
    if row is not None:
        raise ConfigurationError(
            f"this database belongs to a cluster: replica '{row['label']}' led it at "
            f"{row['led_at']:%Y-%m-%d %H:%M:%S} UTC, and is no demonstration. This one would "
            "lead it, move its schedules and orphan its jobs; leave --database-url out, for one of "
            "its own, or say --yes"
        )


async def make_demo_database(dsn: str) -> None:
    """Make the database `demo` beside the one at `dsn`, if it is not there."""
    with translated():
        connection = await connect(dsn, timeout=10.0)
        try:
            # The second: two that make it at once.
            with suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                await connection.execute(sql("demo_database"))
        finally:
            connection.terminate()
