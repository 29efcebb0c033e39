"""Operations of back-fills: run slots that were missed or never due, seen before, and followed."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from sereno import BackfillPreview, BackfillView
from sereno_console.api.bulks import BulksQuery
from sereno_console.api.operation import Nothing, given_fields, number, operation
from sereno_console.api.runs_given import Text
from sereno_console.web.request import ConsoleRequest

Instant = Annotated[datetime, Meta(tz=True)]


class SpanWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Slots in [since, until): those that did not run; `missed_only`: of the verdict ``missed``;
    `again`: also those that ran."""

    since: Instant
    until: Instant | None = None
    missed_only: bool = False
    again: bool = False


class BackfillWanted(SpanWanted, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A back-fill. `expect`: how many slots at most, as its preview told; needed for over 100."""

    parallel: Annotated[int, Meta(ge=1, le=100)] = 1
    expect: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    reason: Text = ""


@operation(
    "POST",
    "/schedules/{schedule}/backfills/preview",
    SpanWanted,
    BackfillPreview,
    needs="bulk",
    tag="backfills",
)
async def preview_backfill(request: ConsoleRequest, given: SpanWanted) -> BackfillPreview:
    """Tell which slots a back-fill would run; nothing is changed."""
    fields = given_fields(given)
    return await request.sereno.preview_backfill(request.arguments["schedule"], **fields)


@operation(
    "POST",
    "/schedules/{schedule}/backfills",
    BackfillWanted,
    BackfillView,
    needs="bulk",
    tag="backfills",
    status=201,
)
async def start_backfill(request: ConsoleRequest, given: BackfillWanted) -> BackfillView:
    """Have the leader run the slots of a span that did not run, the oldest first."""
    name = request.arguments["schedule"]
    request.user.require("run", name.partition("@")[0])
    fields = given_fields(given)
    return await request.sereno.start_backfill(name, **fields, requested_by=request.user.by)


@operation("GET", "/backfills", BulksQuery, list[BackfillView], needs="read", tag="backfills")
async def list_backfills(request: ConsoleRequest, given: BulksQuery) -> list[BackfillView]:
    """List back-fills, the newest first."""
    found = await request.sereno.backfills(limit=given.limit, before=given.before)
    return [each for each in found if request.user.can("read", each.job)]


@operation("GET", "/backfills/{backfill}", Nothing, BackfillView, needs="read", tag="backfills")
async def get_backfill(request: ConsoleRequest, given: Nothing) -> BackfillView:
    """Tell how far a back-fill is, or how it ended."""
    found = await request.sereno.backfill(number(request, "backfill"))
    request.user.require("read", found.job)
    return found


@operation(
    "POST", "/backfills/{backfill}/cancel", Nothing, BackfillView, needs="bulk", tag="backfills"
)
async def cancel_backfill(request: ConsoleRequest, given: Nothing) -> BackfillView:
    """Have a back-fill queue no more; its runs that wait are cancelled."""
    found = await request.sereno.backfill(number(request, "backfill"))
    request.user.require("bulk", found.job)
    return await request.sereno.cancel_backfill(found.id, requested_by=request.user.by)
