"""Reads the trail: who changed what, and why."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from sereno.model.bounds import FIRST_INSTANT
from sereno.model.errors import NotFoundError, ParamsError
from sereno.model.suggestion import suggested
from sereno.settings import hidden, redact
from sereno.store.page import Page, cursor, mark, read_cursor
from sereno.store.pool import Database
from sereno.store.sql import sql


class ChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `subject`: the schedule; `before`, `after`: as far as they were noted, with
    secrets masked."""

    id: int
    at: datetime
    by: str
    subject: str
    action: str
    reason: str
    before: Any = None
    after: Any = None


class DriftView(msgspec.Struct, frozen=True, kw_only=True):
    """What a leader found at `at`: the next slots of a schedule as they were computed before, and
    as they are since, and why. Where the very next ones agree, those further off that do not."""

    at: datetime
    schedule: str
    because: str
    before: tuple[datetime, ...]
    after: tuple[datetime, ...]


async def changes(
    db: Database,
    *,
    subject: str | None = None,
    since: timedelta | None = None,
    by: str | None = None,
    limit: int = 20,
    at: str | None = None,
) -> Page[ChangeView]:
    """Return a page of at most `limit` changes, the newest first, from the cursor `at` on.

    `subject`: a schedule, or a job for all of its schedules. `by`: who, with or without the host.
    Raises NotFoundError when nothing of the name of `subject` is known.
    """
    if any("\0" in text for text in (subject or "", by or "")):
        raise ParamsError("a text holds U+0000, which no name can have")
    of = mark((subject, since, by))
    place = None if at is None else read_cursor(at, int, of)
    older, key = (True, _LAST) if place is None else (place.older, place.key)
    async with db.connection() as connection:
        now: datetime = await connection.fetchval(sql("database_now"))
        first = None if since is None else now - min(since, now - FIRST_INSTANT)
        asked = (subject, first, by, limit + 1, older, key)
        rows = await connection.fetch(sql("view_changes"), *asked)
        known = rows or subject is None or await connection.fetchval(sql("view_subjects"), subject)
        if not known:
            near = await connection.fetchval(sql("schedule_like"), subject)
            hint = suggested(near, "; `sereno jobs` lists them")
            raise NotFoundError(f"there is no job or schedule '{subject}'{hint}")
    more = len(rows) > limit
    items = tuple(_view(dict(row)) for row in (rows[:limit] if older else rows[-limit:]))
    last = (items[-1].id if older else items[0].id) if more else None
    onward = None if last is None else cursor(older, last, of)
    back = None
    if place is not None:
        near_end = items[0 if older else -1].id if items else key + (-1 if older else 1)
        back = cursor(not older, near_end, of)
    return Page(items=items, older=onward if older else back, newer=back if older else onward)


async def drift(db: Database, limit: int) -> list[DriftView]:
    """Return at most `limit` moves of schedules that leaders have noticed, the newest first."""
    return [
        DriftView(
            **{**dict(row), "before": _instants(row["before"]), "after": _instants(row["after"])}
        )
        for row in await db.fetch("view_drift", limit)
    ]


def _instants(kept: Any) -> tuple[datetime, ...]:
    """Return what is kept of slots, nothing where that is none."""
    try:
        return msgspec.convert(kept or (), tuple[datetime, ...])
    except msgspec.ValidationError:
        return ()


def _view(facts: dict[str, Any]) -> ChangeView:
    shown = {name: hidden(name, facts[name], depth=_DEPTH) for name in ("before", "after")}
    return ChangeView(**{**facts, **shown, "reason": redact(facts["reason"])})


_LAST = 2**63 - 1
_DEPTH = 1_000
"""Deeper than any JSON is read."""
