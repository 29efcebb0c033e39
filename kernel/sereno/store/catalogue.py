"""What the leader's code declares, brought into the database: jobs, and the schedules of plugins
and config."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from typing import Any

import asyncpg
import msgspec

from sereno.model.errors import LeaseLostError
from sereno.model.job import Job
from sereno.model.ledger import ScheduleState, ScheduleVersion
from sereno.model.schedule import Origin
from sereno.model.schedule_spec import ScheduleSpec
from sereno.store.isolation import apart, is_of_data, unfitting
from sereno.store.pool import Database
from sereno.store.refusals import Refusal, written
from sereno.store.sql import sql
from sereno.store.version import BY_CONFIG, change, is_over, lapse, resolve_days
from sereno.triggers.resolution import foretold
from sereno.triggers.succession import foreseen

log = logging.getLogger(__name__)

BY_CODE = "the code"

_NAMED = 20

FORESEEN_AT_ONCE = 100
"""New schedules whose slots are computed at once: some milliseconds in which no node can beat."""

_AT_ONCE = 1_000
"""New schedules that one statement inserts: their rows are in memory twice meanwhile."""


class DeclaredJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job and the plugin that declares it."""

    job: Job
    plugin: str


class NamedSchedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as plugin or configuration declare it."""

    name: str
    job: str
    origin: Origin
    declared: ScheduleSpec


def fingerprint(jobs: Sequence[DeclaredJob], schedules: Iterable[NamedSchedule]) -> str:
    """Return a digest that changes with anything that `register` would write.

    Of `schedules`, in the order of their names, one at a time is held.
    """
    digest = sha256()
    for job in sorted(jobs, key=lambda j: j.job.name):
        digest.update(msgspec.json.encode(_job_row(job)) + b"\n")
    for s in schedules:
        digest.update(msgspec.json.encode((s.name, s.job, s.origin, s.declared.to_json())) + b"\n")
    return digest.hexdigest()


def digests(jobs: Sequence[DeclaredJob]) -> dict[str, str]:
    """Return of each job a short digest of what `register` would write of it; of one that cannot
    be written none."""
    found = {}
    for declared in jobs:
        with suppress(Exception):  # what a plugin's values raise is told by `register`
            row = msgspec.json.encode(_job_row(declared))
            found[declared.job.name] = sha256(row).hexdigest()[:16]
    return found


async def register(
    db: Database,
    term: int,
    jobs: Sequence[DeclaredJob],
    schedules: Iterable[NamedSchedule],
) -> bool:
    """Make the database know `jobs` and `schedules` and no others of plugins or config, under
    `term`.

    Schedules that are no longer declared become orphaned, and active again when they come back.
    What a person changed stays changed. `schedules`: in the order of their names, and may be asked
    for twice. What the database does not take of a plugin is left out, and kept with the reason.
    Returns False when nothing has changed since the last time. Raises LeaseLostError.
    """
    mark = _mark(jobs, schedules)
    gone: list[asyncpg.Record] = []
    unfit: dict[str, str] = {}
    async with db.transaction() as connection:
        if await connection.fetchval(sql("fence"), term) is None:
            raise LeaseLostError(f"term {term} is over before its jobs were registered")
        if mark and await connection.fetchval(sql("catalogue_fingerprint")) == mark:
            return False
        try:
            gone = await _register(connection, jobs, schedules)
        except Exception as error:
            if not is_of_data(error):
                raise

            async def alone(plugin: str) -> None:
                own = [j for j in jobs if j.plugin == plugin]
                await connection.execute(sql("jobs_register"), *_columns(own))
                declared = {s.name: s for s in _of(own, schedules)}
                await _register_schedules(connection, declared, alone=True)

            unfit = await unfitting(connection, dict.fromkeys(j.plugin for j in jobs), alone)
            left = [j for j in jobs if j.plugin not in unfit]
            if len(left) == len(jobs):
                raise
            gone = await _register(connection, left, _of(left, schedules))
            mark = None  # what is at fault is tried again by the next leader
        kept = {p: Refusal(why, mark_of(p, jobs, schedules)) for p, why in unfit.items()}
        await connection.execute(sql("catalogue_record"), mark or "", term, written(kept))
    _log_gone(gone)
    return True


def _log_gone(rows: Sequence[asyncpg.Record]) -> None:
    """Warn of jobs that nobody fires from now on: a deploy without a plugin, or the wrong database,
    looks no different from one that is meant."""
    plugins: dict[str, list[str]] = {}
    for row in rows:
        plugins.setdefault(row["plugin"], []).append(row["name"])
    for plugin, names in sorted(plugins.items()):
        log.warning(
            "jobs that were declared until now are declared no longer: nothing fires them",
            extra={"plugin": plugin, "jobs": sorted(names)[:_NAMED], "count": len(names)},
        )


def mark_of(
    plugin: str, jobs: Sequence[DeclaredJob], schedules: Iterable[NamedSchedule]
) -> str | None:
    """Return the fingerprint of what `plugin` declares."""
    own = [j for j in jobs if j.plugin == plugin]
    return _mark(own, _of(own, schedules))


def _mark(jobs: Sequence[DeclaredJob], schedules: Iterable[NamedSchedule]) -> str | None:
    """Return the fingerprint, None where something cannot even be written."""
    try:
        return fingerprint(jobs, schedules)
    except Exception as error:
        if not is_of_data(error):
            raise
        return None


async def _register(
    connection: asyncpg.Connection, jobs: Sequence[DeclaredJob], schedules: Iterable[NamedSchedule]
) -> list[asyncpg.Record]:
    """Register all or none; return the jobs that were declared until now."""
    async with connection.transaction():
        gone = await _register_jobs(connection, jobs)
        await _register_schedules(connection, {s.name: s for s in schedules})
        await _follow_users(connection, {j.job.name for j in jobs})
    return gone


def _of(jobs: Sequence[DeclaredJob], schedules: Iterable[NamedSchedule]) -> list[NamedSchedule]:
    names = {j.job.name for j in jobs}
    return [s for s in schedules if s.job in names]


async def _register_jobs(
    connection: asyncpg.Connection, jobs: Sequence[DeclaredJob]
) -> list[asyncpg.Record]:
    await connection.execute(sql("jobs_register"), *_columns(jobs))
    gone = await connection.fetch(sql("jobs_absent"), [j.job.name for j in jobs])
    await connection.execute(sql("chains_forget"))
    await connection.execute(sql("job_stats_create"))
    return list(gone)


def _columns(jobs: Sequence[DeclaredJob]) -> list[list[Any]]:
    rows = [_job_row(j) for j in jobs]
    return [list(c) for c in zip(*rows, strict=True)] or [[] for _ in range(14)]


def _job_row(declared: DeclaredJob) -> tuple[Any, ...]:
    job = declared.job
    return (
        job.name,
        declared.plugin,
        job.description,
        job.policies.to_json(),
        msgspec.json.encode(job.after),  # as bytes: a list among lists would be read as a matrix
        job.params_rule(),
        job.policies.overdue_after,
        job.policies.severity,
        msgspec.json.encode(job.secrets),
        job.title or None,
        job.owner or None,
        job.runbook or None,
        msgspec.json.encode(job.tags),
        {name: source.path for name, source in job.sources.items()} or None,
    )


async def _register_schedules(
    connection: asyncpg.Connection, wanted: Mapping[str, NamedSchedule], *, alone: bool = False
) -> None:
    """Create, change or orphan schedules; `alone`: those that are not wanted stay as they are."""
    rows = await connection.fetch(sql("schedules_declared"))
    known = {r["name"]: await _lapsed(connection, r) for r in rows}
    new = [s for name, s in wanted.items() if name not in known]
    if new:
        await _create_declared(connection, new)
    for name, row in known.items():
        schedule = wanted.get(name)
        if schedule is not None or not alone:
            with apart(row):
                await _follow(connection, row, schedule)


async def _follow(
    connection: asyncpg.Connection, row: asyncpg.Record, schedule: NamedSchedule | None
) -> None:
    """Make the schedule that `row` holds what the code declares now, None: nothing."""
    if schedule is None:
        if row["state"] != "orphaned":
            await _orphan(connection, row, "no longer declared")
        return
    state = _state(row, schedule.declared)
    if state != row["state"] or schedule.declared.to_json() != row["declared"]:
        await change(
            connection,
            row,
            declared=schedule.declared.to_json(),
            state=state,
            paused_until=row["paused_until"],
            action="declare",
            by=BY_CODE if schedule.declared.enabled else BY_CONFIG,
            reason="declared otherwise" if schedule.declared.enabled else "disabled",
        )


async def _orphan(connection: asyncpg.Connection, row: asyncpg.Record, reason: str) -> None:
    await change(
        connection,
        row,
        state="orphaned",
        paused_until=row["paused_until"],
        action="orphan",
        by=BY_CODE,
        reason=reason,
    )


async def _lapsed(connection: asyncpg.Connection, row: asyncpg.Record) -> asyncpg.Record:
    with apart(row):
        return await lapse(connection, row)
    return row


async def _create_declared(connection: asyncpg.Connection, new: list[NamedSchedule]) -> None:
    """Create what the code declares; a person's schedule of the same name stays in its place."""
    names = [s.name for s in new]
    users = {row["name"] for row in await connection.fetch(sql("schedules_taken"), names)}
    for schedule in new:
        if schedule.name in users:
            log.error(
                "a person's schedule has the name of a declared one, which is left out; remove it",
                extra={"schedule": schedule.name, "job": schedule.job},
            )
    await connection.execute(sql("schedule_forget"), names)
    free = [s for s in new if s.name not in users]
    if free:
        await create(connection, free, BY_CODE)


