"""Reads which histories the database has been on, and settles what may have run in the one before.

A promoted standby goes on without the last commits of its primary, a restore without those since
its backup: what they held has happened, and the database does not know of it.
"""

from datetime import datetime

import asyncpg
import msgspec

from sereno.model.errors import LeaseLostError
from sereno.model.history import Doubt
from sereno.store.pool import Connection, Database
from sereno.store.sql import sql


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """One history. `system`, `timeline`: what tells it from others, None where this server does not
    say; `term`: from where terms went on; `numbers`: by column, from where its numbers did.

    `doubtful_until`: what was due up to here may have run in the history before, None of the first;
    `beside`: that one goes on, on the database that this one is a copy of, and so it is its work;
    `known_until`: when the last commit was made that came from it, None where nobody knows;
    `settled_at`: since when nothing of it waits any more.
    """

    id: int
    system: str | None
    timeline: int | None
    seen_at: datetime
    term: int
    doubtful_until: datetime | None
    known_until: datetime | None
    settled_at: datetime | None
    numbers: dict[str, int]
    beside: bool = False

    @property
    def doubt(self) -> Doubt | None:
        """Return what of before may not begin, None of the first history."""
        return None if self.doubtful_until is None else Doubt(self.doubtful_until, self.beside)


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """What a new leader found. `changed`: the history is another than at the term before;
    `numbers`: by column, those that were set, far ahead or to the last of their rows."""

    timeline: Timeline
    changed: bool
    numbers: dict[str, int]


def entered(row: asyncpg.Record) -> Entered:
    """Return what the block ``timeline_enter`` answered on a session of the lead."""
    return Entered(
        timeline=read_timeline(row), changed=row["changed"], numbers=_read(row["advanced"])
    )


async def since(connection: Connection, instant: datetime) -> list[Timeline]:
    """Return the histories that the database has gone over to since `instant`, the newest first;
    the first one of all is none."""
    rows = await connection.fetch(sql("timelines"), instant)
    return [read_timeline(r) for r in rows if r["doubtful_until"] is not None]


async def lose_doubtful(
    db: Database, term: int, timeline: Timeline, limit: int
) -> tuple[list[asyncpg.Record], int]:
    """End at most `limit` queued runs that must not run twice and may have run before `timeline`.

    Returns what was ended, and how many are left: rows that others hold, beyond the limit.
    """
    async with db.transaction() as connection:
        rows = await connection.fetch(
            sql("runs_doubtful"),
            term,
            timeline.doubtful_until,
            timeline.known_until,
            None if timeline.doubt is None else timeline.doubt.reason,
            limit,
        )
        if not rows and await connection.fetchval(sql("fence"), term) is None:
            raise LeaseLostError(f"term {term} is over: its queue is another node's")
        left = await connection.fetchval(
            sql("runs_doubtful_left"), timeline.doubtful_until, timeline.known_until
        )
        if not left:
            await connection.execute(sql("timeline_settled"), term, timeline.id)
    return list(rows), left


def read_timeline(row: asyncpg.Record) -> Timeline:
    """Return a row of `sereno.timeline`."""
    values = {name: row[name] for name in Timeline.__struct_fields__ if name != "numbers"}
    return Timeline(**values, numbers=_read(row["numbers"]))


def _read(numbers: object) -> dict[str, int]:
    """Return a jsonb column, which a session of the lead gives as text; none where it was not
    written by us: they are for people to read, and nobody counts on them."""
    try:
        if isinstance(numbers, str):
            numbers = msgspec.json.decode(numbers)
        return msgspec.convert(numbers, dict[str, int])
    except (msgspec.MsgspecError, RecursionError):
        return {}
