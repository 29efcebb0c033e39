"""Reads what people are shown: jobs, schedules, runs, slots and replicas, as plain values."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from sereno.model.errors import NotFoundError
from sereno.model.ledger import ScheduleVersion
from sereno.model.run import LogLine
from sereno.model.suggestion import suggestion
from sereno.store.attempt_views import AttemptView, WarningView
from sereno.store.backend import Backend
from sereno.store.holder import doubtful_holder
from sereno.store.keys import LEADER_LOCK, LOCK_CLASS
from sereno.store.ledger import version_of
from sereno.store.part_views import PartView, parts_of
from sereno.store.placement_waits import placement_waits
from sereno.store.pool import Database
from sereno.store.shown_rows import masked, picked, shown


class ScheduleView(msgspec.Struct, frozen=True, kw_only=True):
    """One schedule as it stands. `definition`: its newest version. `written`: its trigger as people
    wrote it, with the names of calendars where that has their days."""

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
    title: str = ""
    tags: list[str] = []
    written: str = ""


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """One job. `present`: some plugin declares it. `now`: the database's time of the reading.
    `takes`: what is known of each param (`type`, `required`, `limits`); None: it takes any.
    `last_run_kept`: its last run has not been pruned yet."""

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
    last_run_kept: bool = True
    last_duration: timedelta | None = None
    title: str = ""
    owner: str = ""
    runbook: str = ""
    tags: list[str] = []
    takes: dict[str, Any] | None = None
    schedules: list[ScheduleView] = []


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One run in a listing. `node`: its label. `done`, `total`, `note`: the newest progress.
    `warnings`: how often it has warned. `stalled_since`: when it said something last, where that is
    longer ago than its `stalled_after`. `tags`: its own. `place`, `part_of`: of a part of a run."""

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
    stalled_since: datetime | None = None
    tags: list[str] = []
    place: str | None = None
    part_of: int | None = None

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


class RunDetail(RunView, frozen=True, kw_only=True):
    """All that is kept of one run. `verdict`: of its slot. `lines`: the last of its log.
    `waits_for_node`: why no replica with its labels has taken it, and how long it waits for one.
    `parts`: those it has;
    `only_at`: the one place that it was asked for at.
    `title`, `owner`, `runbook`, `job_tags`: of its job. `repeats_kept`: the run that it does again
    has not been pruned yet. `schedule_removed`: its schedule is no more."""

    now: datetime
    losses: int
    params: dict[str, Any]
    result: Any = None
    traceback: str | None = None
    upstream: dict[str, Any] | None = None
    repeats: int | None = None
    repeats_kept: bool = True
    schedule_removed: bool = False
    alone: bool = False
    backfill: int | None = None
    start_by: datetime | None = None
    unique_key: str | None = None
    held_until: datetime | None = None
    concurrency_key: str | None = None
    key_limit: int | None = None
    key_taken_by: list[int] | None = None
    waits_for_node: str | None = None
    trace_context: str | None = None
    checkpoint: Any = None
    cancelled_by: str | None = None
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    verdict: str | None = None
    verdict_reason: str | None = None
    title: str = ""
    owner: str = ""
    runbook: str = ""
    job_tags: list[str] = []
    schedule_tags: list[str] = []
    only_at: str | None = None
    parts: list[PartView] = []
    attempts: list[AttemptView] = []
    warned: list[WarningView] = []
    lines: list[LogLine] = []

    def facts(self) -> dict[str, Any]:
        """Return the facts with params and the ended attempts."""
        return super().facts() | {
            "params": self.params,
            "ended_attempts": self.attempts,
        }

    @property
    def waits_for_key(self) -> str | None:
        """Return why it waits where all places of its concurrency key are taken, None otherwise."""
        taken, limit = self.key_taken_by or [], self.key_limit or 1
        if self.state != "queued" or len(taken) < limit:
            return None
        shown = ", ".join(str(run) for run in taken[:_SHOWN_OF_KEY])
        if len(taken) > _SHOWN_OF_KEY:
            shown += f" and {len(taken) - _SHOWN_OF_KEY} more"
        are, runs = ("is", "run") if len(taken) == 1 else ("are", "runs")
        return (
            f"{len(taken)} of {limit} places of key '{self.concurrency_key}' {are} taken by"
            f" {runs} {shown}"
        )

    def outline(self) -> dict[str, Any]:
        """Return the facts for who has asked for the run: without traceback, log, attempts, and
        keys of the kernel's own."""
        return {name: value for name, value in self.facts().items() if name in _OUTLINE}


