"""Reads the trail: who changed what, and why."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from sereno.model.bounds import FIRST_INSTANT
from sereno.model.errors import NotFoundError
from sereno.model.suggestion import suggested
from sereno.settings import hidden, redact
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


async def changes(
    db: Database,
    *,
    subject: str | None = None,
    since: timedelta | None = None,
    by: str | None = None,
    limit: int = 20,
) -> tuple[list[ChangeView], datetime]:
    """Return at most `limit` changes, the newest first, and the database's time.

    `subject`: a schedule, or a job for all of its schedules. `by`: who, with or without the host.
    Raises NotFoundError when nothing of the name of `subject` is known.
    """
    async with db.connection() as connection:
        now: datetime = await connection.fetchval(sql("database_now"))
        first = None if since is None else now - min(since, now - FIRST_INSTANT)
        rows = await connection.fetch(sql("view_changes"), subject, first, by, limit)
        known = rows or subject is None or await connection.fetchval(sql("view_subjects"), subject)
        if not known:
            near = await connection.fetchval(sql("schedule_like"), subject)
            hint = suggested(near, "; `sereno jobs` lists them")
            raise NotFoundError(f"there is no job or schedule '{subject}'{hint}")
    return [_view(dict(row)) for row in rows], now


def _view(facts: dict[str, Any]) -> ChangeView:
    shown = {name: hidden(name, facts[name], depth=_DEPTH) for name in ("before", "after")}
    return ChangeView(**{**facts, **shown, "reason": redact(facts["reason"])})


_DEPTH = 1_000
"""Deeper than any JSON is read."""
