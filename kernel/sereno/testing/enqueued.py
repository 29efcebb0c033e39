"""What an application has queued, as its own transaction sees it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from sereno.store import callers
from sereno.testing.recorder import Enqueued


async def enqueued(connection: Any, job: str | None = None) -> list[Enqueued]:
    """Return the runs that wait, of `job` or of all jobs, the first asked for first.

    `connection`: of asyncpg or psycopg 3, asynchronous or not, to the kernel's database. It sees
    what its own transaction has queued, before that is committed.
    """
    found = await callers.values(connection, "view_enqueued", job)
    return [msgspec.json.decode(row, type=Enqueued) for row in found]


async def assert_enqueued(
    connection: Any,
    job: str,
    params: Mapping[str, Any] | msgspec.Struct | None = None,
    *,
    times: int | None = None,
) -> None:
    """Raise AssertionError unless a run of `job` waits that has these `params`, or more.

    `times`: exactly so many of them, 0 for none. See `enqueued` for `connection`.
    """
    wanted = dict(msgspec.to_builtins(params or {}))
    waiting = await enqueued(connection, job)
    fitting = [one for one in waiting if wanted.items() <= one.params.items()]
    if len(fitting) == times or (times is None and fitting):
        return
    often = "" if times is None else f" {times} times, but {len(fitting)}"
    told = "; ".join(str(one.params) for one in waiting[:10]) or "none of that job"
    raise AssertionError(f"job '{job}' is not enqueued{often} with {wanted}; there is: {told}")
