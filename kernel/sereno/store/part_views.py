"""Shows the parts of a run whose job works at each host or node."""

from datetime import datetime

import msgspec

from sereno.store.pool import Database
from sereno.store.shown_rows import shown


class PartView(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a run. `run`: its number, as it is a run as well; `place`: the host or node that it
    is for; `attempts`: how many have begun; `node`: the label of the one that works on it."""

    run: int
    state: str
    attempts: int
    place: str | None = None
    node: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None


async def parts_of(db: Database, run_id: int) -> list[PartView]:
    """Return the parts of a run by their places, of many the first thousand."""
    return shown(await db.fetch("view_parts", run_id), PartView)
