"""Reads terms, plugins and totals, none of which costs more the more is kept."""

from datetime import datetime
from uuid import UUID

import msgspec

from sereno.store.pool import Database
from sereno.store.shown_rows import shown

COUNTED = 10_000
"""Runs that wait or work are counted so far."""


class TermView(msgspec.Struct, frozen=True, kw_only=True):
    """One reign. `label`: its node's, while that is kept; `ended_at`: None while it goes on, or
    where it ended without a word."""

    term: int
    node: UUID
    acquired_at: datetime
    label: str | None = None
    ended_at: datetime | None = None
    reason: str | None = None


class PluginView(msgspec.Struct, frozen=True, kw_only=True):
    """One plugin, as far as the database knows. `jobs`: those it declares; `gone`: those it has
    declared."""

    name: str
    jobs: tuple[str, ...]
    gone: tuple[str, ...]


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """How many attempts and slots of all jobs have ended how, since each job began. `queued`,
    `running`: now, up to `COUNTED`; `more`: one of them is more than that."""

    now: datetime
    succeeded: int
    failed: int
    timed_out: int
    cancelled: int
    lost: int
    retried: int
    late: int
    coalesced: int
    skipped: int
    missed: int
    queued: int
    running: int
    more: bool


async def totals(db: Database) -> Totals:
    """Return the totals."""
    (found,) = shown(await db.fetch("totals", COUNTED), Totals)
    return found


async def terms(db: Database, limit: int, before: int | None) -> list[TermView]:
    """Return at most `limit` terms, the newest first, older than `before` where that is given."""
    return shown(await db.fetch("view_terms", limit, before), TermView)


async def plugins(db: Database) -> list[PluginView]:
    """Return the plugins whose jobs are known, by name."""
    return [
        PluginView(name=row["name"], jobs=tuple(row["jobs"]), gone=tuple(row["gone"]))
        for row in await db.fetch("view_plugins")
    ]
