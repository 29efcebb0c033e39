"""Says on a standby who leads, so that its log and status hold more than that it is there."""

import asyncio
import logging
from contextlib import suppress
from uuid import UUID

from sereno.engine.status import Status
from sereno.model.errors import SerenoError
from sereno.store import views
from sereno.store.pool import Database
from sereno.store.views import LeaderView

log = logging.getLogger("sereno.leader")

_EVERY = 15.0
_SOON = 0.2
_SOON_TIMES = 25
"""Polls soon after one another at the start, when a leader has the lock and not yet its term."""


async def log_who_leads(db: Database, status: Status, refused: asyncio.Event) -> None:
    """Log each leader that this node stands by for, from the first try on that was `refused`."""
    logged: tuple[UUID, int] | None = None
    polls = 0
    await refused.wait()
    while True:
        polls += 1
        found = None if status.leading or status.leaving else await _other_leader(db, status)
        status.followed = "" if found is None else found.label or ""
        if found is not None and (found.node, found.term) != logged:
            facts = {"leader": found.label, "of_term": found.term}
            log.info("standing by, another replica leads", extra=facts)
        logged = None if found is None or found.node is None else (found.node, found.term)
        soon = found is None and polls < _SOON_TIMES
        await asyncio.sleep(_SOON if soon else _EVERY)


async def _other_leader(db: Database, status: Status) -> LeaderView | None:
    with suppress(SerenoError):
        found = await views.leader(db)
        if found.held and found.node not in (None, status.node):
            return found
    return None
