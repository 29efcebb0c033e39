"""Operations of calendars and blackouts: the days and spans on which nothing is to run."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct
from starlette.responses import Response

from sereno import BlackoutView, CalendarChanged, CalendarView, MovedSlots
from sereno_console.api.operation import Nothing, given_fields, listed, number, operation
from sereno_console.api.runs_given import LISTED, Limit, Text
from sereno_console.web.request import ConsoleRequest
from sereno_console.web.sight import job_of

Instant = Annotated[datetime, Meta(tz=True)]
Days = Annotated[list[Text], Meta(max_length=10_000)]


class CalendarWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days of a calendar, in the place of its own."""

    days: Days
    reason: Text = ""


class PreviewedCalendar(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days that a calendar may have. `count`: of how many slots of each schedule."""

    days: Days
    count: Annotated[int, Meta(ge=1, le=1_000)] = 1_000


class CalendarRemoval(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why."""

    reason: Text = ""


class BlackoutWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A span in which no slot of schedules like `pattern` runs: from `start` (or now) until `end`,
    or for `lasts`, a duration."""

    reason: Text
    pattern: Text = "*"
    start: Instant | None = None
    end: Instant | None = None
    lasts: Text | None = None
    plugin: Text | None = None


class BlackoutsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether with those that are over. With `limit` or `cursor` a page of them."""

    everything: bool = False
    limit: Limit | None = None
    cursor: Text | None = None


@operation("GET", "/calendars", Nothing, list[CalendarView], needs="read", tag="calendars")
async def list_calendars(request: ConsoleRequest, given: Nothing) -> list[CalendarView]:
    """List the calendars."""
    return await request.sereno.calendars()


@operation("GET", "/calendars/{calendar}", Nothing, CalendarView, needs="read", tag="calendars")
async def get_calendar(request: ConsoleRequest, given: Nothing) -> CalendarView:
    """Return one calendar."""
    return await request.sereno.calendar(request.arguments["calendar"])


@operation(
    "POST",
    "/calendars/{calendar}",
    CalendarWanted,
    CalendarChanged,
    needs="schedule",
    tag="calendars",
)
async def set_calendar(request: ConsoleRequest, given: CalendarWanted) -> CalendarChanged:
    """Give a calendar other days, or make it."""
    request.user.require("schedule", "*")
    name, by = request.arguments["calendar"], request.user.by
    return await request.sereno.set_calendar(name, **given_fields(given), requested_by=by)


@operation(
    "POST",
    "/calendars/{calendar}/preview",
    PreviewedCalendar,
    list[MovedSlots],
    needs="read",
    tag="calendars",
)
async def preview_calendar(request: ConsoleRequest, given: PreviewedCalendar) -> list[MovedSlots]:
    """Tell which slots would go and come; nothing is changed."""
    request.user.require("read", "*")
    name = request.arguments["calendar"]
    return await request.sereno.preview_calendar(name, given.days, count=given.count)


@operation(
    "DELETE",
    "/calendars/{calendar}",
    CalendarRemoval,
    CalendarChanged,
    needs="schedule",
    tag="calendars",
)
async def remove_calendar(request: ConsoleRequest, given: CalendarRemoval) -> CalendarChanged:
    """Take away what people have said of a calendar."""
    request.user.require("schedule", "*")
    name, by = request.arguments["calendar"], request.user.by
    return await request.sereno.remove_calendar(name, reason=given.reason, requested_by=by)


@operation("GET", "/blackouts", BlackoutsQuery, list[BlackoutView], needs="read", tag="calendars")
async def list_blackouts(
    request: ConsoleRequest, given: BlackoutsQuery
) -> list[BlackoutView] | Response:
    """List the blackouts that are on or to come, soonest first; or page by page."""
    if given.limit is None and given.cursor is None:
        return await request.sereno.blackouts(everything=given.everything)
    found = await request.sereno.blackout_page(
        everything=given.everything, limit=given.limit or LISTED, cursor=given.cursor
    )
    return listed(request, found)


@operation(
    "POST",
    "/blackouts",
    BlackoutWanted,
    BlackoutView,
    needs="pause",
    tag="calendars",
    status=201,
)
async def add_blackout(request: ConsoleRequest, given: BlackoutWanted) -> BlackoutView:
    """Have no slot of some schedules run for a time."""
    whole = given.plugin is not None
    request.user.require("pause", "*" if whole else job_of(given.pattern))
    fields = given_fields(given)
    return await request.sereno.add_blackout(**fields, requested_by=request.user.by)


@operation("POST", "/blackouts/{blackout}/end", Nothing, None, needs="pause", tag="calendars")
async def end_blackout(request: ConsoleRequest, given: Nothing) -> Response | None:
    """End a blackout now."""
    request.user.require("pause", "*")
    await request.sereno.end_blackout(number(request, "blackout"), requested_by=request.user.by)
    return None
