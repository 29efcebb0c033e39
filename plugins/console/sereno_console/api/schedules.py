"""Operations of schedules: read, add, change, remove, pause, resume, and see what that would do."""

from datetime import datetime
from typing import Any

import msgspec
from starlette.responses import Response

from sereno import (
    ChangePreview,
    ConflictError,
    ParamsError,
    Paused,
    Resumed,
    ScheduleAdded,
    ScheduleChanged,
    ScheduleRemoved,
    ScheduleView,
)
from sereno_console.api.operation import Nothing, given_fields, listed, operation
from sereno_console.api.runs_given import LISTED
from sereno_console.api.schedules_given import (
    ManyPaused,
    ManyResumed,
    NextQuery,
    PauseWanted,
    PreviewedChange,
    PreviewedTrigger,
    RemovalQuery,
    ResumeWanted,
    RevisionWanted,
    SchedulesQuery,
    ScheduleWanted,
)
from sereno_console.api.version_tag import expected, tag_of
from sereno_console.web.answers import ProblemError, json
from sereno_console.web.request import ConsoleRequest
from sereno_console.web.sight import job_of


@operation("GET", "/schedules", SchedulesQuery, list[ScheduleView], needs="read", tag="schedules")
async def list_schedules(
    request: ConsoleRequest, given: SchedulesQuery
) -> list[ScheduleView] | Response:
    """List schedules: of a job, like a pattern, or all; or page by page."""
    filters = (given.text, given.job, given.state, given.tag)
    if given.limit is None and given.cursor is None and filters == (None,) * 4:
        return await request.sereno.schedules(given.name)
    if given.name is not None:
        raise ParamsError("query: pages are of text, job, state and tag; name is of all at once")
    found = await request.sereno.schedule_page(
        text=given.text,
        job=given.job,
        state=given.state,
        tag=given.tag,
        limit=given.limit or LISTED,
        cursor=given.cursor,
    )
    return listed(request, found)


@operation("GET", "/schedules/{schedule}", Nothing, ScheduleView, needs="read", tag="schedules")
async def get_schedule(request: ConsoleRequest, given: Nothing) -> Response:
    """Return one schedule; its ETag is that of its version."""
    found = await _one(request)
    return json(found, etag=tag_of(found))


@operation(
    "POST",
    "/jobs/{job}/schedules",
    ScheduleWanted,
    ScheduleAdded,
    needs="schedule",
    tag="schedules",
    status=201,
)
async def add_schedule(request: ConsoleRequest, given: ScheduleWanted) -> ScheduleAdded:
    """Add a schedule to a job."""
    fields = given_fields(given, "trigger")
    return await request.sereno.add_schedule(
        request.arguments["job"], given.trigger, **fields, requested_by=request.user.by
    )


@operation(
    "PATCH",
    "/schedules/{schedule}",
    RevisionWanted,
    ScheduleChanged,
    needs="schedule",
    tag="schedules",
    headers=("If-Match",),
)
async def change_schedule(request: ConsoleRequest, given: RevisionWanted) -> Response:
    """Change a schedule from its next slot on.

    With If-Match only as long as it is of that version: else 412, with the schedule as it is.
    """
    version = expected(request)
    try:
        found = await request.sereno.change_schedule(
            request.arguments["schedule"],
            **given_fields(given),
            expect=version,
            requested_by=request.user.by,
        )
    except ConflictError as error:
        standing = await _one(request)
        if version is None or standing.definition.version == version:
            raise
        wanted = msgspec.to_builtins(given)
        named = {"etag": tag_of(standing)}
        raise ProblemError(
            412, str(error), current=standing, wanted=wanted, headers=named
        ) from None
    return json(found, etag=f'"{found.version.version}"')


@operation(
    "DELETE",
    "/schedules/{schedule}",
    RemovalQuery,
    ScheduleRemoved,
    needs="schedule",
    tag="schedules",
)
async def remove_schedule(request: ConsoleRequest, given: RemovalQuery) -> ScheduleRemoved:
    """Remove a schedule that a person made, or whose plugin is gone; its history stays."""
    name, by = request.arguments["schedule"], request.user.by
    return await request.sereno.remove_schedule(name, reason=given.reason, requested_by=by)


