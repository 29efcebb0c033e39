"""Reads which bulk is to be carried out: all that a leader loads of them until there is one."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from sereno.store.pool import Database

BulkAction = Literal["cancel", "retry"]


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


async def following(db: Database) -> OpenBulk | None:
    """Return the oldest bulk that is to be carried out."""
    row = await db.fetchrow("bulk_next")
    return None if row is None else OpenBulk(**dict(row))
