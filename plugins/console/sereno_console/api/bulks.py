"""Operations of bulks: a change of many runs, seen before, begun, followed, and stopped."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from sereno import BulkPreview, BulkView, RunFilter
from sereno_console.api.operation import Nothing, number, operation
from sereno_console.api.runs_given import Text
from sereno_console.security.identity import ForbiddenError
from sereno_console.web.request import ConsoleRequest
from sereno_console.web.sight import job_of_bulk, narrowed

Action = Literal["cancel", "retry"]


class PreviewWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bulk that may be begun."""

    action: Action
    filter: RunFilter


class BulkWanted(PreviewWanted, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bulk. `expect`: how many runs at most, as its preview told; needed for more than 100."""

    reason: Text
    expect: Annotated[int, Meta(ge=0, le=2**53)] | None = None


class BulksQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which bulks: older than one, by number."""

    limit: Annotated[int, Meta(ge=1, le=1_000)] = 50
    before: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None


@operation("POST", "/bulks/preview", PreviewWanted, BulkPreview, needs="bulk", tag="bulks")
async def preview_bulk(request: ConsoleRequest, given: PreviewWanted) -> BulkPreview:
    """Tell of how many runs a bulk would be; nothing is changed."""
    return await request.sereno.preview_bulk(given.action, _filter(request, given))


@operation("POST", "/bulks", BulkWanted, BulkView, needs="bulk", tag="bulks", status=201)
async def start_bulk(request: ConsoleRequest, given: BulkWanted) -> BulkView:
    """Have the leader cancel or queue again every run that a filter is of at this instant."""
    return await request.sereno.start_bulk(
        given.action,
        _filter(request, given),
        reason=given.reason,
        expect=given.expect,
        requested_by=request.user.by,
    )


@operation("GET", "/bulks", BulksQuery, list[BulkView], needs="read", tag="bulks")
async def list_bulks(request: ConsoleRequest, given: BulksQuery) -> list[BulkView]:
    """List bulks, the newest first."""
    return await request.sereno.bulks(limit=given.limit, before=given.before)


@operation("GET", "/bulks/{bulk}", Nothing, BulkView, needs="read", tag="bulks")
async def get_bulk(request: ConsoleRequest, given: Nothing) -> BulkView:
    """Tell how far a bulk is, or how it ended."""
    bulk = await request.sereno.bulk(number(request, "bulk"))
    request.user.require("read", job_of_bulk(bulk))
    return bulk


@operation("POST", "/bulks/{bulk}/cancel", Nothing, BulkView, needs="bulk", tag="bulks")
async def cancel_bulk(request: ConsoleRequest, given: Nothing) -> BulkView:
    """Have a bulk go no further; what it has changed stays so."""
    bulk = await request.sereno.bulk(number(request, "bulk"))
    request.user.require("bulk", job_of_bulk(bulk))
    return await request.sereno.cancel_bulk(bulk.id, requested_by=request.user.by)


def _filter(request: ConsoleRequest, given: PreviewWanted) -> RunFilter:
    """Return the filter within what who asks may change: by a bulk, and so at all."""
    wanted = given.filter
    job = narrowed(request.user, wanted.job, wanted.schedule, "bulk")
    found = msgspec.structs.replace(wanted, job=job)
    if narrowed(request.user, found.job, found.schedule, given.action) != job:
        raise ForbiddenError(f"'{request.user.name}' may not {given.action} all of these runs")
    return found
