"""Fans a run out on a connection of the caller's, in the transaction that fences the run.

No driver is loaded for it, as for `run_request`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sereno.model.bounds import checked_json
from sereno.model.errors import ParamsError
from sereno.model.fan_out import MOST_CHILDREN, ON_FAILURE, FanOut
from sereno.model.suggestion import suggestion
from sereno.store import callers
from sereno.store.run_request import check_request


class FanOutRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A fan-out that a run asks for. `params`: a JSON array; `join_params`: JSON."""

    run_id: int
    job: str
    params: str
    join_job: str | None
    join_params: str | None
    on_failure: str
    key: str
    priority: int | None
    trace_context: str | None


def fan_out_request(
    run_id: int,
    job: str,
    params: Sequence[Mapping[str, Any]],
    *,
    then: str | None,
    then_params: Mapping[str, Any] | None,
    on_failure: str,
    key: object,
    priority: int | None,
    trace_context: str | None,
) -> FanOutRequest:
    """Return a request that any run could make; raises ParamsError."""
    subject = f"fan_out to job '{job}'"
    check_request(job, None, priority)
    if len(params) > MOST_CHILDREN:
        raise ParamsError(
            f"{subject}: {len(params):,} params are more than {MOST_CHILDREN:,}; fan out in parts, "
            "each with a key of its own, or give each run more to do"
        )
    if on_failure not in ON_FAILURE:
        hint = suggestion(str(on_failure), ON_FAILURE, "")
        raise ParamsError(
            f"{subject}: on_failure is {on_failure!r:.60}, it must be fail or continue{hint}"
        )
    if then is None and then_params is not None:
        raise ParamsError(f"{subject}: then_params are given, and no job for them by then=")
    if not isinstance(key, str) or len(key) > 200 or "\0" in key:
        raise ParamsError(f"{subject}: key is {key!r:.60}, it must be a text of at most 200")
    texts = (
        checked_json(dict(each), f"{subject}: params {n}").decode()
        for n, each in enumerate(params, 1)
    )
    given = None
    if then_params is not None:
        given = checked_json(dict(then_params), f"{subject}: then_params").decode()
    return FanOutRequest(
        run_id=run_id,
        job=job,
        params=f"[{','.join(texts)}]",
        join_job=then,
        join_params=given,
        on_failure=on_failure,
        key=key,
        priority=priority,
        trace_context=trace_context,
    )


async def fan_out_in(connection: Any, request: FanOutRequest) -> FanOut:
    """Queue the runs by `connection`, in its transaction. Raises as `callers.values`."""
    (found,) = await callers.values(connection, "fan_out", *msgspec.structs.astuple(request))
    number, total, new = found
    return FanOut(id=number, total=total, new=bool(new))
