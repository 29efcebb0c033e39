"""What a job asks for when it queues a run, and how it is queued on a connection of the caller's.

No driver is loaded for it: every plugin imports this with ``sereno``, and most processes that do
have no database.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from sereno.model.bounds import checked_instant, checked_json
from sereno.model.duration import as_written, parse_duration
from sereno.model.errors import ParamsError
from sereno.model.policies import LONGEST_UNIQUE
from sereno.model.policy_types import Duration
from sereno.model.titles import checked_tags
from sereno.store import callers

_BEYOND = timedelta(days=4_000_000)
"""From now to where no instant can be; PostgreSQL can add that."""


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A run that a job asks for. `params`: JSON text; `run_at` None: now."""

    job: str
    params: str
    requested_by: str
    run_at: datetime | None = None
    priority: int | None = None
    unique_key: str | None = None
    trace_context: str | None = None
    start_by: timedelta | None = None
    tags: tuple[str, ...] = ()
    unique_for: timedelta | None = None
    unique_by: tuple[str, ...] | None = None


def run_request(
    job: str,
    params: Mapping[str, Any],
    *,
    requested_by: str,
    run_at: datetime | None = None,
    priority: int | None = None,
    unique_key: str | None = None,
    trace_context: str | None = None,
    start_by: timedelta | None = None,
    tags: Iterable[str] = (),
    unique_for: Duration | None = None,
    unique_by: Iterable[str] | None = None,
) -> RunRequest:
    """Return a request that any run could have; raises ParamsError."""
    check_request(job, run_at, priority)
    return RunRequest(
        job=job,
        params=checked_json(dict(params), f"job '{job}': params").decode(),
        requested_by=requested_by,
        run_at=run_at,
        priority=priority,
        unique_key=unique_key,
        trace_context=trace_context,
        start_by=start_by,
        tags=checked_tags(tags, f"job '{job}'", ParamsError) if tags else (),
        unique_for=checked_span(job, unique_for),
        unique_by=checked_names(job, unique_by),
    )


async def enqueue_in(connection: Any, request: RunRequest) -> int:
    """Queue a run by a connection of asyncpg or psycopg 3, in its transaction if one is open;
    return its id. Raises as `callers.values`."""
    tags = (msgspec.json.encode(request.tags).decode(),) if request.tags else ()
    (found,) = await callers.values(
        connection,
        "enqueue_tagged_as_role" if tags else "enqueue_as_role",
        *(request.job, request.params, request.run_at, request.priority, request.unique_key),
        *(request.requested_by, request.trace_context, request.start_by, request.unique_for),
        None if request.unique_by is None else list(request.unique_by),
        *tags,
    )
    return int(found)


def checked_start_by(job: str, start_by: str | float | timedelta | None) -> timedelta | None:
    """Return how long a run may wait to begin; raises ParamsError."""
    if start_by is None:
        return None
    found = _duration(job, "start_by", start_by)
    if found <= timedelta(0):
        raise ParamsError(
            f"job '{job}': start_by is {as_written(start_by)}, it must be longer than nothing"
        )
    return min(found, _BEYOND)


def _duration(job: str, name: str, value: Duration) -> timedelta:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ParamsError(f"job '{job}': {name} is {as_written(value)}: {error}") from error


def check_request(job: str, run_at: datetime | None, priority: int | None) -> None:
    """Raise ParamsError on what no run can have, as the database would say it."""
    if run_at is not None:
        checked_instant(run_at, f"job '{job}': run_at")
    if priority is not None and not -32768 <= priority <= 32767:
        raise ParamsError(f"job '{job}': priority is {priority}, it must be from -32768 to 32767")


def checked_span(job: str, unique_for: Duration | None) -> timedelta | None:
    """Return for how long a key is to be held; raises ParamsError. Zero sets what the job says
    off."""
    if unique_for is None:
        return None
    found = _duration(job, "unique_for", unique_for)
    if found > LONGEST_UNIQUE:
        raise ParamsError(
            f"job '{job}': unique_for is {as_written(unique_for)}, it must be of "
            f"{LONGEST_UNIQUE.days} days at most"
        )
    return found


def checked_names(job: str, unique_by: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the params that make a key; raises ParamsError."""
    if unique_by is None:
        return None
    if isinstance(unique_by, str):
        raise ParamsError(
            f"job '{job}': unique_by is {unique_by!r:.100}, it must be a list of params' names"
        )
    found = tuple(unique_by)
    for name in found:
        if "\0" in str(name):
            raise ParamsError(f"job '{job}': unique_by names {name!r:.100}, which is no param")
    return found