@operation(
    "POST",
    "/schedules/{schedule}/preview",
    PreviewedChange,
    ChangePreview,
    needs="read",
    tag="schedules",
)
async def preview_change(request: ConsoleRequest, given: PreviewedChange) -> ChangePreview:
    """Tell what a change would do, with the next slots before and after; nothing is changed."""
    name = request.arguments["schedule"]
    return await request.sereno.preview_change(name, **given_fields(given))


@operation(
    "POST",
    "/triggers/preview",
    PreviewedTrigger,
    list[datetime],
    needs="read",
    tag="schedules",
)
async def preview_slots(request: ConsoleRequest, given: PreviewedTrigger) -> list[datetime]:
    """Return the next slots of a trigger that no schedule has yet."""
    return await request.sereno.preview_slots(given.trigger, **given_fields(given, "trigger"))


@operation(
    "GET", "/schedules/{schedule}/next", NextQuery, list[datetime], needs="read", tag="schedules"
)
async def next_slots(request: ConsoleRequest, given: NextQuery) -> list[datetime]:
    """Return the next slots of a schedule; of a paused one those that it would have."""
    schedule = await _one(request)
    found = await request.sereno.next_slots(schedule.name, count=given.count, after=given.after)
    return found[schedule.name]


@operation(
    "POST", "/schedules/{schedule}/pause", PauseWanted, Paused, needs="pause", tag="schedules"
)
async def pause_schedule(request: ConsoleRequest, given: PauseWanted) -> Paused:
    """Pause a schedule: its slots are recorded as skipped meanwhile."""
    schedule = await _one(request)
    by = request.user.by
    return await request.sereno.pause(
        schedule.name, until=given.until, reason=given.reason, requested_by=by
    )


@operation(
    "POST", "/schedules/{schedule}/resume", ResumeWanted, Resumed, needs="pause", tag="schedules"
)
async def resume_schedule(request: ConsoleRequest, given: ResumeWanted) -> Resumed:
    """Resume a schedule from its next slot on."""
    schedule = await _one(request)
    by = request.user.by
    return await request.sereno.resume(
        schedule.name, replay=given.replay, reason=given.reason, requested_by=by
    )


@operation("POST", "/pause", ManyPaused, Paused, needs="pause", tag="schedules")
async def pause_many(request: ConsoleRequest, given: ManyPaused) -> Paused:
    """Pause all schedules of a job, like a pattern, of a plugin, or all."""
    request.user.require("pause", _reach(given))
    return await request.sereno.pause(**given_fields(given), requested_by=request.user.by)


@operation("POST", "/resume", ManyResumed, Resumed, needs="pause", tag="schedules")
async def resume_many(request: ConsoleRequest, given: ManyResumed) -> Resumed:
    """Resume all schedules of a job, like a pattern, of a plugin, or all."""
    request.user.require("pause", _reach(given))
    return await request.sereno.resume(**given_fields(given), requested_by=request.user.by)


def _reach(given: ManyPaused | ManyResumed) -> str:
    """Return for which jobs this is: a plugin's and all are for everybody's."""
    whole = given.name is None or given.plugin is not None or given.everything
    return "*" if whole or given.name is None else job_of(given.name)


async def _one(request: ConsoleRequest) -> ScheduleView:
    """Return the schedule in the path, and no other of its job; raises ProblemError."""
    name = request.arguments["schedule"]
    found: list[Any] = await request.sereno.schedules(name) if not _is_pattern(name) else []
    for schedule in found:
        if schedule.name == name:
            return schedule  # type: ignore[no-any-return]
    raise ProblemError(404, f"there is no schedule '{name[:200]}'")


def _is_pattern(name: str) -> bool:
    return not frozenset("*?[").isdisjoint(name)
