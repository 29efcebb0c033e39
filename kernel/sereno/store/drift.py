"""Notices when code, configuration, croniter or time zones move the slots that are to come.

With each active schedule its next slots are kept, and one slot of each month of the year ahead, as
they were computed last. What computes others from the same instant has moved them.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from sereno.model.declared import Declared
from sereno.model.errors import DeclarationError, LeaseLostError
from sereno.model.ledger import ScheduleVersion
from sereno.store.catalogue import BY_CODE
from sereno.store.ledger import definition
from sereno.store.pool import Connection, Database, Record
from sereno.store.sql import sql
from sereno.store.version import BY_CONFIG
from sereno.triggers.occurrences import next_slot
from sereno.triggers.rule_version import rules
from sereno.triggers.step_cache import in_passing

NEXT = 5
MONTHS = 13
_MONTH = timedelta(days=31)
_YOUNG = timedelta(days=1)
_ALL = 100_000
READ = 250
"""Schedules that one step of a walk reads at most, to find those that are to be computed."""

Step = tuple[datetime | None, int]
"""How far a walk over the schedules has come: the instant at which one is due, and its id."""

FIRST: Step = (datetime.min.replace(tzinfo=UTC), 0)


Instant = Annotated[datetime, Meta(tz=True)]


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What was to come, as seen at the instant `at`, by `rules`. `slots`: soonest first."""

    at: Instant
    version: int
    rules: str
    trigger: str
    slots: list[Instant]


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """The next slots of one schedule, as they were computed before and as they are now.

    Where the very next ones agree, those further off that do not. `at`: when it was noticed.
    """

    schedule: str
    because: str
    before: list[datetime]
    after: list[datetime]
    at: datetime | None = None


async def foresee(db: Database, declared: Mapping[str, Declared]) -> list[Drift]:
    """Return what would move if this code led now: `declared` are its schedules, by name.

    Writes nothing. A schedule that `declared` does not name is taken as the database has it.
    """
    found = []
    for row in await db.fetch("drift_schedules", _ALL):
        held = definition(row)
        ours = declared.get(row["name"])
        if ours is not None:
            try:
                effective = Declared.from_json(ours.to_json(), row["overrides"])
            except DeclarationError:
                continue  # it keeps what it has, and says so when the code leads
            held = effective.as_version(held.version, held.valid_from, held.state)
        moved = _moved(_as_changed(row), held)
        if moved is not None:
            found.append(_as_of_now(row, held, moved))
    return found


async def recorded(db: Database, limit: int = 50) -> list[Drift]:
    """Return what leaders have noticed at their start, the newest first."""
    return [
        Drift(
            schedule=row["schedule"],
            because=row["reason"],
            before=_instants(row["before"]),
            after=_instants(row["after"]),
            at=row["at"],
        )
        for row in await db.fetch("drift_recorded", limit)
    ]


def _instants(value: Any) -> list[datetime]:
    try:
        return msgspec.convert(value, list[Instant], strict=False)
    except msgspec.ValidationError:  # not written by us: that there was a change still holds
        return []


async def notice(
    db: Database, term: int, limit: int, after: Step = FIRST, *, only_kept: bool = False
) -> tuple[list[Drift], Step | None]:
    """Look at schedules after the step `after`, in the order in which they are due.

    What is to come of those that need it, `limit` at most, is computed anew and kept. `only_kept`:
    of those alone that may have moved, as something is kept of them, by other rules or of another
    version. Returns what has moved, which is looked at by its new slot, and the step to go on from,
    None after the last. Raises LeaseLostError.
    """
    rows = await db.fetch("drift_walk", rules(), *after, READ, limit, only_kept)
    step = _reached(rows, limit)
    if not (rows := [r for r in rows if r["id"] is not None]):
        return [], step
    looks = {r["id"]: _look(r) for r in rows}
    moved = {i: one for i, (one, _) in looks.items() if one is not None}
    outlooks = [msgspec.to_builtins(outlook) for _, outlook in looks.values()]
    facts = [r["id"] for r in rows], [r["version"] for r in rows], outlooks
    async with db.transaction() if moved else db.connection() as connection:
        kept = {r["id"] for r in await connection.fetch(sql("drift_keep"), term, *facts)}
        if not kept and await connection.fetchval(sql("fence"), term) is None:
            raise LeaseLostError(f"term {term} is over: its drift is another node's to notice")
        moved = {i: one for i, one in moved.items() if i in kept}
        if moved:
            await _tell(connection, rows, moved)
    return list(moved.values()), step


def _reached(rows: Sequence[Record], limit: int) -> Step | None:
    if len(rows) == limit and rows[-1]["id"] is not None:
        return rows[-1]["wake_at"], rows[-1]["id"]
    if rows and rows[0]["walked"] == READ:
        return rows[0]["to_wake"], rows[0]["to_id"]
    return None


