"""Reads what people are shown: jobs, schedules, runs, slots and replicas, as plain values."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import msgspec

from sereno.model.errors import NotFoundError
from sereno.model.ledger import ScheduleVersion
from sereno.model.run import LogLine
from sereno.model.stored_json import json_object
from sereno.model.suggestion import suggestion
from sereno.settings import hidden, redact
from sereno.store.backend import Backend
from sereno.store.holder import doubtful_holder
from sereno.store.keys import LEADER_LOCK, LOCK_CLASS
from sereno.store.ledger import version_of
from sereno.store.pool import Database

_SPOKEN = (
    *("error", "traceback", "message", "note"),
    *("requested_by", "unique_key", "concurrency_key", "cancel_reason", "verdict_reason", "reason"),
)
"""What a job or a caller said in words of their own, which may hold a password."""

_GIVEN = ("params", "upstream", "result", "checkpoint")
"""What a run was given and what it found, as JSON."""

_DEPTH = 1_000
"""Deeper than any JSON is read: nothing of a result is left out."""

_OBJECTS = ("params", "policies", "upstream")

V = TypeVar("V", bound=msgspec.Struct)


class ScheduleView(msgspec.Struct, frozen=True, kw_only=True):
    """One schedule as it stands. `definition`: its newest version."""

    id: int
    name: str
    job: str
    origin: str
    state: str
    overridden: bool
    definition: ScheduleVersion
    settled_to: datetime
    next_slot: datetime | None = None
    paused_until: datetime | None = None
    paused_by: str | None = None
    paused_reason: str | None = None


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """One job. `present`: some plugin declares it. `now`: the database's time of the reading."""

    name: str
    plugin: str
    description: str
    present: bool
    severity: str
    after: list[str]
    policies: dict[str, Any]
    succeeded: int
    failed: int
    missed: int
    queued: int
    running: int
    now: datetime
    last_success_at: datetime | None = None
    last_end_at: datetime | None = None
    last_state: str | None = None
    last_run: int | None = None
    last_duration: timedelta | None = None
    schedules: list[ScheduleView] = []


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One run in a listing. `node`: its label. `done`, `total`, `note`: the newest progress.
    `warnings`: how often it has warned."""

    id: int
    job: str
    state: str
    cause: str
    priority: int
    attempt: int
    run_at: datetime
    queued_at: datetime
    schedule: str | None = None
    slot: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    node: str | None = None
    term: int | None = None
    requested_by: str | None = None
    error: str | None = None
    done: float | None = None
    total: float | None = None
    note: str | None = None
    warnings: int = 0

    @property
    def took(self) -> timedelta | None:
        """Return how long the last attempt took, None before it began or ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at

    def facts(self) -> dict[str, Any]:
        """Return the run as programs are told of it, in every JSON of CLI and pages alike.

        `attempts`: how many. `duration`: seconds.
        """
        took = self.took
        named = {
            "run": self.id,
            "job": self.job,
            "state": self.state,
            "attempts": self.attempt,
            "duration": None if took is None else took.total_seconds(),
            "progress": {"done": self.done, "total": self.total, "note": self.note},
        }
        told = {name: getattr(self, name) for name in self.__struct_fields__ if name not in _NAMED}
        return named | told


_NAMED = ("id", "job", "state", "attempt", "done", "total", "note", "attempts")
"""Fields of a run whose name among its facts is another, or whose place is the first."""


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One ended attempt that was not the run's last."""

    attempt: int
    state: str
    node: str | None = None
    term: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None
    traceback: str | None = None


