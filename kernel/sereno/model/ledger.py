"""What the planner reads and decides: plain values between the engine and the store."""

from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec

from sereno.model.run import Cause, Verdict

ScheduleState = Literal["active", "paused", "orphaned", "removed"]


class ScheduleVersion(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One version of a schedule: what its slots after `valid_from` follow."""

    version: int
    valid_from: datetime
    state: ScheduleState
    trigger: str
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    jitter: timedelta | None = None
    params: dict[str, Any] = {}
    policies: dict[str, Any] = {}


class OpenRange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The range of slots that ends at the watermark and grows while its verdict goes on."""

    first: datetime
    verdict: Verdict
    reason: str


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A schedule as the firing loop sees it.

    `versions`: the versions in force after `settled_to`, oldest first, at least one. `wake_at`:
    when the leader is to look at it. `version`: of the watermark; a settlement that was planned on
    another one is refused.
    """

    schedule_id: int
    name: str
    job: str
    versions: tuple[ScheduleVersion, ...]
    settled_to: datetime
    next_slot: datetime | None
    wake_at: datetime
    version: int
    open: OpenRange | None = None
    paused_until: datetime | None = None

    @property
    def current(self) -> ScheduleVersion:
        """Return the newest version."""
        return self.versions[-1]


class SlotVerdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of one slot; `runs`: it has a run. ``waiting``: for that run to begin."""

    slot: datetime
    verdict: Verdict
    reason: str | None = None
    runs: bool = False


class SlotRange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """`slots` consecutive slots, from `first` to `last`, that share one verdict and reason."""

    first: datetime
    last: datetime
    slots: int
    verdict: Verdict
    reason: str


class NewRun(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A run that a slot demands. `start`: at once, by this node; otherwise it is queued.

    `on_time_until`: begun later, its slot is late. `start_by`: not begun by then, it never is.
    """

    slot: datetime
    params: dict[str, Any]
    policies: dict[str, Any]
    priority: int
    concurrency_key: str | None
    start: bool
    on_time_until: datetime
    start_by: datetime | None = None


class Settlement(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All that one tick decided about one schedule; written as a whole or not at all.

    `pause_over`: every slot of a pause that had an end has its verdict; the schedule is to resume.
    """

    entry: Entry
    settled_to: datetime
    next_slot: datetime | None
    wake_at: datetime | None
    slots: tuple[SlotVerdict, ...] = ()
    ranges: tuple[SlotRange, ...] = ()
    runs: tuple[NewRun, ...] = ()
    open: OpenRange | None = None
    cancel_previous: bool = False
    pause_over: bool = False

    @property
    def count(self) -> int:
        """Return how many slots it settles."""
        return len(self.slots) + sum(r.slots for r in self.ranges)


class Claim(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A run that this node owns from now on: one attempt of it is to be made.

    `token`: what the attempt is known by, made at random by the claim. (Its number may come again,
    when PostgreSQL has lost the commit that gave it out.) `verdict`, `reason`: of its slot, where
    that waited for it. `snoozes`: earlier attempts that put the run off, `snoozed_since`: when the
    first of them began. `fault`: why its row cannot be read; then it is to fail. `handed`: by the
    leader, which may be another node. `part_of_slot`: it is a part of what a slot asked for.
    """

    run_id: int
    job: str
    attempt: int
    token: UUID
    params: dict[str, Any]
    policies: dict[str, Any]
    slot: datetime | None = None
    upstream: dict[str, Any] | None = None
    saved: Any = None
    trace_context: str | None = None
    cause: Cause = "slot"
    schedule: str | None = None
    verdict: Verdict | None = None
    reason: str | None = None
    snoozes: int = 0
    snoozed_since: datetime | None = None
    fault: str | None = None
    handed: bool = False
    part_of_slot: bool = False


class Queued(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A run that waits for its instant or for a place. `policies`: what its schedule overrides.
    `start_by`: when it is too late for it to begin. `turn`: of its job and concurrency key, None
    where it has none. `child`: it has been asked for as one of a fan-out."""

    run_id: int
    job: str
    schedule_id: int | None
    concurrency_key: str | None
    policies: dict[str, Any]
    start_by: datetime | None = None
    priority: int = 0
    turn: int | None = None
    child: bool = False
