"""Writes a new version of a schedule."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from sereno.model.errors import DeclarationError
from sereno.model.ledger import ScheduleState, ScheduleVersion
from sereno.model.schedule_spec import ScheduleSpec
from sereno.model.stored_json import json_object
from sereno.store.calendar_days import known
from sereno.store.ledger import version_of
from sereno.store.sql import sql
from sereno.triggers.calendars import calendars_of, names_calendars, with_days
from sereno.triggers.instant import MICROSECOND
from sereno.triggers.resolution import alike, closed, resolved, started
from sereno.triggers.succession import ended, succeed

log = logging.getLogger(__name__)

BY_CONFIG = "the configuration"
BY_ITSELF = "sereno"
_NAMED = 3


def is_over(row: asyncpg.Record) -> bool:
    """Tell whether the schedule's pause has an end, and that has come."""
    until: datetime | None = row["paused_until"]
    return until is not None and until - MICROSECOND <= max(row["now"], row["settled_to"])


async def lapse(connection: asyncpg.Connection, row: asyncpg.Record) -> asyncpg.Record:
    """Resume the schedule that `row` (locked) holds where its pause has an end and is over, from
    that end on, and return its row as it is then."""
    if row["state"] != "paused" or not is_over(row):
        return row
    enabled = json_object(row["declared"]).get("enabled", True)
    await change(
        connection,
        row,
        state="active" if enabled else "paused",
        action="resume" if enabled else "pause",
        by=BY_ITSELF if enabled else BY_CONFIG,
        reason="the pause is over" if enabled else "disabled",
        since=row["paused_until"] - MICROSECOND,
    )
    return await connection.fetchrow(sql("schedule_by_name"), row["name"])


async def change(
    connection: asyncpg.Connection,
    row: asyncpg.Record,
    *,
    action: str,
    by: str,
    reason: str,
    declared: dict[str, Any] | None = None,
    overrides: dict[str, Any] | None = None,
    state: ScheduleState | None = None,
    paused_until: datetime | None = None,
    since: datetime | None = None,
) -> ScheduleVersion:
    """Write a new version of the schedule that `row` (locked) holds; it rules slots after `since`,
    by default after this instant, and none that is settled.

    What jitter has put off beyond that instant, and would be dropped, stays with the version
    before: then this one rules what comes after it. Where nothing is due any more, it ends unbegun,
    and the reason says so.
    """
    state = state or row["state"]
    declared = row["declared"] if declared is None else declared
    overrides = row["overrides"] if overrides is None else overrides
    effective = ScheduleSpec.from_json(declared, overrides)
    since = max(since or row["now"], row["settled_to"])
    alive = await _alive(connection, row)
    begun = await _started(connection, row, effective) if effective.at_start else None
    effective = await resolve_days(connection, effective)
    if state in ("orphaned", "removed") and (slots := ended(alive, row["name"], since)):
        reason = "; ".join(filter(None, [reason, ends_with_it(slots)]))
    version, following = succeed(
        alive,
        resolved(
            effective, row["name"], since, number=row["version"] + 1, state=state, started=begun
        ),
        row["name"],
    )
    if effective.one_off:
        version = closed(version, row["name"])
    await connection.fetchval(
        sql("schedule_change"),
        row["id"],
        declared,
        overrides,
        state,
        paused_until if state in ("paused", "orphaned") else None,
        by,
        reason,
        version.trigger,
        version.starts_at,
        version.ends_at,
        version.jitter,
        version.params,
        version.policies,
        following,
        since,
        version.valid_from,
        action,
    )
    return version


async def _started(
    connection: asyncpg.Connection, row: asyncpg.Record, effective: ScheduleSpec
) -> datetime | None:
    """Return the slot of its start that the schedule had already, as it says what it said before:
    a pause, or a plugin that was gone for a while, starts it no second time."""
    try:
        before = ScheduleSpec.from_json(row["declared"], row["overrides"])
    except DeclarationError:
        return None
    if not alike(before, effective):
        return None
    versions = await connection.fetch(sql("verify_versions"), row["id"])
    return started(before, version_of(versions[-1]))


async def resolve_days(connection: asyncpg.Connection, spec: ScheduleSpec) -> ScheduleSpec:
    """Return `spec` with the days of the calendars that its trigger names. One that is not known
    stays named: then no slot can be told, and the leader says why each time it looks."""
    if not names_calendars(spec.trigger):
        return spec
    calendars = await known(connection)
    if unknown := set(calendars_of(spec.trigger)).difference(calendars):
        log.error("a schedule names a calendar that there is not", extra={"calendar": min(unknown)})
        return spec
    return msgspec.structs.replace(spec, trigger=with_days(spec.trigger, calendars))


async def ending(connection: asyncpg.Connection, row: asyncpg.Record) -> list[datetime]:
    """Return the slots that jitter has put off and that would end unbegun with the schedule that
    `row` (locked) holds."""
    since = max(row["now"], row["settled_to"])
    return ended(await _alive(connection, row), row["name"], since)


def ends_with_it(slots: Sequence[datetime]) -> str:
    """Return the sentence that tells of them."""
    named = ", ".join(f"{slot:%Y-%m-%dT%H:%M:%SZ}" for slot in slots[:_NAMED])
    more = f" and {len(slots) - _NAMED} more" if len(slots) > _NAMED else ""
    return f"what jitter had put off ends with it unbegun: {named}{more}"


async def _alive(connection: asyncpg.Connection, row: asyncpg.Record) -> list[ScheduleVersion]:
    """Return the versions of which a slot may be under way."""
    if row["state"] in ("orphaned", "removed"):
        return []
    return [version_of(v) for v in await connection.fetch(sql("verify_versions"), row["id"])]