class WarningView(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt of a run has warned of, and how often."""

    attempt: int
    message: str
    times: int
    first_at: datetime
    last_at: datetime


class RunDetail(RunView, frozen=True, kw_only=True):
    """All that is kept of one run. `verdict`: of its slot. `lines`: the last of its log."""

    now: datetime
    losses: int
    params: dict[str, Any]
    result: Any = None
    traceback: str | None = None
    upstream: dict[str, Any] | None = None
    repeats: int | None = None
    unique_key: str | None = None
    concurrency_key: str | None = None
    trace_context: str | None = None
    checkpoint: Any = None
    cancelled_by: str | None = None
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    verdict: str | None = None
    verdict_reason: str | None = None
    attempts: list[AttemptView] = []
    warned: list[WarningView] = []
    lines: list[LogLine] = []

    def facts(self) -> dict[str, Any]:
        """Return the facts with params and the ended attempts."""
        found = super().facts()
        return found | {
            "params": self.params,
            "ended_attempts": self.attempts,
        }

    def outline(self) -> dict[str, Any]:
        """Return the facts for who has asked for the run: without traceback, log, attempts, and
        keys of the kernel's own."""
        return {name: value for name, value in self.facts().items() if name in _OUTLINE}


_OUTLINE = frozenset(
    (
        *("run", "job", "state", "attempts", "duration", "progress", "error", "params", "result"),
        *("cause", "requested_by", "priority", "schedule", "slot", "unique_key", "node", "term"),
        *("run_at", "queued_at", "started_at", "finished_at", "warnings"),
    )
)


class SlotView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one slot, or of `slots` slots that share a verdict. `node`: who decided."""

    schedule: str
    first_slot: datetime
    last_slot: datetime
    slots: int
    verdict: str
    term: int
    decided_at: datetime
    reason: str | None = None
    run_id: int | None = None
    node: str | None = None


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    """The version that a schedule's slots at some instant follow, and who made it."""

    name: str
    definition: ScheduleVersion
    settled_to: datetime
    changed_by: str
    changed_at: datetime
    reason: str


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """One replica. `present`: it holds its presence lock, so it is alive."""

    id: UUID
    label: str
    pid: int
    version: str
    present: bool
    running: int
    started_at: datetime
    seen_at: datetime
    http: str | None = None
    left_at: datetime | None = None


class LeaderView(msgspec.Struct, frozen=True, kw_only=True):
    """The newest term. `held`: a node holds the leader's lock.

    `holder`: who holds it, asked where that is no node, or one that has not beaten of late.
    """

    term: int
    held: bool
    now: datetime
    node: UUID | None = None
    label: str | None = None
    acquired_at: datetime | None = None
    beat_at: datetime | None = None
    holder: Backend | None = None


async def jobs(db: Database) -> list[JobView]:
    """Return every job with its schedules, by name."""
    rows = await db.fetch("view_jobs")
    of: dict[str, list[ScheduleView]] = {}
    for schedule in await schedules(db):
        of.setdefault(schedule.job, []).append(schedule)
    return [JobView(schedules=of.get(row["name"], []), **_picked(row, JobView)) for row in rows]


async def schedules(db: Database, name: str | None = None) -> list[ScheduleView]:
    """Return the schedules of the job `name`, or the one of that name; all of them for None."""
    return [
        ScheduleView(definition=_masked(version_of(row)), **_picked(row, ScheduleView))
        for row in await db.fetch("view_schedules", name)
    ]


async def known_job(db: Database, name: str, declared: Collection[str] = ()) -> None:
    """Raise NotFoundError, with a suggestion, unless there is or was a job `name` in the database.

    `declared`: names that are known elsewhere.
    """
    names = {row["name"] for row in await db.fetch("view_job_names")}
    if name in names:
        return
    if name in declared:
        raise NotFoundError(
            f"job '{name}' is declared here, but no replica has brought it to this database yet; "
            "`sereno run` starts one"
        )
    hint = suggestion(name, sorted(names.union(declared)), "; `sereno jobs` lists them")
    raise NotFoundError(f"there is no job '{name}' in this database{hint}")


async def listed(db: Database, run_ids: Sequence[int]) -> list[RunView]:
    """Return those of `run_ids` that are kept, the newest first."""
    return shown(await db.fetch("view_runs_of", list(run_ids)), RunView)


async def run(db: Database, run_id: int, *, lines: int = 20, reveal: bool = False) -> RunDetail:
    """Return one run with its attempts and its last `lines` log lines; raises NotFoundError.

    `reveal`: with the secrets in it, for who may read the table anyway and asks for them.
    """
    row = await db.fetchrow("view_run", run_id)
    if row is None:
        raise NotFoundError(f"there is no run {run_id}; `sereno runs` lists the newest")
    ended = await db.fetch("view_attempts", run_id)
    warned = await db.fetch("view_warnings", run_id)
    said = await db.fetch("view_lines", run_id, lines) if lines else []
    return RunDetail(
        attempts=[AttemptView(**_picked(r, AttemptView, reveal=reveal)) for r in ended],
        warned=[WarningView(**_picked(r, WarningView, reveal=reveal)) for r in warned],
        lines=[LogLine(**_picked(r, LogLine, reveal=reveal)) for r in said],
        **_picked(row, RunDetail, reveal=reveal),
    )


async def slots(
    db: Database, job: str, first: datetime, last: datetime, *, limit: int = 100
) -> list[SlotView]:
    """Return the verdicts of `job`'s slots in [first, last], and the ranges that touch it."""
    return shown(await db.fetch("view_slots", job, first, last, limit), SlotView)


async def rules(db: Database, job: str, at: datetime) -> list[RuleView]:
    """Return what `job`'s schedules followed at the instant `at`."""
    return [
        RuleView(definition=_masked(version_of(row)), **_picked(row, RuleView))
        for row in await db.fetch("view_history", job, at)
    ]


async def nodes(db: Database) -> list[NodeView]:
    """Return the replicas that are alive or were seen within a day, the oldest first."""
    return shown(await db.fetch("nodes_present", LOCK_CLASS), NodeView)


async def leader(db: Database) -> LeaderView:
    """Return who leads, or led last."""
    found = shown(await db.fetch("leader_now", LOCK_CLASS, LEADER_LOCK), LeaderView)
    if not found:
        raise NotFoundError("the table sereno.leadership is empty; `sereno migrate` fills it")
    view = found[0]
    holder = await doubtful_holder(db, held=view.held, beat_at=view.beat_at, now=view.now)
    return msgspec.structs.replace(view, holder=holder)


def shown(rows: Sequence[asyncpg.Record], view: type[V]) -> list[V]:
    """Return `rows` as they are shown: each field of `view` from its column, secrets masked."""
    return [view(**_picked(row, view)) for row in rows]


def _picked(
    row: asyncpg.Record, view: type[msgspec.Struct], *, reveal: bool = False
) -> dict[str, Any]:
    known = frozenset(row.keys())
    found = {name: row[name] for name in view.__struct_fields__ if name in known}
    found |= {name: json_object(found[name]) for name in _OBJECTS if found.get(name) is not None}
    if "after" in found:
        found["after"] = [name for name in found["after"] if isinstance(name, str)]
    if reveal:
        return found
    secrets = row["secrets"] if "secrets" in known else None
    if secrets and found.get("params"):  # by the job's word, whatever their names
        masked = {n: "***" for n in secrets if found["params"].get(n) is not None}
        found["params"] = found["params"] | masked
    found |= {name: redact(found[name]) for name in _SPOKEN if isinstance(found.get(name), str)}
    return found | {
        name: hidden(name, found[name], depth=_DEPTH) for name in _GIVEN if found.get(name)
    }


def _masked(found: ScheduleVersion) -> ScheduleVersion:
    return msgspec.structs.replace(found, params=hidden("params", found.params))
