"""What `sereno_on_*` hooks are told; plain frozen values."""

from datetime import datetime, timedelta

import msgspec

from sereno.model.policies import Severity
from sereno.model.run import Cause, RunState, Verdict


class RunStarted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An attempt of a run has begun on this node. `part_of_slot`: it is a part of what a slot asked
    for, and was to begin at that `slot` as well."""

    run_id: int
    job: str
    attempt: int
    slot: datetime | None
    started_at: datetime
    cause: Cause = "slot"
    part_of_slot: bool = False


class RunFinished(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An attempt of a run has ended; `state` is ``queued`` when it will be tried again.
    `snoozed`: it has put itself off, which is no failure; `error` says until when.

    Told by the node that made the attempt; when that died, and the run is not tried again, by the
    leader that finds it ``lost``. So does the leader of a run that no slot asked for and that had
    not begun by its `start_by`: it is ``cancelled``, and `attempt` is 0. And the leader tells when
    all parts of a run that works at each host or node are over: `parts` is how many it had, and 0
    of any other run; each of the parts is told as well.
    `result`: JSON text, None when there is none. `traceback`: of what failed, where it is known.
    """

    run_id: int
    job: str
    attempt: int
    slot: datetime | None
    state: RunState
    duration: timedelta
    error: str | None
    result: bytes | None = None
    traceback: str | None = None
    snoozed: bool = False
    parts: int = 0


class RunStalled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A run at work has said nothing for its `stalled_after`, or says something again (`resolved`).

    Told once each, by the node that works on it. That one ends which had stalled is told by
    RunFinished. `silent`: for how long it said nothing.
    """

    run_id: int
    job: str
    attempt: int
    slot: datetime | None
    silent: timedelta
    resolved: bool


class SlotSettled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A slot got a verdict other than ``ran``.

    `slots`: so many in a row were `missed` for one reason; `slot` is the last of them.
    """

    job: str
    schedule: str
    slot: datetime
    verdict: Verdict
    reason: str
    slots: int = 1


class LeaderChanged(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """This node took the lead or lost it."""

    node: str
    term: int
    leading: bool
    reason: str


class JobOverdue(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A job's last success is older than it may be; told as it becomes so and as it is over.

    Told on one node alone: mostly the leader.
    """

    job: str
    severity: Severity
    overdue: timedelta
    resolved: bool
