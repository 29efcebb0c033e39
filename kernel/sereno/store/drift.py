"""Reads what was to come of schedules, as it was computed last, and writes what is now."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from sereno.model.drift import Drift, Outlook
from sereno.model.errors import LeaseLostError
from sereno.model.ledger import ScheduleVersion
from sereno.store.ledger import version_of
from sereno.store.pool import Connection, Database, Record
from sereno.store.sql import sql

READ = 250
"""Schedules that one step of a walk reads at most, to find those that are to be computed."""

Step = tuple[datetime | None, int]
"""How far a walk over the schedules has come: the instant at which one is due, and its id."""

FIRST: Step = (datetime.min.replace(tzinfo=UTC), 0)

_ALL = 100_000


class HeldSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """An active schedule as it stands at `now`, and `kept`: what was to come of it then.

    `by`: who made its versions since then. `overrides`: what people have changed.
    """

    id: int
    name: str
    version: ScheduleVersion
    kept: Outlook | None
    by: Sequence[str]
    now: datetime
    overrides: Any = None


async def held_schedules(db: Database) -> list[HeldSchedule]:
    """Return all active schedules."""
    return [_held(row, row["overrides"]) for row in await db.fetch("drift_schedules", _ALL)]


async def walk(
    db: Database, rules: str, after: Step, limit: int, *, only_kept: bool
) -> tuple[list[HeldSchedule], Step | None]:
    """Return `limit` schedules at most after the step `after`, in the order in which they are due,
    of which what is to come is to be computed by `rules`, and the step to go on from.

    `only_kept`: those alone that may have moved, as something is kept of them, by other rules or of
    another version. The step is None after the last.
    """
    rows = await db.fetch("drift_walk", rules, *after, READ, limit, only_kept)
    return [_held(r) for r in rows if r["id"] is not None], _reached(rows, limit)


async def keep(
    db: Database,
    term: int,
    outlooks: Mapping[int, Outlook],
    moved: Mapping[int, tuple[Drift, datetime | None]],
) -> list[Drift]:
    """Keep `outlooks`, by schedule, and what has `moved`, with its new next slot, under `term`.

    Returns what has moved of those that have not changed meanwhile. Raises LeaseLostError.
    """
    facts = (
        list(outlooks),
        [o.version for o in outlooks.values()],
        [msgspec.to_builtins(o) for o in outlooks.values()],
    )
    async with db.transaction() if moved else db.connection() as connection:
        kept = {r["id"] for r in await connection.fetch(sql("drift_keep"), term, *facts)}
        if not kept and await connection.fetchval(sql("fence"), term) is None:
            raise LeaseLostError(f"term {term} is over: its drift is another node's to notice")
        moved = {i: one for i, one in moved.items() if i in kept}
        if moved:
            await _record(connection, moved)
    return [drift for drift, _ in moved.values()]


async def _record(
    connection: Connection, moved: Mapping[int, tuple[Drift, datetime | None]]
) -> None:
    await connection.execute(sql("drift_wake"), list(moved), [slot for _, slot in moved.values()])
    drifts = [drift for drift, _ in moved.values()]
    await connection.execute(
        sql("drift_record"),
        [d.schedule for d in drifts],
        [d.because for d in drifts],
        # As bytes: a list among lists would be read as a matrix.
        [msgspec.json.encode(d.before) for d in drifts],
        [msgspec.json.encode(d.after) for d in drifts],
    )


def _held(row: Record, overrides: Any = None) -> HeldSchedule:
    return HeldSchedule(
        id=row["id"],
        name=row["name"],
        version=version_of(row),
        kept=_kept(row["drift"]),
        by=row["by"],
        now=row["now"],
        overrides=overrides,
    )


def _kept(drift: Any) -> Outlook | None:
    """Return what is kept of a schedule, None also when it cannot be read."""
    try:
        return None if drift is None else msgspec.convert(drift, Outlook)
    except msgspec.ValidationError:
        return None


def _reached(rows: Sequence[Record], limit: int) -> Step | None:
    if len(rows) == limit and rows[-1]["id"] is not None:
        return rows[-1]["wake_at"], rows[-1]["id"]
    if rows and rows[0]["walked"] == READ:
        return rows[0]["to_wake"], rows[0]["to_id"]
    return None