_SHOWN_OF_KEY = 10

_OUTLINE = frozenset(
    (
        *("run", "job", "state", "attempts", "duration", "progress", "error", "params", "result"),
        *("cause", "requested_by", "priority", "schedule", "slot", "unique_key", "held_until"),
        *("node", "term", "run_at", "queued_at", "started_at", "finished_at", "warnings", "tags"),
        "stalled_since",
    )
)


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """One replica. `present`: it holds its presence lock, so it is alive. `draining`: people have
    asked it to take no part. `handed`: runs that it was handed and has not begun; `places`:
    attempts at once by executor, None: as many as may be; None for all while it is handed
    nothing. `host`: the machine, by the id that jobs of scope "host" go by, and `host_name`, as
    people call it. `clock_offset`: seconds by which its clock is ahead of the database's, as it
    said last."""

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
    draining: bool = False
    handed: int = 0
    places: dict[str, int | None] | None = None
    labels: list[str] | None = None
    host: str | None = None
    host_name: str | None = None
    clock_offset: float | None = None


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


async def jobs(
    db: Database, *, bare: bool = False, names: Sequence[str] | None = None
) -> list[JobView]:
    """Return every job, or those of `names`, with its schedules, by name; `bare`: without them."""
    rows = await db.fetch("view_jobs", names)
    of: dict[str, list[ScheduleView]] = {}
    one = names[0] if names is not None and len(names) == 1 else None
    for schedule in () if bare else await schedules(db, one):
        of.setdefault(schedule.job, []).append(schedule)
    return [JobView(schedules=of.get(row["name"], []), **picked(row, JobView)) for row in rows]


async def schedules(
    db: Database, name: str | None = None, *, due_first: int | None = None
) -> list[ScheduleView]:
    """Return the schedules of the job `name`, or the one of that name; all of them for None.

    `due_first`: of so many that wake first those that are active and have a slot to come.
    """
    if due_first is not None:
        rows = await db.fetch("view_schedules_next", due_first)
    elif name is None:
        rows = await db.fetch("view_schedules")
    else:
        known = [row["id"] for row in await db.fetch("schedules_named", name)]
        rows = await db.fetch("view_schedules_of", known)
    return [
        ScheduleView(definition=masked(version_of(row)), **picked(row, ScheduleView))
        for row in rows
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


async def no_run(db: Database, run_id: int) -> NotFoundError:
    """Return what is said of a number that no run has."""
    why = "it is kept no more; " if await db.fetchval("run_pruned", run_id) else ""
    return NotFoundError(f"there is no run {run_id}; {why}`sereno runs` lists the newest")


async def run(db: Database, run_id: int, *, lines: int = 20, reveal: bool = False) -> RunDetail:
    """Return one run with its attempts and its last `lines` log lines; raises NotFoundError.

    `reveal`: with the secrets in it, for who may read the table anyway and asks for them.
    """
    row = await db.fetchrow("view_run", run_id)
    if row is None:
        raise await no_run(db, run_id)
    ended = await db.fetch("view_attempts", run_id)
    warned = await db.fetch("view_warnings", run_id)
    said = await db.fetch("view_lines", run_id, lines) if lines else []
    waits = await placement_waits(db, run_id) if row["state"] == "queued" else []
    return RunDetail(
        parts=await parts_of(db, run_id) if row["whole"] else [],
        waits_for_node=(waits[0].sentence_of(row["start_by"], row["attempt"]) if waits else None),
        attempts=[AttemptView(**picked(r, AttemptView, reveal=reveal)) for r in ended],
        warned=[WarningView(**picked(r, WarningView, reveal=reveal)) for r in warned],
        lines=[LogLine(**picked(r, LogLine, reveal=reveal)) for r in said],
        **picked(row, RunDetail, reveal=reveal),
    )


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
