"""Operations of runs: look for them, read, wait, stop, repeat, and see where one is."""

from contextlib import suppress
from typing import Any

import msgspec

from sereno import (
    Cancellation,
    ChainRetried,
    ChainStopped,
    Count,
    LogEntry,
    LogFilter,
    Page,
    ParamsError,
    RunChain,
    RunDetail,
    RunFilter,
    RunView,
    WaitTimeoutError,
)
from sereno_console.api.operation import Nothing, number, operation
from sereno_console.api.runs_given import (
    FilterQuery,
    LogsQuery,
    QueuedRun,
    Reason,
    RetryWanted,
    RunLogQuery,
    RunQuery,
    RunsQuery,
    WaitQuery,
)
from sereno_console.security.permissions import Action
from sereno_console.tables import trail
from sereno_console.web.request import ConsoleRequest
from sereno_console.web.sight import narrowed


@operation("GET", "/runs", RunsQuery, Page[RunView], needs="read", tag="runs")
async def list_runs(request: ConsoleRequest, given: RunsQuery) -> Page[RunView]:
    """List runs, the newest first, page by page."""
    wanted = _filter(request, given)
    return await request.sereno.runs(wanted, limit=given.limit, cursor=given.cursor)


@operation("GET", "/runs/count", FilterQuery, Count, needs="read", tag="runs")
async def count_runs(request: ConsoleRequest, given: FilterQuery) -> Count:
    """Count runs, to 10,000 at most."""
    return await request.sereno.count_runs(_filter(request, given))


@operation("GET", "/runs/{run}", RunQuery, RunDetail, needs="read", tag="runs")
async def get_run(request: ConsoleRequest, given: RunQuery) -> RunDetail:
    """Return all that is kept of a run."""
    run = await allowed(request, "read", given.lines)
    if not given.reveal:
        return run
    request.user.require("reveal", run.job)
    await trail.note(request.sereno, request.user.by, "secrets shown", f"run {run.id} of {run.job}")
    return await request.sereno.run(run.id, lines=given.lines, reveal=True)


@operation("GET", "/runs/{run}/wait", WaitQuery, RunDetail, needs="read", tag="runs")
async def wait_for_run(request: ConsoleRequest, given: WaitQuery) -> RunDetail:
    """Return a run once it is over, or as it stands after so long."""
    run = await allowed(request, "read")
    with suppress(WaitTimeoutError):
        return await request.sereno.wait(run.id, timeout=given.seconds)
    return await request.sereno.run(run.id)


@operation("GET", "/runs/{run}/log", RunLogQuery, list[LogEntry], needs="read", tag="logs")
async def get_run_log(request: ConsoleRequest, given: RunLogQuery) -> list[LogEntry]:
    """Return a run's lines, the oldest first."""
    run = await allowed(request, "read")
    place = (given.attempt, given.line)
    return await request.sereno.log(run.id, after=place, limit=given.limit)


@operation("GET", "/runs/{run}/chain", Nothing, RunChain, needs="read", tag="runs")
async def get_chain(request: ConsoleRequest, given: Nothing) -> RunChain:
    """Return the runs that led to a run and that followed."""
    run = await allowed(request, "read")
    return await request.sereno.chain(run.id)


class StackView(msgspec.Struct, frozen=True):
    """Where a run is at this moment: its stack, the newest call last."""

    run_id: int
    stack: str


@operation("POST", "/runs/{run}/stack", Nothing, StackView, needs="stack", tag="runs")
async def get_stack(request: ConsoleRequest, given: Nothing) -> StackView:
    """Ask the node that works on a run where its function is."""
    run = await allowed(request, "stack")
    await trail.note(request.sereno, request.user.by, "stack shown", f"run {run.id} of {run.job}")
    stack = await request.sereno.stack(run.id, requested_by=request.user.by)
    return StackView(run.id, stack)


@operation("POST", "/runs/{run}/cancel", Reason, Cancellation, needs="cancel", tag="runs")
async def cancel_run(request: ConsoleRequest, given: Reason) -> Cancellation:
    """End a run that waits, ask one under way to stop."""
    run = await allowed(request, "cancel")
    by, reason = request.user.by, given.reason or None
    return await request.sereno.cancel(run.id, reason=reason, requested_by=by)


@operation(
    "POST", "/runs/{run}/retry", RetryWanted, QueuedRun, needs="retry", tag="runs", status=201
)
async def retry_run(request: ConsoleRequest, given: RetryWanted) -> QueuedRun:
    """Queue a run again that is over, as a run of its own."""
    run = await allowed(request, "retry")
    by = request.user.by
    return QueuedRun(await request.sereno.retry(run.id, params=given.params, requested_by=by))


@operation(
    "POST", "/runs/{run}/chain/retry", Nothing, ChainRetried, needs="retry", tag="runs", status=201
)
async def retry_chain(request: ConsoleRequest, given: Nothing) -> ChainRetried:
    """Queue again what failed of a run's chain, all or none."""
    run = await allowed(request, "retry")
    for each in (await request.sereno.chain(run.id)).runs:
        request.user.require("retry", each.job)
    return await request.sereno.retry_chain(run.id, requested_by=request.user.by)


@operation("POST", "/runs/{run}/chain/cancel", Reason, ChainStopped, needs="cancel", tag="runs")
async def cancel_chain(request: ConsoleRequest, given: Reason) -> ChainStopped:
    """Stop all that is not over of a run's chain, and what was to follow."""
    run = await allowed(request, "cancel")
    for each in (await request.sereno.chain(run.id)).runs:
        request.user.require("cancel", each.job)
    by, reason = request.user.by, given.reason or None
    return await request.sereno.cancel_chain(run.id, reason=reason, requested_by=by)


@operation("GET", "/logs", LogsQuery, Page[LogEntry], needs="read", tag="logs")
async def list_logs(request: ConsoleRequest, given: LogsQuery) -> Page[LogEntry]:
    """List log lines of all runs, the newest first, page by page."""
    wanted = LogFilter(
        level=given.level,
        job=narrowed(request.user, given.job),
        since=given.since,
        until=given.until,
        text=given.text,
    )
    return await request.sereno.logs(wanted, limit=given.limit, cursor=given.cursor)


async def allowed(request: ConsoleRequest, action: Action, lines: int = 0) -> RunDetail:
    """Return the run in the path, of whose job who asks may do `action`."""
    run = await request.sereno.run(number(request, "run"), lines=lines)
    request.user.require(action, run.job)
    return run


def _filter(request: ConsoleRequest, given: FilterQuery) -> RunFilter:
    """Return what is looked for, within what who asks may see; raises ParamsError."""
    fields = {name: getattr(given, name) for name in RunFilter.__struct_fields__}
    fields["job"] = narrowed(request.user, given.job, given.schedule)
    try:
        found = msgspec.json.decode(given.params or "{}", type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise ParamsError(f"query: params is no JSON object: {error}") from None
    return RunFilter(**{**fields, "params": found})
