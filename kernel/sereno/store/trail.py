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
    However many there are, 2,000 at most are looked at: a page that is not `whole` goes on behind
    its cursor. Raises NotFoundError when nothing of the name of `subject` is known.
    """
    if any("\0" in text for text in (subject or "", by or "")):
        raise ParamsError("a text holds U+0000, which no name can have")
    of = mark((subject, since, by))
    place = None if at is None else read_cursor(at, int, of)
    older, key = (True, _LAST) if place is None else (place.older, place.key)
    looked = limit + 1 if _all_fit(subject, since, by) else max(limit + 1, LOOKED_AT)
    async with db.connection() as connection:
        low, first = 0, None
        if since is not None:
            now: datetime = await connection.fetchval(sql("database_now"))
            first = now - min(since, now - FIRST_INSTANT)
            low = await connection.fetchval(sql("change_number_before"), first)
        low, high = (low, key) if older else (max(low, key), _LAST)
        asked = (older, low, high, _way(subject, by), looked, limit + 1, subject, by, first)
        row = await connection.fetchrow(sql("changes_walk"), *asked)
        found = row["found"][:limit]
        rows = await connection.fetch(sql("view_changes_of"), found) if found else []
        known = row["walked"] or place is not None or subject is None
        if not known and not await connection.fetchval(sql("view_subjects"), subject):
            near = await connection.fetchval(sql("schedule_like"), subject)
            hint = suggested(near, "; `sereno jobs` lists them")
            raise NotFoundError(f"there is no job or schedule '{subject}'{hint}")
    more = len(row["found"]) > limit
    whole = more or row["walked"] < looked
    items = tuple(_view(dict(row)) for row in rows)
    last = (items[-1].id if older else items[0].id) if more else row["last"]
    onward = None if not more and whole else cursor(older, last, of)
    back = None
    if place is not None:
        near_end = items[0 if older else -1].id if items else key + (-1 if older else 1)
        back = cursor(not older, near_end, of)
    return Page(
        items=items,
        older=onward if older else back,
        newer=back if older else onward,
        whole=whole,
    )


def _way(subject: str | None, by: str | None) -> str:
    """Return the index by which changes are looked for."""
    if subject is not None:
        return "subject" if "@" in subject else "job"
    return "any" if by is None else "asker"


def _all_fit(subject: str | None, since: timedelta | None, by: str | None) -> bool:
    """Tell whether all that is looked at by that index is wanted, but for who is meant by `by`."""
    return since is None and (by is None or (subject is None and "@" not in by))


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
LOOKED_AT = 2_000
"""Changes that are looked at for a page, where what is wanted may be rare."""

_DEPTH = 1_000
"""Deeper than any JSON is read."""
