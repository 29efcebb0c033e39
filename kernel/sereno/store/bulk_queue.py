"""Reads which bulks and back-fills are to be carried out: all that a leader loads of them until
there is one."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from sereno.store.pool import Database

BulkAction = Literal["cancel", "retry"]

_AT_ONCE = 8
"""Back-fills under way at once: each has at most 100 runs in the queue, which the dispatcher reads
a thousand at a time."""


class OpenBulk(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk that is to be carried out. `filter`: of runs, as it is kept; `place`: the number below
    which runs are yet to be looked at."""

    id: int
    action: BulkAction
    filter: Any
    reason: str
    requested_by: str
    frozen_at: datetime
    place: int


class OpenBackfill(msgspec.Struct, frozen=True, kw_only=True):
    """A back-fill that is to be carried out. `place`: slots after it are yet to be looked at;
    `pending`: its runs that were not over when that was written."""

    id: int
    schedule_id: int
    job: str
    since: datetime
    until: datetime
    missed_only: bool
    again: bool
    parallel: int
    requested_by: str
    place: datetime
    pending: list[int]


async def following(db: Database) -> OpenBulk | None:
    """Return the oldest bulk that is to be carried out."""
    row = await db.fetchrow("bulk_next")
    return None if row is None else OpenBulk(**dict(row))


async def backfills(db: Database) -> list[OpenBackfill]:
    """Return the oldest back-fills that are to be carried out, few enough that what they have
    queued hides nobody behind it."""
    return [OpenBackfill(**dict(row)) for row in await db.fetch("backfill_next", _AT_ONCE)]
