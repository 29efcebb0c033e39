"""Schedules: all of them, page by page, and one with its next slots and its changes."""

from typing import Any, Literal, cast

from starlette.responses import Response

from sereno import (
    ChangeView,
    NotFoundError,
    Page,
    ParamsError,
    ScheduleDetail,
    ScheduleView,
    find_zone,
)
from sereno_console.pages.changes import Difference, differences, without
from sereno_console.pages.clock_changes import shown_slots, zone_of
from sereno_console.pages.environment import page
from sereno_console.pages.jobs import pause_end
from sereno_console.pages.presentation import Presentation
from sereno_console.pages.routes import PAGES
from sereno_console.pages.trigger_words import trigger_words
from sereno_console.web.answers import seen_other
from sereno_console.web.request import ConsoleRequest

_PAGE = 50
_NEXT = 10
_TRAIL = 50
_NOTHING: tuple[object, ...] = (None, "", False, {}, [])
STATES = ("active", "paused", "orphaned")


@PAGES.on("GET", "/schedules", needs="read")
async def schedules(request: ConsoleRequest) -> Response:
    """List the schedules that are asked for, by name."""
    told, asked = Presentation(request), request.query_params
    given = {name: asked.get(name, "").strip() for name in ("text", "job", "state", "tag")}
    found: Page[ScheduleView] = Page(items=())
    fault = None
    try:
        found = await request.sereno.schedule_page(
            text=given["text"] or None,
            job=given["job"] or None,
            state=cast(Any, given["state"] or None),
            tag=given["tag"] or None,
            limit=_PAGE,
            cursor=asked.get("cursor"),
        )
    except (ParamsError, NotFoundError) as error:
        fault = str(error)
    shown = [s for s in found.items if request.user.can("read", s.job)]
    return await page(
        request,
        "schedules.html",
        400 if fault else 200,
        active=("schedules",),
        found=found,
        schedules=shown,
        words={s.name: trigger_words(told, s.written or s.definition.trigger) for s in shown},
        given=given,
        narrowed=any(given.values()),
        states=STATES,
        origins=origins(told),
        fault=fault,
    )


@PAGES.on("GET", "/schedules/{schedule}", needs="read")
async def schedule(request: ConsoleRequest) -> Response:
    """Show one schedule."""
    told, name = Presentation(request), request.arguments["schedule"]
    found = await request.sereno.schedule(name, count=_NEXT)
    request.user.require("read", found.job)
    trail = await request.sereno.changes(subject=name, limit=_TRAIL)
    secrets = found.secrets
    rows = [(c, without(secrets, parts_changed(c))) for c in trail.items if c.subject == name]
    zone = zone_of(found.definition.trigger)
    return await page(
        request,
        "schedule.html",
        active=("schedules",),
        schedule=found,
        words=trigger_words(told, found.spec.trigger),
        zone=zone,
        slots=shown_slots(found.coming, found.definition.trigger, found.now),
        rows=rows,
        more=trail.older is not None,
        origins=origins(told),
        touches=touches(told),
        zone_info=find_zone(zone) if zone else None,
        overridden=sorted({d.name.partition(".")[0] for d in changed_since(found)}),
    )


def parts_changed(change: ChangeView) -> list[Difference]:
    """Return what a change of a schedule made another; of what was made, what says something."""
    if change.action in ("pause", "resume"):
        return []
    if change.before is not None or not isinstance(change.after, dict):
        return list(differences(change.before, change.after))
    said = {name: value for name, value in change.after.items() if value not in _NOTHING}
    return [d for d in differences({}, said) if d.name != "enabled"]


def changed_since(found: ScheduleDetail) -> list[Difference]:
    """Return what of a schedule is another than was declared."""
    return list(differences(found.declared.to_json(), found.spec.to_json()))


def origins(told: Presentation) -> dict[str, str]:
    """Return who may have made a schedule, in words."""
    return {
        "plugin": told.gettext("its plugin"),
        "config": told.gettext("the configuration"),
        "user": told.gettext("a person"),
    }


def touches(told: Presentation) -> dict[str, str]:
    """Return what a change of the clock does to a slot, in words."""
    return {
        "first": told.gettext("the clock shows it twice: the first time"),
        "second": told.gettext("the clock shows it twice: the second time"),
        "skipped": told.gettext("the clock skips the time meant: the first instant after"),
        "forward": told.gettext("the clock has gone forward before it"),
        "back": told.gettext("the clock has gone back before it"),
    }


@PAGES.on("POST", "/schedules/{schedule}/pause", needs="pause")
async def pause_schedule(request: ConsoleRequest) -> Response:
    """Pause one schedule."""
    found = await request.sereno.schedule(request.arguments["schedule"])
    request.user.require("pause", found.job)
    given = await request.fields()
    await request.sereno.pause(
        [found.name],
        reason=given.get("reason", ""),
        until=pause_end(given.get("until", ""), Presentation(request)),
        requested_by=request.user.by,
    )
    return seen_other(request.link("schedules", found.name))


@PAGES.on("POST", "/schedules/{schedule}/resume", needs="pause")
async def resume_schedule(request: ConsoleRequest) -> Response:
    """Let one schedule fire again."""
    found = await request.sereno.schedule(request.arguments["schedule"])
    request.user.require("pause", found.job)
    given = await request.fields()
    replay = cast(Literal["none", "last", "all"], given.get("replay", "none"))
    await request.sereno.resume(
        [found.name], replay=replay, reason=given.get("reason", ""), requested_by=request.user.by
    )
    return seen_other(request.link("schedules", found.name))


@PAGES.on("POST", "/schedules/{schedule}/remove", needs="schedule")
async def remove_schedule(request: ConsoleRequest) -> Response:
    """Remove a schedule that a person made, or whose plugin is gone."""
    found = await request.sereno.schedule(request.arguments["schedule"])
    request.user.require("schedule", found.job)
    given = await request.fields()
    if not given.get("reason", "").strip():
        raise ParamsError("reason: say why the schedule is removed; the trail keeps it")
    await request.sereno.remove_schedule(
        found.name, reason=given["reason"], requested_by=request.user.by
    )
    return seen_other(request.link("schedules"))