def _state(row: asyncpg.Record, declared: ScheduleSpec) -> ScheduleState:
    return _state_of_person(row) if declared.enabled else "paused"


def _state_of_person(row: asyncpg.Record) -> ScheduleState:
    """Return the state that people left a schedule in: also while it was orphaned."""
    return "active" if row["paused_by"] in (None, BY_CONFIG) or is_over(row) else "paused"


async def _follow_users(connection: asyncpg.Connection, jobs: set[str]) -> None:
    """Orphan users' schedules whose job has gone, and take up those whose job is back."""
    astray = [r["id"] for r in await connection.fetch(sql("schedules_astray"), list(jobs))]
    for held in await connection.fetch(sql("schedules_of_users"), astray):
        with apart(held):
            row = await lapse(connection, held)
            here = row["job"] in jobs
            if here and row["state"] == "orphaned":
                await change(
                    connection,
                    row,
                    state=_state_of_person(row),
                    paused_until=row["paused_until"],
                    action="adopt",
                    by=BY_CODE,
                    reason="its job is back",
                )
            elif not here and row["state"] != "orphaned":
                await _orphan(connection, row, "its job is no longer declared")


async def create(
    connection: asyncpg.Connection,
    schedules: Sequence[NamedSchedule],
    by: str,
    since: datetime | None = None,
) -> None:
    """Insert new schedules; slots after `since` (by default now) are theirs."""
    now = since or (await connection.fetchval(sql("database_now")))
    following: dict[str, datetime | None] = {}
    versions: dict[str, ScheduleVersion] = {}
    # Those with the same trigger in turn: its expression is read once.
    for n, s in enumerate(sorted(schedules, key=lambda s: s.declared.trigger)):
        if n % FORESEEN_AT_ONCE == 0:
            await asyncio.sleep(0)
        if s.declared.enabled:
            spec = await resolve_days(connection, s.declared)
            versions[s.name] = foretold(spec, s.name, now)
            following[s.name] = foreseen(versions[s.name], s.name, now)
    for n in range(0, len(schedules), _AT_ONCE):
        await _insert(connection, schedules[n : n + _AT_ONCE], (versions, following), by, now)
    for s in schedules:
        if not s.declared.enabled:
            row = await connection.fetchrow(sql("schedule_by_name"), s.name)
            await change(
                connection,
                row,
                state="paused",
                action="pause",
                by=BY_CONFIG,
                reason="disabled",
                since=now,
            )


async def _insert(
    connection: asyncpg.Connection,
    schedules: Sequence[NamedSchedule],
    found: tuple[Mapping[str, ScheduleVersion], Mapping[str, datetime | None]],
    by: str,
    since: datetime,
) -> None:
    rows = []
    versions, following = found
    for s in schedules:
        d = versions.get(s.name) or s.declared.as_version(1, since, "active")
        rows.append(
            (
                s.name,
                s.job,
                s.origin,
                s.declared.to_json(),
                d.trigger,
                d.starts_at,
                d.ends_at,
                d.jitter,
                d.params,
                d.policies,
                following.get(s.name),
            )
        )
    columns = [list(c) for c in zip(*rows, strict=True)]
    await connection.execute(sql("schedules_create"), *columns, by, since)