async def _tell(connection: Connection, rows: Sequence[Record], moved: Mapping[int, Drift]) -> None:
    following = {r["id"]: _following(r) for r in rows if r["id"] in moved}
    await connection.execute(sql("drift_wake"), list(following), list(following.values()))
    drifts = list(moved.values())  # their lists as bytes: a list among lists would be a matrix
    await connection.execute(
        sql("drift_record"),
        [d.schedule for d in drifts],
        [d.because for d in drifts],
        [msgspec.json.encode(d.before) for d in drifts],
        [msgspec.json.encode(d.after) for d in drifts],
    )


def _following(row: Record) -> datetime | None:
    try:
        with in_passing():
            return next_slot(definition(row), row["name"], row["now"])
    except Exception:  # it is looked at when it was to be, and its fault is told then
        return None


def _look(row: Record) -> tuple[Drift | None, Outlook]:
    """Return how the slots of `row` have moved, None if a person has moved them, and its outlook.

    That is the kept one where it is young, and computed again alike.
    """
    held, moved, old = definition(row), None, _kept(row)
    if old is not None and not _by_person(row):
        again = _outlook(held, row["name"], old.at)
        if again.slots != old.slots:
            moved = _moved(row, held)
        elif row["now"] - old.at < _YOUNG:
            return None, again
    return moved, _outlook(held, row["name"], row["now"])


def _by_person(row: Mapping[str, Any]) -> bool:
    return any(by not in (BY_CODE, BY_CONFIG) for by in row["by"])


def _kept(row: Mapping[str, Any]) -> Outlook | None:
    """Return what is kept of a schedule, None also when it cannot be read."""
    try:
        return None if row["drift"] is None else msgspec.convert(row["drift"], Outlook)
    except msgspec.ValidationError:
        return None


def _moved(row: Mapping[str, Any], held: ScheduleVersion) -> Drift | None:
    old = _kept(row)
    if old is None:
        return None
    new = _outlook(held, row["name"], old.at)
    before, after = old.slots[:NEXT], new.slots[:NEXT]
    if before == after:  # what moves lies further off, beyond a change of the clock, say
        before = [s for s in old.slots if s not in new.slots][:NEXT]
        after = [s for s in new.slots if s not in old.slots][:NEXT]
    if before == after:
        return None
    before = [s for s in before if s > row["now"]]
    after = [s for s in after if s > row["now"]]
    if not before and not after:  # what was kept is past: of a trigger by seconds, soon
        if old.rules == new.rules:
            was = msgspec.structs.replace(held, trigger=old.trigger)
            before = _outlook(was, row["name"], row["now"]).slots[:NEXT]
        after = _outlook(held, row["name"], row["now"]).slots[:NEXT]
    if before == after:
        return None
    return Drift(schedule=row["name"], because=_because(old, new), before=before, after=after)


def _as_changed(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `row`, where a person has changed the schedule since its outlook was kept with that of
    the change."""
    if row["drift"] is None or not _by_person(row):
        return row
    asked = _outlook(definition(row), row["name"], row["now"])
    return {**row, "drift": msgspec.to_builtins(asked)}


def _as_of_now(row: Record, held: ScheduleVersion, moved: Drift) -> Drift:
    """Return `moved` with the slots from now on, of which the kept ones may be few: where this code
    computes as the leader's does, it can tell what was to come."""
    old = _kept(row)
    if old is None or old.rules != rules():
        return moved
    was = _outlook(definition(row), row["name"], row["now"]).slots[:NEXT]
    will = _outlook(held, row["name"], row["now"]).slots[:NEXT]
    return moved if was == will else msgspec.structs.replace(moved, before=was, after=will)


def _because(old: Outlook, new: Outlook) -> str:
    if old.trigger != new.trigger:
        return f"its trigger was '{old.trigger}' and is '{new.trigger}'"
    if old.rules != new.rules:
        return f"computed by {old.rules} before, by {new.rules} now"
    return "its window, its jitter or the code of its trigger has changed"


def _outlook(held: ScheduleVersion, name: str, at: datetime) -> Outlook:
    slots: list[datetime] = []
    try:
        with in_passing():
            while len(slots) < NEXT:
                slot = next_slot(held, name, slots[-1] if slots else at)
                if slot is None:
                    break
                slots.append(slot)
            for month in range(1, MONTHS):
                slot = next_slot(held, name, at + month * _MONTH)
                if slot is not None and slot > slots[-1]:
                    slots.append(slot)
    except Exception:  # of a kind that this code does not know, or a plugin's that fails
        slots = []
    return Outlook(at=at, version=held.version, rules=rules(), trigger=held.trigger, slots=slots)
