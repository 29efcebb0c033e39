"""Operations of jobs: what there is, what is overdue, their slots, and why one did not run."""

from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct
from starlette.responses import Response

from sereno import ComingSlot, Explanation, JobView, Overdue, Requested, SlotView
from sereno_console.api.operation import Nothing, given_fields, listed, operation
from sereno_console.api.runs_given import LISTED, BatchWanted, Limit, RunWanted, Text
from sereno_console.web.answers import json
from sereno_console.web.request import ConsoleRequest

Instant = Annotated[datetime, Meta(tz=True)]

_DAY = timedelta(days=1)


class SlotsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which slots. Without `first`, those of the day before `last`; without `last`, until now."""

    first: Instant | None = None
    last: Instant | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 100


class JobsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether with their schedules, of which there may be thousands. With any of the others a page
    of jobs by name, without their schedules; `text`: words that each has."""

    schedules: bool = True
    text: Text | None = None
    limit: Limit | None = None
    cursor: Text | None = None


class ComingQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many, and until when."""

    count: Annotated[int, Meta(ge=1, le=1_000)] = 100
    until: Instant | None = None


class WhyQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When: an instant without seconds stands for its minute, where there is no `until`."""

    at: Instant
    until: Instant | None = None


class OverdueView(Struct, frozen=True, kw_only=True):
    """A job that is overdue: by how many seconds, and why."""

    job: str
    seconds: float
    because: str


@operation("GET", "/jobs", JobsQuery, list[JobView], needs="read", tag="jobs")
async def list_jobs(request: ConsoleRequest, given: JobsQuery) -> list[JobView] | Response:
    """List the jobs, with their schedules where they are wanted; or page by page."""
    if given.limit is None and given.cursor is None and given.text is None:
        return await request.sereno.jobs(schedules=given.schedules)
    found = await request.sereno.job_page(
        text=given.text, limit=given.limit or LISTED, cursor=given.cursor
    )
    return listed(request, found)


@operation("GET", "/jobs/{job}", Nothing, JobView, needs="read", tag="jobs")
async def get_job(request: ConsoleRequest, given: Nothing) -> JobView:
    """Return one job, with its schedules."""
    return await request.sereno.job(request.arguments["job"])


@operation("GET", "/overdue", Nothing, list[OverdueView], needs="read", tag="jobs")
async def list_overdue(request: ConsoleRequest, given: Nothing) -> list[OverdueView]:
    """List the jobs that are overdue, and why."""
    found: dict[str, Overdue] = await request.sereno.overdue()
    return [
        OverdueView(job=name, seconds=late.by.total_seconds(), because=late.because)
        for name, late in found.items()
        if request.user.can("read", name)
    ]


@operation("POST", "/jobs/{job}/runs", RunWanted, Requested, needs="run", tag="runs", status=201)
async def request_run(request: ConsoleRequest, given: RunWanted) -> object:
    """Queue a run of a job.

    201 for a new run; 200 where a run holds the `unique_key` already.
    """
    found = await request.sereno.request(
        request.arguments["job"],
        **given_fields(given),
        requested_by=request.user.by,
        by_person=request.user.via != "token",
    )
    return json(found, 201 if found.new else 200)


@operation(
    "POST", "/jobs/{job}/runs/batch", BatchWanted, list[int], needs="run", tag="runs", status=201
)
async def request_runs(request: ConsoleRequest, given: BatchWanted) -> list[int]:
    """Queue many runs of a job, all or none; returns their numbers."""
    fields = given_fields(given)
    job, by = request.arguments["job"], request.user.by
    return await request.sereno.enqueue_many(job, **fields, requested_by=by)


@operation("GET", "/jobs/{job}/slots", SlotsQuery, list[SlotView], needs="read", tag="slots")
async def list_slots(request: ConsoleRequest, given: SlotsQuery) -> list[SlotView]:
    """List what became of a job's slots, the oldest first."""
    last = given.last or await request.sereno.now()
    try:
        first = given.first or last - _DAY
    except OverflowError:
        first = last
    job = request.arguments["job"]
    return await request.sereno.slots(job, first, last, limit=given.limit)


@operation("GET", "/slots/coming", ComingQuery, list[ComingSlot], needs="read", tag="slots")
async def list_coming(request: ConsoleRequest, given: ComingQuery) -> list[ComingSlot]:
    """List the next slots of all active schedules, in the order in which they come."""
    found = await request.sereno.coming_slots(count=given.count, until=given.until)
    return [slot for slot in found if request.user.can("read", slot.job)]


@operation("GET", "/jobs/{job}/why", WhyQuery, Explanation, needs="read", tag="slots")
async def explain(request: ConsoleRequest, given: WhyQuery) -> Explanation:
    """Tell why a job did run at an instant, or did not."""
    return await request.sereno.explain(request.arguments["job"], given.at, given.until)
