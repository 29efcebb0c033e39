"""The rehearsal: what the coming days would bring, as they stand or with a change."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, cast

import msgspec
from starlette.responses import Response

from sereno import (
    DeclarationError,
    NotFoundError,
    ParamsError,
    Rehearsal,
    RehearsalChange,
    RehearsedCourse,
    RehearsedFinding,
    TriggerError,
)
from sereno_console.pages.environment import page
from sereno_console.pages.presentation import Presentation
from sereno_console.pages.routes import PAGES
from sereno_console.web.rehearsals import one_at_a_time, require_read
from sereno_console.web.request import ConsoleRequest

SPANS = {"1": "1d", "7": "7d", "30": "30d"}
_PLACES = ("threads", "processes", "max_running")
_SLOTS = 100_000
_LISTED = 100
_REFUSED = (ParamsError, DeclarationError, TriggerError, NotFoundError)
_HOUR = timedelta(hours=1)
_TROUBLES = ("waits", "late", "skipped", "missed", "timed_out", "cancelled")
_GRAVE = ("late", "skipped", "missed", "timed_out", "cancelled")

Pace = Literal["usual", "slow"]


class StripHour(msgspec.Struct, frozen=True, kw_only=True):
    """An hour of the strip. `place`: its number; `trouble`: the gravest in it, empty for none;
    `height`: of its slots against the most of any hour, from 0 to 1."""

    begins: datetime
    place: int
    slots: int
    height: float
    trouble: str
    count: int


@PAGES.on("GET", "/rehearsal", needs="read")
async def rehearsal(request: ConsoleRequest) -> Response:
    """Show what would come of the coming days."""
    told, query = Presentation(request), request.query_params
    days = query.get("days", "") if query.get("days", "") in SPANS else "7"
    pace: Pace = "slow" if query.get("pace") == "slow" else "usual"
    given = {
        name: query.get(name, "").strip() for name in (*_PLACES, "change", "schedule", "trigger")
    }
    found: Rehearsal | None = None
    before: Rehearsal | None = None
    fault = None
    changed = any(given.values())
    try:
        change = read_change(given)
        require_read(request.user, change)
        async with one_at_a_time(request.sereno):
            found = await request.sereno.rehearse(SPANS[days], change=change, most=_SLOTS)
            if changed:
                before = await request.sereno.rehearse(SPANS[days], most=_SLOTS)
    except _REFUSED as error:
        fault = str(error)
    course = None if found is None else found.course(pace)
    return await page(
        request,
        "rehearsal.html",
        400 if fault else 200,
        active=("load",),
        found=found,
        before=before,
        course=course,
        findings=[] if course is None else _gravest(course)[:_LISTED],
        strip=[] if found is None or course is None else strip(found, course, told),
        days=days,
        spans=list(SPANS),
        pace=pace,
        given=given,
        changed=changed,
        fault=fault,
        words=trouble_words(told),
        because=hindrance_words(told),
        troubles=_TROUBLES,
        grave=_GRAVE,
    )


def read_change(given: Mapping[str, str]) -> RehearsalChange:
    """Return the change that a page's address says; raises ParamsError."""
    found: Any = {}
    if given.get("change"):
        try:
            found = msgspec.json.decode(given["change"])
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise ParamsError(f"the change is no JSON: {error}") from None
        if not isinstance(found, dict):
            raise ParamsError("the change is no table of what is to be another")
    for name in _PLACES:
        text = given.get(name, "")
        if text and not (text.isascii() and text.isdecimal() and len(text) < 7):
            raise ParamsError(f"{name} is '{text[:40]}', it must be a whole number")
        if text:
            found[name] = int(text)
    try:
        change = msgspec.convert(found, RehearsalChange)
        if given.get("schedule") and given.get("trigger"):
            one = {given["schedule"]: {"trigger": given["trigger"]}}
            more = msgspec.convert({"schedules": one}, RehearsalChange)
            schedules = {**change.schedules, **more.schedules}
            change = msgspec.structs.replace(change, schedules=schedules)
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        raise ParamsError(f"the change does not fit: {error}") from None
    return change


def change_of_schedule(name: str, changes: Mapping[str, Any]) -> str:
    """Return the change that a form makes of a schedule, as the address of a rehearsal has it.

    Params are left out: an address is kept in many places, and they may be secret.
    """
    known = ("trigger", "start", "end", "jitter", "policies", "one_off")
    parts = {key: changes[key] for key in known if key in changes}
    plain = msgspec.to_builtins(parts)
    for key in ("jitter",):
        if isinstance(changes.get(key), timedelta):
            plain[key] = f"{changes[key].total_seconds():g}s"
    return msgspec.json.encode({"schedules": {name: plain}}).decode()


def _gravest(course: RehearsedCourse) -> list[RehearsedFinding]:
    """Return what was found, what is not done or not in time before what only waits."""
    return sorted(course.findings, key=lambda f: (f.trouble == "waits", f.first))


def strip(found: Rehearsal, course: RehearsedCourse, told: Presentation) -> list[StripHour]:
    """Return every hour of the span: how much is due, and the gravest that happens."""
    known = {hour.begins: hour for hour in course.hours}
    first = found.since.replace(minute=0, second=0, microsecond=0)
    most = max((hour.slots for hour in course.hours), default=0)
    hours: list[StripHour] = []
    while (begins := first + len(hours) * _HOUR) < found.until:
        hour = known.get(begins)
        troubles = {} if hour is None else hour.troubles
        bad = next((t for t in _GRAVE if troubles.get(cast(Any, t))), "")
        slots = 0 if hour is None else hour.slots
        hours.append(
            StripHour(
                begins=begins,
                place=len(hours),
                slots=slots,
                height=slots / most if most else 0.0,
                trouble=bad or ("waits" if troubles.get("waits") else ""),
                count=sum(troubles.values()),
            )
        )
    return hours


def trouble_words(told: Presentation) -> dict[str, str]:
    """Return what may happen in words."""
    return {
        "waits": told.gettext("waits for a place"),
        "late": told.gettext("is late"),
        "skipped": told.gettext("is skipped: an earlier run is not over"),
        "missed": told.gettext("is missed: it has not begun in time"),
        "timed_out": told.gettext("times out"),
        "cancelled": told.gettext("is cancelled: the next slot takes its place"),
    }


def hindrance_words(told: Presentation) -> dict[str, str]:
    """Return what is in the way in words."""
    return {
        "schedule": told.gettext("an earlier run of it"),
        "job": told.gettext("max_running of its job"),
        "key": told.gettext("its concurrency key"),
        "executor": told.gettext("the places of its executor"),
        "node": told.gettext("max_running of the node"),
        "time": told.gettext("its timeout"),
        "other": "",
    }
