"""Changes of schedules by people, at run time: each a new version, told to the leader at once."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

import asyncpg
import msgspec
from msgspec import UNSET

from sereno.model.bounds import checked_instant
from sereno.model.concurrency import concurrency_key
from sereno.model.errors import DeclarationError, LeaseLostError, NotFoundError
from sereno.model.job import Job
from sereno.model.ledger import ScheduleState, ScheduleVersion
from sereno.model.schedule_spec import ScheduleSpec
from sereno.model.stored_json import json_object
from sereno.model.suggestion import suggested
from sereno.store.calendar_days import Calendars, known, of_texts
from sereno.store.catalogue import NamedSchedule, create
from sereno.store.ledger import version_of
from sereno.store.pool import Database
from sereno.store.sql import sql
from sereno.store.version import BY_ITSELF, change, ending, lapse, resolve_days
from sereno.triggers.occurrences import next_slot
from sereno.triggers.replay import Replayed, replayed
from sereno.triggers.succession import foreseen
from sereno.triggers.validation import check_name, fitting


async def named(connection: asyncpg.Connection, name: str) -> list[asyncpg.Record]:
    """Return, locked, the schedule `name` or all of the job `name`; raises NotFoundError.

    A pause that is over is ended first. An orphaned schedule that has its job's name does not hide
    those that the job has now.
    """
    row = await connection.fetchrow(sql("schedule_by_name"), name)
    names: list[str] = []
    if row is None or row["state"] == "orphaned":
        found = await connection.fetch(sql("schedules_by_job"), name)
        alive = [r["name"] for r in found if r["state"] != "orphaned"]
        names = alive or [r["name"] for r in found]
    if row is not None and not set(names) - {name}:
        return [await lapse(connection, row)]
    if not names:
        near = await connection.fetchval(sql("schedule_like"), name)
        raise NotFoundError(
            f"there is no schedule, nor a job with schedules, named '{name}'{suggested(near)}"
        )
    rows = [await connection.fetchrow(sql("schedule_by_name"), n) for n in names]
    return [await lapse(connection, row) for row in rows]


async def selected(db: Database, pattern: str | None, plugin: str | None = None) -> list[str]:
    """Return the schedules whose name or job's name `pattern` stands for, of the plugin `plugin`;
    None for any. Those alone that fire or are paused."""
    rows = await db.fetch("schedules_selected", plugin)
    return [
        row["name"]
        for row in rows
        if pattern is None or fnmatchcase(row["name"], pattern) or fnmatchcase(row["job"], pattern)
    ]


async def pause(
    db: Database,
    name: str | Sequence[str],
    *,
    by: str,
    reason: str = "",
    until: datetime | None = None,
) -> list[str]:
    """Pause the schedule or all schedules of the job `name`, or the schedules of these names; slots
    get the verdict `skipped`, "paused".

    `until`: when it resumes by itself. Returns the names of those that were not paused before.
    Raises NotFoundError, and DeclarationError when `until` is past.
    """
    changed = []
    if until is not None:
        checked_instant(until, "pause: until", DeclarationError)
    async with db.transaction() as connection:
        for row in await _these(connection, name):
            if until is not None and until <= row["now"]:
                raise DeclarationError(
                    f"pause: until {until} is in the past, it is {row['now']:%F %T} UTC"
                )
            if row["state"] in ("active", "paused") and (
                row["state"] == "active" or row["paused_until"] != until
            ):
                await change(
                    connection,
                    row,
                    state="paused",
                    paused_until=until,
                    action="pause",
                    by=by,
                    reason=reason,
                )
                changed.append(row["name"])
    return changed


async def resume(
    db: Database,
    name: str | Sequence[str],
    *,
    by: str,
    run: Replayed = "none",
    reason: str = "",
) -> tuple[list[str], list[int]]:
    """Resume what `pause` paused; return the schedules resumed and the runs that were queued.

    `run`: what becomes of the slots that fell into the pause, beside their verdict: nothing, a run
    for the last, or one for each (at most MAX_REPLAY). Raises NotFoundError.
    """
    changed: list[str] = []
    queued: list[int] = []
    async with db.transaction() as connection:
        for row in await _these(connection, name):
            if row["state"] != "paused":
                continue
            since = await connection.fetchval(sql("paused_since"), row["id"])
            version = await change(
                connection, row, state="active", action="resume", by=by, reason=reason
            )
            changed.append(row["name"])
            if run != "none" and since is not None:
                queued += await _replay(connection, row, version, since, run, by)
    return changed, queued


async def _these(connection: asyncpg.Connection, name: str | Sequence[str]) -> list[asyncpg.Record]:
    """Return, locked, what `named` does for a name, or the schedules of these names that are still
    there."""
    if isinstance(name, str):
        return await named(connection, name)
    rows = [await connection.fetchrow(sql("schedule_by_name"), each) for each in name]
    return [await lapse(connection, row) for row in rows if row is not None]


async def end_pause(db: Database, term: int, name: str) -> None:
    """Resume the schedule `name` if its pause is over and settled, under `term`; raises
    LeaseLostError."""
    async with db.transaction() as connection:
        if await connection.fetchval(sql("fence"), term) is None:
            raise LeaseLostError(f"term {term} is over: its pauses are another node's to end")
        row = await connection.fetchrow(sql("schedule_by_name"), name)
        if row is not None:
            await lapse(connection, row)


async def end_one_off(db: Database, term: int, name: str) -> None:
    """End the schedule `name` where it is a one-off whose slot has its run, under `term`: it is
    paused, and the trail says why. One whose slot was skipped or missed waits for the next, if
    there is one.

    Raises LeaseLostError.
    """
    async with db.transaction() as connection:
        if await connection.fetchval(sql("fence"), term) is None:
            raise LeaseLostError(f"term {term} is over: its one-offs are another node's to end")
        row = await connection.fetchrow(sql("schedule_by_name"), name)
        if row is None or row["state"] != "active":
            return
        spec = ScheduleSpec.from_json(row["declared"], row["overrides"])
        if not spec.one_off:
            return
        last = await connection.fetchrow(sql("slot_last"), row["id"])
        if last is not None and last["run_id"] is not None:
            state: ScheduleState = "paused"
            reason = f"one_off: its slot {last['slot']:%F %T} UTC has run {last['run_id']}"
        else:
            since = max(row["now"], row["settled_to"])
            if foreseen(spec.as_version(1, since, "active"), name, since) is None:
                return  # there is none to wait for: the next version would be as over as this one
            was = f"{last['verdict']} ({last['reason']})" if last is not None else "skipped"
            state, reason = "active", f"one_off: its slot was {was}, it waits for its next"
        action = "finish" if state == "paused" else "put_off"
        await change(connection, row, state=state, action=action, by=BY_ITSELF, reason=reason)


async def one_offs_over(db: Database) -> list[str]:
    """Return the one-offs that nobody looks at any more, as their slot is settled."""
    return [row["name"] for row in await db.fetch("one_offs_over")]


async def _replay(
    connection: asyncpg.Connection,
    row: asyncpg.Record,
    version: ScheduleVersion,
    since: datetime,
    run: Replayed,
    by: str,
) -> list[int]:
    held = [version_of(v) for v in await connection.fetch(sql("verify_versions"), row["id"])]
    chosen = replayed(held, row["name"], since, version.valid_from, run)
    job = await connection.fetchval(sql("job_policies"), row["job"])
    policies = {**(job or {}), **version.policies}
    template = policies.get("concurrency_key")
    found = await connection.fetch(
        sql("runs_replay"),
        row["job"],
        row["id"],
        chosen,
        version.params,
        version.policies,
        by,
        policies.get("priority", 0),
        None if template is None else concurrency_key(template, version.params),
    )
    return [r["id"] for r in found]


class LockedSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule while its row is locked. `declared`: without what people have changed; `current`:
    with it, of number `version`."""

    name: str
    job: str
    version: int
    declared: ScheduleSpec
    current: ScheduleSpec
    now: datetime


