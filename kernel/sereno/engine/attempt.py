"""One attempt of a run: its deadline, its cancellation, and how it ended.

States: made (`task` None); begun; told to stop (`why` says by what, and the first reason counts);
over, or left behind (`abandoned`: it did not stop within `STOP_PATIENCE`). Invariants: `over` is
called once, in the loop, whatever the job raises or swallows; `gone` once more for one that was
left behind, when its function returns after all.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from sereno.engine.clock import Clock
from sereno.engine.context import RunContext
from sereno.engine.executors.executor import CutOffError, TooLateError
from sereno.engine.forks import end_if_forked
from sereno.engine.kept_text import kept
from sereno.engine.loop_guard import task_of_run
from sereno.engine.result import NOT_KEPT, encode_result
from sereno.engine.run_streams import log_rest
from sereno.engine.runlog import RunScope, current_run
from sereno.model import fault
from sereno.model.errors import FinalError, RunCancelled, RunError, RunSuperseded
from sereno.model.executor import ChildError, Executor
from sereno.model.job import Job
from sereno.model.ledger import Claim
from sereno.model.policies import Policies
from sereno.model.retry import Retry
from sereno.model.run import SNOOZED, Outcome, RunState
from sereno.model.snooze import Snooze
from sereno.tracing import AttemptSpan, Tracer, begun, ended

MAX_ERROR = 20_000
"""Characters kept of an error, and of its traceback."""

STOP_PATIENCE = timedelta(seconds=5)
"""How long a job that was told to stop may take to do so before it is left behind."""
LAST_PATIENCE = timedelta(seconds=1)
"""The same where somebody forces the end of the node."""
LEFT = {
    "async": "; it swallows its cancellation, works on and keeps its place",
    "thread": '; its thread works on and keeps its place, as only executor="process" ends a job',
}
"""What is said of a job that was left behind, by its executor."""

_ANY_ERROR = Retry()
"""The rule for what a job raises once it is told to stop: why it was is what counts then."""

Why = Literal["timeout", "cancelled", "superseded", "drained"]


class _Ended(msgspec.Struct, frozen=True):
    value: Any = None
    error: BaseException | None = None


# Over seven: thousands may begin at one instant, and a Struct that is filled once costs the least;
# the runner alone makes it, by name.
class Attempt(msgspec.Struct, kw_only=True):
    """An attempt that is under way on this node, or about to begin.

    `over`: called once it has ended, or was left behind; then `outcome` says how it ended. `gone`:
    called once the function of one that was left behind has ended. One task runs the job, and
    nothing else waits beside it: thousands may begin at the same instant.
    """

    claim: Claim
    job: Job
    policies: Policies
    context: RunContext[Any]
    executor: Executor
    clock: Clock
    chance: Callable[[], float]
    scope: RunScope
    over: Callable[["Attempt"], None]
    gone: Callable[["Attempt"], None]
    tracer: Tracer | None = None
    why: Why | None = None
    who: str | None = None
    began: datetime | None = None
    task: asyncio.Task[_Ended] | None = None
    abandoned: bool = False
    timer: asyncio.TimerHandle | None = None
    span: AttemptSpan | None = None

    def begin(self, now: datetime) -> None:
        """Start the job; `now`: the database's time."""
        loop = asyncio.get_running_loop()
        self.began = now
        name = f"run {self.claim.run_id} of {self.claim.job}"
        self.task = task_of_run(self._execute(), self.scope, loop, name)
        self.task.add_done_callback(self._ended)
        timeout = self.policies.timeout
        if timeout is not None:
            self.timer = loop.call_later(timeout.total_seconds(), self.stop, "timeout")

    def __str__(self) -> str:
        """Name it as people know it; made when somebody asks, as hardly anybody does."""
        behind = ", left behind" if self.abandoned else ""
        return f"run {self.claim.run_id} of job '{self.claim.job}'{behind}"

    @property
    def too_late(self) -> bool:
        """Return whether the attempt is over, and its function was never called."""
        task = self.task
        if task is None or not task.done() or task.cancelled():
            return False
        return isinstance(task.result().error, TooLateError)

    def stop(self, why: Why, who: str | None = None) -> None:
        """Ask the job to stop; the first reason given is the one that counts."""
        if self.why is not None:
            return
        self.why, self.who = why, who
        self.context.stop.set()
        if self.task is None or self.task.done():
            return
        self._disarm()
        self.task.cancel()
        self.timer = asyncio.get_running_loop().call_later(
            STOP_PATIENCE.total_seconds(), self._leave_behind
        )

    def leave_soon(self) -> None:
        """Have less patience with a job that was told to stop."""
        if self.task is not None and not self.task.done():
            self._disarm()
            self.timer = asyncio.get_running_loop().call_later(
                LAST_PATIENCE.total_seconds(), self._leave_behind
            )

    def _leave_behind(self) -> None:
        self.abandoned = True
        self.over(self)

    def _ended(self, task: asyncio.Task[_Ended]) -> None:
        if self.abandoned:
            if not task.cancelled():
                task.exception()
            self.gone(self)
            return
        self._disarm()
        self.over(self)

    def _disarm(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    async def _execute(self) -> _Ended:
        """Run the job; what it raises is kept, as SystemExit in a task would end the whole loop."""
        current_run.set(self.scope)
        self.span = begun(self.tracer, self.claim)
        if self.span is not None:
            self.context.traceparent = self.span.traceparent
            self.scope.trace_id = self.span.trace_id
        try:
            ended = _Ended(await self.executor.execute(self.job, self.context, self.policies))
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            ended = _Ended(error=error)
        end_if_forked(ended.error)
        if self.scope.unsaid:
            log_rest(self.scope.unsaid)
        return ended

    @property
    def _final(self) -> bool:
        """Return whether the attempt ended with what no other one follows; asked when it failed."""
        retry, task = self.policies.retry, self.task
        if self.why == "timeout" and retry.is_final(TimeoutError()):
            return True
        if task is None or self.abandoned or task.cancelled():
            return False
        raised = task.result().error
        if raised is None:
            raised = RunError("its result cannot be kept")
        return ended_for_good(raised, retry if self.why is None else _ANY_ERROR)

    def outcome(self) -> Outcome:
        """Return how it ended."""
        state, result, error, trace = self._verdict()
        finished = self.clock.now()
        retry_at: datetime | None = None
        became: RunState | Literal["snoozed"] | None = None
        snooze = self._snooze if state == "failed" else None
        if snooze is not None:
            state, became, retry_at, error = self._put_off(snooze, finished)
            trace = None
        elif state in ("failed", "timed_out") and self.why != "cancelled" and not self._final:
            wait = self.policies.retry.wait(self.claim.attempt - self.claim.snoozes, self.chance())
            if wait is not None:
                became, state, retry_at = state, "queued", finished + wait
        again = state != "succeeded" and self.policies.on_lost == "retry"
        cut_off = state == "lost" and self.why is None
        if (self.why == "drained" or cut_off) and again and snooze is None:
            state, retry_at = "queued", finished
        first, lines = self.scope.take(last=True)
        began = self.began or finished
        outcome = Outcome(
            run_id=self.claim.run_id,
            job=self.claim.job,
            attempt=self.claim.attempt,
            token=self.claim.token,
            state=state,
            started_at=began,
            finished_at=max(finished, began),
            result=result,
            error=error,
            traceback=trace,
            retry_at=retry_at,
            became=became,
            lines=lines,
            first_line=first,
            slot=self.claim.slot,
        )
        return ended(self.span, outcome)

    @property
    def _snooze(self) -> Snooze | None:
        """Return what the job raised to put itself off, None where it did not."""
        if self.task is None or self.abandoned or self.task.cancelled():
            return None
        raised = self.task.result().error
        return raised if isinstance(raised, Snooze) else None

    def _put_off(
        self, snooze: Snooze, now: datetime
    ) -> tuple[RunState, Literal["snoozed"] | None, datetime | None, str]:
        before = self.claim.snoozes
        since = self.claim.snoozed_since or self.began or now
        try:
            until = snooze.ends_at(now, before, since)
        except FinalError as error:
            return "failed", None, None, str(error)
        because = f": {snooze.reason}" if snooze.reason else ""
        words = f"until {until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC{because}"
        return "queued", SNOOZED, until, kept(words, MAX_ERROR)

    def _verdict(self) -> tuple[RunState, bytes | None, str | None, str | None]:
        if self.task is None or self.abandoned:
            left, _, error = _stopped(self)
            if self.task is not None and self.why in ("timeout", "cancelled"):
                error += LEFT.get(self.policies.executor, "")
            return left, None, error, "(it did not stop when it was told to, and was left behind)"
        if self.task.cancelled():
            return *_stopped(self), None
        ended = self.task.result()
        raised = ended.error
        if raised is None:
            if self.why == "timeout":
                return *_stopped(self), None
            return self._succeeded(ended.value)
        if self.why is not None and isinstance(raised, RunCancelled):
            return *_stopped(self), None
        if self.why in ("timeout", "cancelled") and isinstance(raised, Snooze):
            return *_stopped(self), None  # what it was told counts
        if isinstance(raised, RunSuperseded):
            self.why = "superseded"
        return self._failed(raised)

    def _failed(
        self, raised: BaseException
    ) -> tuple[RunState, bytes | None, str | None, str | None]:
        if isinstance(raised, CutOffError):
            return (*_stopped(self), None) if self.why else ("lost", None, str(raised), None)
        if isinstance(raised, ChildError):  # told by another process, where it was raised
            sentence, trace = str(raised), raised.traceback or ""
        else:
            sentence, trace = fault.sentence(raised), fault.traceback_of(raised)
        state: RunState = "timed_out" if self.why == "timeout" else "failed"
        return state, None, kept(sentence, MAX_ERROR), kept(trace, MAX_ERROR) or None

    def _succeeded(self, value: Any) -> tuple[RunState, bytes | None, str | None, str | None]:
        found = encode_result(value) if self.policies.keep_result else NOT_KEPT
        if found.error is not None:
            return "failed", None, kept(found.error, MAX_ERROR), None
        return "succeeded", found.text, found.note, None


def ended_for_good(raised: BaseException, retry: Retry) -> bool:
    """Return whether no other attempt is to follow what a job raised, as `retry` has it."""
    return raised.final if isinstance(raised, ChildError) else retry.is_final(raised)


def _stopped(attempt: Attempt) -> tuple[RunState, None, str]:
    by = f" by {attempt.who}" if attempt.who else ""
    match attempt.why:
        case "timeout":
            return (
                "timed_out",
                None,
                f"it took longer than its timeout of {attempt.policies.timeout}",
            )
        case "drained":
            return "failed", None, "its node was stopped before it had ended"
        case "superseded":
            return "lost", None, "it is not this node's any more"
        case "cancelled":
            return "cancelled", None, f"cancelled{by}"
        case None:
            return "cancelled", None, "it cancelled itself"
