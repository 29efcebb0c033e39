"""Reads the log lines of one run or of all, in the order in which they were said."""

from datetime import datetime

import msgspec

from sereno.model.bounds import FIRST_INSTANT, LAST_INSTANT
from sereno.store.filters import LogFilter, checked
from sereno.store.page import Page, cursor, mark, read_cursor
from sereno.store.pool import Database
from sereno.store.search import STEPS, jobs_of
from sereno.store.shown_rows import shown

Spot = tuple[datetime, int, int, int]
"""Where a line stands among all: its instant, run, attempt and number."""


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


async def lines(
    db: Database, wanted: LogFilter, *, limit: int, at: str | None = None
) -> Page[LogEntry]:
    """Return a page of the lines that `wanted` is of, the newest first, from the cursor `at` on.

    Raises ParamsError on a filter or cursor that is none, NotFoundError on a job that is not known.
    """
    wanted = checked(wanted)
    of = mark(wanted)
    place = None if at is None else read_cursor(at, Spot, of)
    older = place is None or place.older
    start = (wanted.until or LAST_INSTANT, 0, 0, 0) if place is None else place.key
    found, last = await walk(db, wanted, older, start, limit)
    more = len(found) > limit
    found = found[:limit]
    on = spot(found[-1]) if more else last
    onward = None if on is None else cursor(older, on, of)
    back = None
    if place is not None:  # an empty page's neighbour begins with what this one began behind
        beside = (*start[:3], start[3] + (-1 if older else 1))
        back = cursor(not older, spot(found[0]) if found else beside, of)
    whole = more or last is None
    if older:
        return Page(items=tuple(found), older=onward, newer=back, whole=whole)
    return Page(items=tuple(found[::-1]), older=back, newer=onward, whole=whole)


async def walk(
    db: Database, wanted: LogFilter, older: bool, start: Spot, limit: int
) -> tuple[list[LogEntry], Spot | None]:
    """Return one more line than `limit` behind `start`, in the order of the way, and where looking
    ended: None at the end of the way."""
    jobs = await jobs_of(db, wanted.job)
    bounds = (wanted.since or FIRST_INSTANT, wanted.until or LAST_INSTANT)
    found: list[LogEntry] = []
    exact = wanted.level is None and jobs is None and wanted.text is None
    for step in [limit + 1] if exact else STEPS:
        wants = limit + 1 - len(found)
        rest = (*bounds, wanted.levels, jobs, wanted.text)
        rows = await db.fetch("lines_walk", older, step, wants, *start, *rest)
        found += shown([row for row in rows if row["n"] is not None], LogEntry)
        if not rows or rows[0]["walked"] < step:
            return found, None
        row = rows[0]
        start = (row["last_at"], row["last_run"], row["last_attempt"], row["last_line"])
        if len(found) > limit:
            break
    return found, start


def spot(line: LogEntry) -> Spot:
    """Return where `line` stands among all."""
    return line.at, line.run_id, line.attempt, line.line
