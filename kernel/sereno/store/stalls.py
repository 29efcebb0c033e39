"""Runs at work that have said nothing for too long, as the nodes that work on them tell."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sereno.store.pool import Database


async def note(db: Database, stalled: Sequence[tuple[int, UUID, datetime]]) -> None:
    """Keep which attempts have stalled: run, token, since when they have said nothing."""
    runs, tokens, since = zip(*stalled, strict=True)
    await db.execute("stalls_note", list(runs), list(tokens), list(since))


async def forget(db: Database, tokens: Sequence[UUID]) -> None:
    """Forget those that speak again, or are over."""
    await db.execute("stalls_over", list(tokens))
