"""Builds a RunContext with which a test calls a job's function directly."""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from sereno.engine.context import RunContext
from sereno.model.job import Job, name_of
from sereno.testing.recorder import Enqueued, FannedOut, RecordingReporter, RecordingServices


class RecordedRun(RunContext[Any], kw_only=True):
    """A RunContext whose words a test reads back from `reporter`."""

    reporter: RecordingReporter

    @property
    def enqueued(self) -> list[Enqueued]:
        """Return the runs that it has asked for, in their order."""
        return self.reporter.services.enqueued

    @property
    def fanned_out(self) -> list[FannedOut]:
        """Return what it has fanned out to, in its order."""
        return self.reporter.services.fanned_out

    def cancel(self) -> None:
        """Ask the run to stop, as ``sereno cancel`` does."""
        self.stop.set()


def run_context(
    job: Job | str = "test.job",
    params: Mapping[str, Any] | msgspec.Struct | None = None,
    *,
    settings: Any = None,
    state: Any = None,
    database_url: str = "",
    client: Any = None,
    run_id: int = 1,
    attempt: int = 1,
    slot: datetime | None = None,
    upstream: Mapping[str, Any] | None = None,
    saved: Any = None,
    deadline: datetime | None = None,
    clock: Callable[[], datetime] | None = None,
) -> RecordedRun:
    """Build the context of one attempt of `job`, which talks to a `RecordingReporter`.

    `params` are checked and converted as the kernel does it (raises ParamsError); a Struct is taken
    as it is. `state`: what the plugin's lifespan would yield. `saved` goes through JSON, as a
    checkpoint of an earlier attempt would. `clock`: a FakeClock, say; the system's clock when None.
    """
    name = name_of(job)
    return RecordedRun(
        run_id=run_id,
        job=name,
        attempt=attempt,
        params=_params(job, params),
        settings=settings,
        state=state,
        log=logging.getLogger(f"sereno.job.{name}"),
        reporter=RecordingReporter(services=RecordingServices(database_url, client)),
        slot=slot,
        upstream=dict(upstream or {}),
        saved=json.loads(json.dumps(saved)),
        database_url=database_url,
        deadline=deadline,
        clock=clock or _system_time,
    )


def _params(job: Job | str, params: Mapping[str, Any] | msgspec.Struct | None) -> Any:
    if isinstance(params, msgspec.Struct):
        return params
    given = dict(params or {})
    if isinstance(job, str):
        return given
    checked = job.checked_params(given)
    return checked if job.params is None else msgspec.convert(checked, job.params)


def _system_time() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - a test without a FakeClock asked for the system's time
