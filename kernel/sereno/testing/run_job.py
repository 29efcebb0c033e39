"""Runs a job in a test, attempt after attempt, with no database and no waiting."""

import asyncio
import inspect
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from sereno.engine.attempt import ended_for_good
from sereno.engine.result import encode_result
from sereno.model.errors import FinalError, RunCancelled, RunError
from sereno.model.job import Job
from sereno.model.run import RunState
from sereno.model.snooze import Snooze
from sereno.testing.clock import FakeClock
from sereno.testing.context import RecordedRun, run_context
from sereno.testing.recorder import Enqueued

EVEN = 0.5
"""The chance that leaves a retry's wait as it is, whatever its jitter."""


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a run. `result`: as JSON would give it back. `error`: what the last attempt
    raised. `attempts`: the context of each. `waits`: between them."""

    state: RunState
    result: Any
    error: BaseException | None
    attempts: tuple[RecordedRun, ...]
    waits: tuple[timedelta, ...]

    @property
    def enqueued(self) -> list[Enqueued]:
        """Return the runs that all attempts have asked for, in their order."""
        return [asked for attempt in self.attempts for asked in attempt.enqueued]

    @property
    def warnings(self) -> list[str]:
        """Return what all attempts have warned of, in their order."""
        return [text for attempt in self.attempts for text in attempt.reporter.warnings]


async def run_job(
    job: Job,
    params: Mapping[str, Any] | msgspec.Struct | None = None,
    *,
    at: datetime | None = None,
    **context: Any,
) -> RunResult:
    """Run `job` until it succeeds, or has failed for good; raises ParamsError.

    Each attempt begins with the last checkpoint of the one before, on a clock that stands at `at`
    (the run's slot) and is moved by the wait between them, without its jitter. A plain function
    runs in a thread; nobody enforces a timeout. `context`: what `run_context` takes besides, as
    `settings`, `state`, `client`, `database_url`.
    """
    clock = FakeClock() if at is None else FakeClock(at)
    attempts: list[RecordedRun] = []
    waits: list[timedelta] = []
    saved = context.pop("saved", None)
    snoozes, began = 0, clock.now()
    while True:
        number = len(attempts) + 1
        run = run_context(job, params, slot=at, attempt=number, saved=saved, clock=clock, **context)
        attempts.append(run)
        result, error = await _attempted(job, run)
        state: RunState = "succeeded" if error is None else "failed"
        if isinstance(error, Snooze):
            try:
                wait = error.ends_at(clock.now(), snoozes, began) - clock.now()
            except FinalError as refusal:
                error, wait = refusal, None
            snoozes += 1
        else:
            wait = None if error is None else job.policies.retry.wait(number - snoozes, EVEN)
        if isinstance(error, RunCancelled) and run.cancelled:
            state, wait = "cancelled", None
        if error is None or wait is None or ended_for_good(error, job.policies.retry):
            return RunResult(
                state=state,
                result=result,
                error=error,
                attempts=tuple(attempts),
                waits=tuple(waits),
            )
        waits.append(wait)
        clock.advance(wait)
        saved = run.reporter.checkpoints[-1] if run.reporter.checkpoints else saved


async def _attempted(job: Job, run: RecordedRun) -> tuple[Any, BaseException | None]:
    try:
        if inspect.iscoroutinefunction(job.function):
            value = await job.function(run)
        else:
            value = await asyncio.to_thread(job.function, run)
    except Exception as error:
        return None, error
    found = encode_result(value)
    if found.error is not None:
        return None, RunError(found.error)
    return (None if found.text is None else json.loads(found.text)), None
