"""Reads by what one tells that something has changed, and hears of it from the database."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from sereno.model.errors import StoreUnavailableError
from sereno.store.connection import connect
from sereno.store.errors import translated
from sereno.store.keys import CHANNEL
from sereno.store.own_sockets import unshare
from sereno.store.pool import Database, file_of

_WITHIN = 10.0


class Pulse(msgspec.Struct, frozen=True, kw_only=True):
    """How all was at `now`. `begun`: jobs that have runs newer than the pulse before; `changed`:
    subjects of changes since; the rest is compared with how it was."""

    now: datetime
    newest: int
    begun: list[str]
    ended: dict[str, Any]
    running: dict[str, Any]
    change: int
    changed: list[str]
    bulks: Any
    cluster: Any


async def pulse(db: Database, before: Pulse | None) -> Pulse:
    """Return how all is; `before`: the last one that was seen."""
    seen = (None, None) if before is None else (before.newest, before.change)
    row = await db.fetchrow("pulse", *seen)
    if row is None:
        raise StoreUnavailableError("the database gave no answer to what has changed")
    facts = dict(row)
    for name in ("ended", "running", "bulks", "cluster"):
        facts[name] = msgspec.json.decode(facts[name] or "null")
    return Pulse(**facts)


@asynccontextmanager
async def listening(db: Database, heard: Callable[[], object]) -> AsyncIterator[Callable[[], bool]]:
    """Call `heard` at each notification of the cluster; gives what tells whether any can be heard.

    None can through a transaction pooler, nor while the database is away: who looks from time to
    time loses nothing but moments.
    """
    connection: asyncpg.Connection | None = None
    if not db.pooled:
        with suppress(StoreUnavailableError), translated():
            connection = await connect(
                db.dsn, settings={"application_name": "sereno news"}, timeout=_WITHIN
            )
            unshare(connection, file_of)
            async with asyncio.timeout(_WITHIN):
                await connection.add_listener(CHANNEL, lambda *_: heard())
            connection.add_termination_listener(lambda _: heard())
    try:
        yield lambda: connection is not None and not connection.is_closed()
    finally:
        if connection is not None:
            connection.terminate()
