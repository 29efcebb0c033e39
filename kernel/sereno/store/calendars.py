"""Calendars as the database has them, and the schedules that follow them.

A calendar has the days of the settings, or a person's in their place. With its days change those of
every schedule that names it: each gets a new version, in the same transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg
import msgspec

from sereno.model.calendar import check_calendar_name, checked_days
from sereno.model.errors import (
    ConflictError,
    DeclarationError,
    LeaseLostError,
    NotFoundError,
    TriggerError,
)
from sereno.model.ledger import ScheduleVersion
from sereno.model.schedule_spec import ScheduleSpec
from sereno.model.suggestion import suggestion
from sereno.store.calendar_days import known
from sereno.store.ledger import version_of
from sereno.store.pool import Database
from sereno.store.sql import sql
from sereno.store.version import BY_CONFIG, change
from sereno.triggers.calendars import calendars_of, with_days
from sereno.triggers.resolution import as_it_stands

_NAMED = 5


class CalendarView(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar. `days`: as they are written; `declared`: those of the settings, None where it is
    a person's alone; `schedules`: those that follow it."""

    name: str
    days: tuple[str, ...]
    changed_by: str
    changed_at: datetime
    reason: str
    declared: tuple[str, ...] | None = None
    schedules: tuple[str, ...] = ()


class FollowingSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule that follows a calendar, as it is and as it would be."""

    schedule: str
    before: ScheduleVersion
    after: ScheduleVersion


async def views(db: Database) -> list[CalendarView]:
    """Return all calendars, by name."""
    follow = await _following(db)
    return [
        CalendarView(
            name=row["name"],
            days=tuple(row["days"] or row["declared"] or ()),
            declared=None if row["declared"] is None else tuple(row["declared"]),
            changed_by=row["changed_by"],
            changed_at=row["changed_at"],
            reason=row["reason"],
            schedules=tuple(sorted(follow.get(row["name"], ()))),
        )
        for row in await db.fetch("calendars")
    ]


async def _following(db: Database) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in await db.fetch("calendar_schedules"):
        for name in calendars_of(row["trigger"]):
            found.setdefault(name, []).append(row["name"])
    return found


async def put(
    db: Database, name: str, days: Sequence[str], *, by: str, reason: str = ""
) -> list[str]:
    """Give a calendar these days, in the place of its own; return the schedules that follow it.

    Raises DeclarationError on what are no days; TriggerError where nothing would be left of a
    schedule: then all is as it was.
    """
    check_calendar_name(name)
    days = checked_days(days, f"calendar '{name}'")
    async with db.transaction() as connection:
        before = await connection.fetchrow(sql("calendar_put"), name, list(days), by, reason)
        return await _changed(connection, name, before, list(days), by, reason, "calendar_set")


async def drop(db: Database, name: str, *, by: str, reason: str = "") -> list[str]:
    """Take away what people have said of a calendar: the settings' days hold again, or, where they
    have none, there is no such calendar. Return the schedules that follow it.

    Raises NotFoundError, and ConflictError while schedules follow one that would be gone.
    """
    async with db.transaction() as connection:
        row = await connection.fetchrow(sql("calendar_lock"), name)
        if row is None:
            names = sorted(await known(connection))
            hint = suggestion(name, names, "; `sereno calendar list` shows all")
            raise NotFoundError(f"there is no calendar '{name}'{hint}")
        if row["declared"] is not None:
            await connection.execute(sql("calendar_undo"), name, by, reason)
            return await _changed(
                connection, name, row["days"], row["declared"], by, reason, "calendar_reset"
            )
        using = [r["name"] for r in await _using(connection, name)]
        if using:
            more = f" and {len(using) - _NAMED} more" if len(using) > _NAMED else ""
            raise ConflictError(
                f"calendar '{name}' is followed by {', '.join(using[:_NAMED])}{more}; change their "
                "triggers first"
            )
        await connection.execute(sql("calendar_delete"), name)
        return await _changed(connection, name, row["days"], None, by, reason, "calendar_remove")


async def preview(
    db: Database, name: str, days: Sequence[str]
) -> tuple[datetime, list[FollowingSchedule]]:
    """Return now, and what would become of each schedule that follows a calendar if it had these
    days; nothing is changed. Raises as `put`."""
    check_calendar_name(name)
    days = checked_days(days, f"calendar '{name}'")
    async with db.connection() as connection:
        now = await connection.fetchval(sql("database_now"))
        calendars = {**await known(connection), name: tuple(days)}
        found = []
        for row in await connection.fetch(sql("calendar_followers")):
            spec = _spec(row)
            if spec is None or name not in calendars_of(spec.trigger):
                continue
            version = version_of(row)
            plain = msgspec.structs.replace(spec, trigger=with_days(spec.trigger, calendars))
            after = as_it_stands(plain, row["name"], version)
            found.append(FollowingSchedule(schedule=row["name"], before=version, after=after))
    return now, found


async def register(
    db: Database,
    term: int,
    declared: Mapping[str, Sequence[str]],
) -> None:
    """Make the database know the calendars of the settings, and no others of theirs, under `term`.
    Raises LeaseLostError."""
    rows = {row["name"]: row for row in await db.fetch("calendars")}
    changed = [n for n, days in declared.items() if _declared(rows.get(n)) != list(days)]
    gone = [n for n, row in rows.items() if row["declared"] is not None and n not in declared]
    if changed or gone:
        async with db.transaction() as connection:
            if await connection.fetchval(sql("fence"), term) is None:
                raise LeaseLostError(f"term {term} is over before its calendars were registered")
            for name in changed:
                days = list(declared[name])
                old = rows.get(name)
                await connection.execute(sql("calendar_declare"), name, days, BY_CONFIG)
                if old is None or old["days"] is None:
                    before = None if old is None else old["declared"]
                    await _changed(
                        connection, name, before, days, BY_CONFIG, "", "calendar_declare"
                    )
            for name in gone:
                await connection.execute(sql("calendar_undeclare"), name)


def _declared(row: asyncpg.Record | None) -> list[str] | None:
    return None if row is None else row["declared"]


async def _changed(
    connection: asyncpg.Connection,
    name: str,
    before: Sequence[str] | None,
    after: Sequence[str] | None,
    by: str,
    reason: str,
    action: str,
) -> list[str]:
    """Record the change, and give each schedule that follows the calendar its new version."""
    await connection.execute(
        sql("calendar_told"),
        *(by, f"calendar {name}", action, reason),
        *(None if before is None else list(before), None if after is None else list(after)),
    )
    followed = []
    for row in await _using(connection, name):
        held = await connection.fetchrow(sql("schedule_by_name"), row["name"])
        if held is None:
            continue
        why = f"calendar '{name}' is another" + (f": {reason}" if reason else "")
        try:
            await change(
                connection,
                held,
                paused_until=held["paused_until"],
                action="calendar",
                by=by,
                reason=why,
            )
        except TriggerError as error:
            raise TriggerError(f"schedule '{row['name']}': {error}") from error
        followed.append(str(row["name"]))
    return followed


async def _using(connection: asyncpg.Connection, name: str) -> list[asyncpg.Record]:
    rows = await connection.fetch(sql("calendar_schedules"))
    return [row for row in rows if name in calendars_of(row["trigger"])]


def _spec(row: asyncpg.Record) -> ScheduleSpec | None:
    try:
        return ScheduleSpec.from_json(row["declared"], row["overrides"])
    except DeclarationError:
        return None
