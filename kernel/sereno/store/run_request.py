"""What a job asks for when it queues a run, and how it is queued on a connection of the caller's.

No driver is loaded for it: every plugin imports this with ``sereno``, and most processes that do
have no database.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from sereno.model.bounds import checked_instant, checked_json
from sereno.model.errors import ParamsError
from sereno.store import callers


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A run that a job asks for. `params`: JSON text; `run_at` None: now."""

    job: str
    params: str
    requested_by: str
    run_at: datetime | None = None
    priority: int | None = None
    unique_key: str | None = None
    trace_context: str | None = None


def run_request(
    job: str,
    params: Mapping[str, Any],
    *,
    requested_by: str,
    run_at: datetime | None = None,
    priority: int | None = None,
    unique_key: str | None = None,
    trace_context: str | None = None,
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
    )


async def enqueue_in(connection: Any, request: RunRequest) -> int:
    """Queue a run by a connection of asyncpg or psycopg 3, in its transaction if one is open;
    return its id. Raises as `callers.values`."""
    (found,) = await callers.values(
        connection,
        "enqueue_as_role",
        *(request.job, request.params, request.run_at, request.priority, request.unique_key),
        *(request.requested_by, request.trace_context),
    )
    return int(found)


def check_request(job: str, run_at: datetime | None, priority: int | None) -> None:
    """Raise ParamsError on what no run can have, as the database would say it."""
    if run_at is not None:
        checked_instant(run_at, f"job '{job}': run_at")
    if priority is not None and not -32768 <= priority <= 32767:
        raise ParamsError(f"job '{job}': priority is {priority}, it must be from -32768 to 32767")