Revision = Callable[[LockedSchedule], Mapping[str, Any]]
"""Decides what to change; an error that it raises leaves the schedule as it is."""


async def override(
    db: Database,
    name: str,
    changes: Mapping[str, Any] | Revision,
    *,
    jobs: Callable[[str], Job],
    by: str,
    reason: str = "",
) -> tuple[ScheduleVersion, datetime]:
    """Lay `changes` (fields of `Declared`) over one schedule: None takes one back, UNSET leaves the
    field empty. Return its new version, and the first slot that this would fire now (or, when a
    slot that jitter has put off stays with the version before, after that).

    `jobs`: returns the job of a name, or raises NotFoundError. A pause goes on. Raises
    NotFoundError, and as `fitting` on what does not fit: then the schedule stays as it is.
    """
    async with db.transaction() as connection:
        row = await _one(connection, name)
        calendars = await known(connection)
        first, overrides = _fitted(row, changes, jobs, calendars)[1:]
        version = await change(
            connection,
            row,
            overrides=overrides,
            paused_until=row["paused_until"],
            action="override",
            by=by,
            reason=reason,
        )
    if version.valid_from > max(row["now"], row["settled_to"]):
        first = next_slot(version, row["name"], version.valid_from) or first
    return version, first


async def preview(
    db: Database, name: str, changes: Mapping[str, Any] | Revision, *, jobs: Callable[[str], Job]
) -> tuple[LockedSchedule, ScheduleSpec]:
    """Return one schedule as it stands, and as `override` would leave it; nothing is changed.

    Raises as `override`.
    """
    async with db.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            row = await _one(connection, name)
            calendars = await known(connection)
            fit = _fitted(row, changes, jobs, calendars)[0]
            standing = _standing(row)
            now = await resolve_days(connection, standing.current)
            then = await resolve_days(connection, fit)
            return msgspec.structs.replace(standing, current=now), then
        finally:
            await transaction.rollback()


