"""Looks now and then for what keeps PostgreSQL from cleaning up, so that metrics can tell of it."""

import asyncio
from contextlib import suppress

from sereno.engine.status import Status
from sereno.model.errors import SerenoError
from sereno.store.pool import Database
from sereno.store.vacuum import vacuum

EVERY = 30.0
"""Seconds between looks: it is a matter of hours."""


async def watch_vacuum(db: Database, status: Status, every: float = EVERY) -> None:
    """Note the oldest transaction and the dead rows, for ever."""
    while True:
        with suppress(SerenoError):
            found = await vacuum(db)
            status.oldest_transaction = found.oldest_seconds
            status.dead_rows = found.dead_rows
        await asyncio.sleep(every)
