"""Keeps the embedded PostgreSQL up while a node works with it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sereno.embedded import EmbeddedPostgres
from sereno.store.demo import make_demo_database

log = logging.getLogger("sereno.kernel")

_EVERY = 2.0


@asynccontextmanager
async def kept(directory: Path | None, *, demo: bool = False) -> AsyncIterator[str]:
    """Give the address of a database of the server whose data are in `directory`: its own, or that
    of demonstrations; start it again when it dies."""
    embedded = EmbeddedPostgres(directory)
    await asyncio.to_thread(embedded.__enter__)
    watching = asyncio.ensure_future(_keep(embedded))
    try:
        if demo:
            await make_demo_database(embedded.dsn)
        yield embedded.demo_dsn if demo else embedded.dsn
    finally:
        watching.cancel()
        await asyncio.to_thread(embedded.__exit__, None, None, None)


async def _keep(embedded: EmbeddedPostgres) -> None:
    while True:
        await asyncio.sleep(_EVERY)
        if not await asyncio.to_thread(embedded.is_running):
            log.warning("the embedded PostgreSQL is gone; starting it again")
            try:
                await asyncio.to_thread(embedded.ensure_running)
            except Exception:
                log.exception("the embedded PostgreSQL does not start")
