"""A new version of a schedule: written, and from when on it rules."""

import logging
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec

from sereno.model.declared import Declared
from sereno.model.ledger import ScheduleState, ScheduleVersion
from sereno.model.unreadable import json_object
from sereno.store.ledger import definition as held_by
from sereno.store.sql import sql
from sereno.triggers.occurrences import dropped, next_slot
from sereno.triggers.step_cache import in_passing

log = logging.getLogger(__name__)

BY_CONFIG = "the configuration"
BY_ITSELF = "sereno"
_TICK = timedelta(microseconds=1)


def is_over(row: asyncpg.Record) -> bool:
    """Tell whether the schedule's pause has an end, and that has come."""
    until: datetime | None = row["paused_until"]
    return until is not None and until - _TICK <= max(row["now"], row["settled_to"])


def foreseen(definition: ScheduleVersion, name: str, after: datetime) -> datetime | None:
    """Return the next slot; None also when the trigger cannot tell, as when its plugin is gone.

    The leader says so each time it looks at the schedule, and leads the others on.
    """
    try:
        with in_passing():
            return next_slot(definition, name, after)
    except Exception as error:
        log.error("a trigger cannot tell its next slot", extra={"schedule": name}, exc_info=error)
        return None


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
        since=row["paused_until"] - _TICK,
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
    before: then this one rules what comes after it.
    """
    state = state or row["state"]
    declared = row["declared"] if declared is None else declared
    overrides = row["overrides"] if overrides is None else overrides
    effective = Declared.from_json(declared, overrides)
    since = max(since or row["now"], row["settled_to"])
    definition = effective.as_version(row["version"] + 1, since, state)
    staying = await _staying(connection, row, definition)
    following: datetime | None = None
    if staying:
        definition = msgspec.structs.replace(definition, valid_from=staying[-1])
        following = staying[0]
    elif state == "active":
        following = foreseen(definition, row["name"], since)
    await connection.fetchval(
        sql("schedule_change"),
        row["id"],
        declared,
        overrides,
        state,
        paused_until if state in ("paused", "orphaned") else None,
        by,
        reason,
        definition.trigger,
        definition.starts_at,
        definition.ends_at,
        definition.jitter,
        definition.params,
        definition.policies,
        following if state == "active" else None,
        since,
        definition.valid_from,
        action,
    )
    return definition


async def _staying(
    connection: asyncpg.Connection, row: asyncpg.Record, definition: ScheduleVersion
) -> list[datetime]:
    """Return the slots that are under way, put off by jitter, when `definition` is to rule."""
    if row["state"] in ("orphaned", "removed"):
        return []
    held = [held_by(v) for v in await connection.fetch(sql("verify_versions"), row["id"])]
    try:
        with in_passing():
            return dropped(held, definition, row["name"], definition.valid_from)
    except Exception:  # a trigger that cannot tell, as when its plugin is gone, has nothing to come
        return []
