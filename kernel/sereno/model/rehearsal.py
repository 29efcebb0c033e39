"""Values of a rehearsal: what the coming days are played with, and what would come of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from sereno.model.policies import Policies

Pace = Literal["usual", "slow"]
"""Each run takes as long as half of its job's runs do at most (p50), or as 99 of 100 do (p99)."""

Trouble = Literal["waits", "late", "skipped", "missed", "timed_out", "cancelled"]
"""What a run or a slot may meet: ``waits``: it begins later than it was due, and is still on time;
``late``: later than its grace; ``skipped``: an earlier run of its schedule is not over;
``missed``: it does not begin by its `start_by` or grace, or cannot; ``timed_out``: an attempt of it
passes its timeout; ``cancelled``: the next slot of its schedule takes its place."""

TROUBLES: tuple[Trouble, ...] = ("waits", "late", "skipped", "missed", "timed_out", "cancelled")

Hindrance = Literal["schedule", "job", "key", "executor", "node", "time", "other"]
"""What is in the way: an earlier run of the schedule, `max_running` of the job, the concurrency
key, the places of the executor, `max_running` of the node, the run's own duration, something
else."""


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """The places of the node that leads: runs at once over all jobs, and of its executors."""

    max_running: int = 1_000
    threads: int = 5
    processes: int = 4

    @property
    def capacity(self) -> dict[str, int]:
        """Return the places of each executor that has so many and no more."""
        return {"thread": self.threads, "process": self.processes}


class MeasuredDurations(msgspec.Struct, frozen=True, kw_only=True):
    """How long runs of a job take. `runs`: so many were measured; 0: nobody knows."""

    usual: timedelta = timedelta(0)
    slow: timedelta = timedelta(0)
    runs: int = 0


class RehearsedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it is played. `after`: the jobs that it follows."""

    policies: Policies
    durations: MeasuredDurations = MeasuredDurations()
    after: tuple[str, ...] = ()


class UnderWay(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is not over as the rehearsal begins. `started_at`: None while it waits."""

    job: str
    schedule_id: int | None = None
    schedule: str | None = None
    key: str | None = None
    slot: datetime | None = None
    started_at: datetime | None = None
    start_by: datetime | None = None
    attempt: int = 0


class RehearsedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that would happen. `at`: when it shows; `slot`: None for a run that follows
    another; `wait`: how long the run waits, or works until its timeout."""

    at: datetime
    trouble: Trouble
    hindrance: Hindrance
    job: str
    schedule: str | None = None
    slot: datetime | None = None
    wait: timedelta | None = None
    detail: str = ""


class RehearsedFinding(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one schedule (or of a job, for runs that follow others) that are alike."""

    trouble: Trouble
    hindrance: Hindrance
    job: str
    schedule: str | None
    count: int
    first: datetime
    last: datetime
    longest: timedelta | None = None
    detail: str = ""


class FullSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which every place is taken."""

    since: datetime
    until: datetime


class RehearsedPool(msgspec.Struct, frozen=True, kw_only=True):
    """How full places get. `pool`: an executor, or ``node`` for all; `most`: taken at once at most,
    first at `most_at`; `full`: how often all were taken, `full_for` together; `spans`: the first of
    these times."""

    pool: str
    places: int
    most: int
    most_at: datetime | None
    full: int
    full_for: timedelta
    spans: tuple[FullSpan, ...] = ()


class RehearsedHour(msgspec.Struct, frozen=True, kw_only=True):
    """An hour in which something is due. `troubles`: events by kind; `most`: runs at once."""

    begins: datetime
    slots: int
    most: int
    troubles: Mapping[Trouble, int]


class RehearsedCourse(msgspec.Struct, frozen=True, kw_only=True):
    """What would come of it at one pace. `slots`: so many are due, `started` of them (and of runs
    that follow) begin at once, `held` do not on purpose: paused, in a blackout, outside a window.
    `troubles`: by kind; `events`: the first of them, `findings`: all, those alike as one."""

    pace: Pace
    slots: int
    started: int
    held: int
    troubles: Mapping[Trouble, int]
    findings: Sequence[RehearsedFinding]
    events: Sequence[RehearsedEvent]
    pools: Sequence[RehearsedPool]
    hours: Sequence[RehearsedHour]


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """A rehearsal of (`since`, `until`]; `until` is earlier than `asked` where enough was played.

    `unmeasured`: jobs with something due of which no run was ever measured: they take no time.
    `unread`: schedules that cannot be planned, and why.
    """

    since: datetime
    until: datetime
    asked: datetime
    places: Places
    usual: RehearsedCourse
    slow: RehearsedCourse
    unmeasured: tuple[str, ...] = ()
    unread: Mapping[str, str] = {}

    @property
    def whole(self) -> bool:
        """Tell whether all that was asked for was played."""
        return self.until >= self.asked

    def course(self, pace: Pace) -> RehearsedCourse:
        """Return what would come of it at `pace`."""
        return self.usual if pace == "usual" else self.slow
