"""Blackouts as the database has them: spans in which slots of matching schedules do not run."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from sereno.model.bounds import FIRST_INSTANT
from sereno.model.calendar import Blackout
from sereno.model.errors import LeaseLostError, NotFoundError
from sereno.store.page import Page, mark, paged, read_cursor
from sereno.store.pool import Database
from sereno.store.sql import sql

BY_CONFIG = "the configuration"


class BlackoutView(msgspec.Struct, frozen=True, kw_only=True):
    """A blackout. `plugin`, `jobs`: whose jobs it is for, where that is so. `now`: the database's
    time of the reading."""

    id: int
    pattern: str
    starts_at: datetime
    ends_at: datetime
    reason: str
    made_by: str
    made_at: datetime
    now: datetime
    plugin: str | None = None
    ended_by: str | None = None
    jobs: list[str] | None = None

    def holds(self, schedule: str, job: str, slot: datetime) -> bool:
        """Tell whether a slot of a schedule falls into it."""
        return self.starts_at <= slot < self.ends_at and self._rule().holds(schedule, job)

    def _rule(self) -> Blackout:
        return Blackout(
            id=self.id,
            pattern=self.pattern,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            reason=self.reason,
            jobs=None if self.jobs is None else tuple(self.jobs),
        )

    @property
    def state(self) -> str:
        """Return ``to come``, ``on`` or ``over``; one that was ended before it began is over."""
        if self.ends_at <= self.starts_at:
            return "over"
        if self.now < self.starts_at:
            return "to come"
        return "on" if self.now < self.ends_at else "over"


async def register(db: Database, term: int, declared: Mapping[str, Any]) -> None:
    """Make the database know the blackouts of the settings, and no others of theirs, under `term`.

    One that a person has ended stays so until the settings say otherwise. Raises LeaseLostError.
    """
    wanted = {
        name: (b.schedules, b.plugin, b.start, b.end, b.reason) for name, b in declared.items()
    }
    rows = {row["name"]: row for row in await db.fetch("blackouts_declared")}
    kept = ("pattern", "plugin", "starts_at", "meant_end", "reason")
    same = {
        n
        for n, row in rows.items()
        if wanted.get(n) == tuple(row[k] for k in kept) and row["ended_by"] != BY_CONFIG
    }
    gone = sorted(n for n, row in rows.items() if n not in same and row["ended_by"] is None)
    new = sorted(set(wanted) - same)
    if not gone and not new:
        return
    async with db.transaction() as connection:
        if await connection.fetchval(sql("fence"), term) is None:
            raise LeaseLostError(f"term {term} is over before its blackouts were registered")
        for name in gone:
            await connection.execute(sql("blackout_end"), rows[name]["id"], BY_CONFIG, True)
        for name in new:
            await connection.fetchval(sql("blackout_make"), *wanted[name], BY_CONFIG, name)


async def views(db: Database, *, everything: bool = False) -> list[BlackoutView]:
    """Return blackouts that are on or to come, soonest first; `everything`: also those over."""
    return _views(await db.fetch("blackouts", everything, None))


async def listed(
    db: Database, *, everything: bool, limit: int, at: str | None = None
) -> Page[BlackoutView]:
    """Return a page of blackouts that are on or to come, or all, by when they begin.

    What follows is behind `older`, what goes before is behind `newer`. Raises ParamsError.
    """
    of = mark(("blackouts", everything))
    place = None if at is None else read_cursor(at, tuple[datetime, int], of)
    onward, key = (True, (FIRST_INSTANT, 0)) if place is None else (place.older, place.key)
    rows = await db.fetch("blackouts_walk", onward, *key, limit + 1, everything)
    # One that ends between the two looks stays on its page.
    found = _views(await db.fetch("blackouts", True, [row["id"] for row in rows[:limit]]))
    return paged(found, lambda b: (b.starts_at, b.id), more=len(rows) > limit, place=place, of=of)


def _views(rows: list[Any]) -> list[BlackoutView]:
    return [BlackoutView(**{n: row[n] for n in BlackoutView.__struct_fields__}) for row in rows]


async def make(
    db: Database,
    pattern: str,
    *,
    plugin: str | None,
    starts_at: datetime | None,
    ends_at: datetime,
    reason: str,
    by: str,
) -> int:
    """Make a blackout; return its number. `starts_at`: None for now."""
    return int(
        await db.fetchval("blackout_make", pattern, plugin, starts_at, ends_at, reason, by, None)
    )


async def end(db: Database, number: int, by: str) -> None:
    """End a blackout now; raises NotFoundError where it is none, or over."""
    if await db.fetchval("blackout_end", number, by, False) is None:
        raise NotFoundError(
            f"no blackout {number} is on or to come; `sereno blackout list` shows those that are"
        )


async def in_force(db: Database) -> list[Blackout]:
    """Return what slots are to be held against: blackouts that are on, to come, or a day over."""
    return [
        Blackout(
            id=row["id"],
            pattern=row["pattern"],
            starts_at=row["starts_at"],
            ends_at=row["ends_at"],
            reason=row["reason"],
            jobs=None if row["jobs"] is None else tuple(row["jobs"]),
        )
        for row in await db.fetch("blackouts_in_force")
    ]
