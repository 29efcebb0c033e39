"""Reads the log lines of runs, one by one, in the order in which they were said."""

from datetime import datetime

import msgspec

from sereno.store.pool import Database
from sereno.store.views import shown


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line that a run said, and its place: attempts count from 1, lines of each from 0."""

    run_id: int
    job: str
    attempt: int
    line: int
    at: datetime
    level: str
    logger: str
    message: str


async def lines_after(
    db: Database, run_id: int, place: tuple[int, int], limit: int
) -> list[LogEntry]:
    """Return at most `limit` lines of a run after the one at `place` (attempt, line)."""
    return shown(await db.fetch("view_lines_after", run_id, *place, limit), LogEntry)