def _fitted(
    row: asyncpg.Record,
    changes: Mapping[str, Any] | Revision,
    jobs: Callable[[str], Job],
    calendars: Calendars,
) -> tuple[ScheduleSpec, datetime, dict[str, Any]]:
    """Return what `row` (locked) becomes by `changes`, its first slot, and all that people have
    changed of it then."""
    if callable(changes):
        changes = changes(_standing(row))
    overrides = {k: v for k, v in json_object(row["overrides"]).items() if k not in changes}
    overrides |= {k: v for k, v in changes.items() if v is not None}
    overrides = {k: None if v is UNSET else v for k, v in overrides.items()}
    job, name, now = jobs(row["job"]), row["name"], row["now"]
    fit, first = fitting(_laid(row, overrides), job, name, now, calendars)
    plain = msgspec.to_builtins(fit)  # what is kept is what was checked
    return fit, first, {k: plain[k] for k in overrides}


def _laid(row: asyncpg.Record, overrides: dict[str, Any]) -> ScheduleSpec:
    known = ScheduleSpec.__struct_fields__
    if unknown := sorted(set(overrides).difference(known)):
        raise DeclarationError(
            f"schedule '{row['name']}': it has no '{unknown[0]}' to change, but {', '.join(known)}"
        )
    try:
        return ScheduleSpec.from_json(row["declared"], overrides)
    except DeclarationError as error:
        raise DeclarationError(f"schedule '{row['name']}': {error}") from error


def _standing(row: asyncpg.Record) -> LockedSchedule:
    return LockedSchedule(
        name=row["name"],
        job=row["job"],
        version=row["version"],
        declared=ScheduleSpec.from_json(row["declared"], {}),
        current=ScheduleSpec.from_json(row["declared"], row["overrides"]),
        now=row["now"],
    )


async def add(
    db: Database, name: str, job: Job, declared: ScheduleSpec, *, by: str, reason: str = ""
) -> datetime:
    """Create a user's schedule `name` of `job`; return its first slot.

    Raises as `fitting` on what does not fit, DeclarationError when the name is taken or not one of
    the job's, NotFoundError when the leader does not know the job (any more).
    """
    check_name(name, job)
    async with db.transaction() as connection:
        if not await connection.fetchval(sql("job_present"), job.name):
            raise NotFoundError(
                f"job '{job.name}' is not declared by the replica that led last; `sereno cluster` "
                "shows it, `sereno plugins` there tells why"
            )
        now = await connection.fetchval(sql("database_now"))
        calendars = await of_texts(connection, declared.trigger)
        declared, first = fitting(declared, job, name, now, calendars)
        if await connection.fetchrow(sql("schedule_by_name"), name) is not None:
            raise DeclarationError(f"there is a schedule '{name}' already; choose another label")
        await connection.execute(sql("schedule_forget"), [name])
        schedule = NamedSchedule(name=name, job=job.name, origin="user", declared=declared)
        await create(connection, [schedule], by)
        await connection.execute(sql("schedule_told"), by, name, declared.to_json(), reason)
    return first


async def remove(
    db: Database, name: str, *, by: str, reason: str = ""
) -> tuple[str, list[datetime]]:
    """Remove a user's schedule, or an orphaned one; its history stays. Return its name, and the
    slots that jitter had put off: they end unbegun with it.

    Raises NotFoundError, DeclarationError for a plugin's.
    """
    async with db.transaction() as connection:
        row = await _one(connection, name)
        if row["origin"] != "user" and row["state"] != "orphaned":
            by_whom = _ORIGINS[row["origin"]]
            raise DeclarationError(
                f"schedule '{row['name']}' is declared by {by_whom}; pause it, or take it out there"
            )
        slots = await ending(connection, row)
        await change(connection, row, state="removed", action="remove", by=by, reason=reason)
        return str(row["name"]), slots


_ORIGINS = {"plugin": "a plugin", "config": "the configuration"}


async def _one(connection: asyncpg.Connection, name: str) -> asyncpg.Record:
    rows = await named(connection, name)
    if len(rows) > 1:
        names = ", ".join(r["name"] for r in rows)
        raise DeclarationError(f"job '{name}' has several schedules: {names}; name one of them")
    return rows[0]
