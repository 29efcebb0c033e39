"""Makes and changes schedules by a form, with what would come of it before it is saved."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from sereno import (
    ChangePreview,
    ConflictError,
    DeclarationError,
    JobView,
    NotFoundError,
    ParamsError,
    ScheduleDetail,
    TriggerError,
    find_zone,
)
from sereno_console.pages.changes import Difference, differences, without
from sereno_console.pages.clock_changes import ShownSlot, shown_slots, zone_of
from sereno_console.pages.coming_load import load_at_hand, minutes_of
from sereno_console.pages.environment import page
from sereno_console.pages.params_form import fields_of
from sereno_console.pages.presentation import Presentation
from sereno_console.pages.rehearsal import change_of_schedule
from sereno_console.pages.routes import PAGES
from sereno_console.pages.schedule_form import (
    CRONTAB,
    EVENTS,
    KINDS,
    POLICIES,
    UNITS,
    FilledForm,
    changes_of,
    field_of,
    read_form,
    written,
)
from sereno_console.pages.schedules import touches
from sereno_console.pages.trigger_words import trigger_words
from sereno_console.web.answers import seen_other
from sereno_console.web.request import ConsoleRequest

_REFUSED = (ParamsError, DeclarationError, TriggerError, ConflictError, NotFoundError)
_NEXT = 10
_REHEARSED = ("trigger", "start", "end", "jitter", "policies", "one_off")


class Foreseen(msgspec.Struct, frozen=True, kw_only=True):
    """What would come of a form. `changes`: what would be another, for one that stands;
    `rehearsal`: the change as a rehearsal is asked for it, without params."""

    words: str
    trigger: str
    zone: str | None
    slots: tuple[ShownSlot, ...]
    before: tuple[ShownSlot, ...] = ()
    changes: tuple[Difference, ...] = ()
    rehearsal: str = ""


@PAGES.on("GET", "/schedules/new", needs="schedule")
async def new_schedule(request: ConsoleRequest) -> Response:
    """Show an empty form, once it is said for which job."""
    name = request.query_params.get("job")
    if not name:
        jobs = await request.sereno.jobs(schedules=False)
        able = [j for j in jobs if j.present and request.user.can("schedule", j.name)]
        return await page(request, "schedule_job.html", active=("schedules",), jobs=able)
    job = await request.sereno.job(name)
    request.user.require("schedule", job.name)
    given = written(None, Presentation(request).zone_name)
    foreseen = await _foreseen(request, job, read_form(given, job.takes), given)
    return await _form(request, job, given, FilledForm(faults={}), None, foreseen)


@PAGES.on("POST", "/schedules/new", needs="schedule")
async def add_schedule(request: ConsoleRequest) -> Response:
    """Add the schedule that a form says, or show what would come of it."""
    given = await request.fields()
    job = await request.sereno.job(given.get("job", ""))
    request.user.require("schedule", job.name)
    wanted = read_form(given, job.takes)
    foreseen = None
    try:
        if given.get("do") == "save" and not wanted.faults:
            return await _added(request, job, wanted, given)
        foreseen = await _foreseen(request, job, wanted, given)
    except _REFUSED as error:
        wanted.faults.setdefault(field_of(error), str(error))
    return await _form(request, job, given, wanted, None, foreseen)


async def _added(
    request: ConsoleRequest, job: JobView, wanted: FilledForm, given: Mapping[str, str]
) -> Response:
    parts = msgspec.structs.asdict(wanted)
    parts.pop("faults")
    added = await request.sereno.add_schedule(
        job.name,
        parts.pop("trigger"),
        label=given.get("label", "").strip(),
        reason=given.get("reason", ""),
        requested_by=request.user.by,
        **parts,
    )
    if given.get("paused") == "on":
        by, reason = request.user.by, given.get("reason", "")
        await request.sereno.pause([added.schedule], reason=reason, requested_by=by)
    return seen_other(request.link("schedules", added.schedule))


async def _foreseen(
    request: ConsoleRequest, job: JobView, wanted: FilledForm, given: Mapping[str, str]
) -> Foreseen | None:
    if wanted.trigger is None:
        return None
    label = given.get("label", "").strip()
    now = await request.sereno.now()
    slots = await request.sereno.preview_slots(
        wanted.trigger,
        name=f"{job.name}@{label}" if label else job.name,
        start=wanted.start,
        end=wanted.end,
        jitter=wanted.jitter,
        one_off=wanted.one_off,
        at_start=wanted.at_start,
        after=now,
        count=_NEXT,
    )
    parts = msgspec.structs.asdict(wanted)
    new = {key: value for key, value in parts.items() if key in _REHEARSED and value}
    return Foreseen(
        rehearsal=change_of_schedule(f"{job.name}@{label}" if label else job.name, new),
        words=trigger_words(Presentation(request), wanted.trigger),
        trigger=wanted.trigger,
        zone=zone_of(wanted.trigger),
        slots=tuple(shown_slots(slots, wanted.trigger, now)),
    )


@PAGES.on("GET", "/schedules/{schedule}/change", needs="schedule")
async def edit_schedule(request: ConsoleRequest) -> Response:
    """Show the form of a schedule as it stands."""
    found, job = await _standing(request)
    given = written(found.spec, Presentation(request).zone_name)
    given["version"] = str(found.definition.version)
    wanted = FilledForm(faults={}, params=found.spec.params)
    return await _form(request, job, given, wanted, found, await _as_it_stands(request, found))


@PAGES.on("POST", "/schedules/{schedule}/change", needs="schedule")
async def change_schedule(request: ConsoleRequest) -> Response:
    """Change a schedule as a form says, or show what would come of it."""
    given = await request.fields()
    found, job = await _standing(request)
    stale = given.get("version") != str(found.definition.version)
    wanted, foreseen = read_form(given, job.takes), None
    try:
        changes = changes_of(wanted, given, found.spec, job.takes)
        if given.get("do") == "save" and not wanted.faults and not stale:
            if not changes:
                raise ParamsError("nothing is another than it stands")
            await request.sereno.change_schedule(
                found.name,
                **changes,
                expect=found.definition.version,
                reason=given.get("reason", ""),
                requested_by=request.user.by,
            )
            return seen_other(request.link("schedules", found.name))
        if changes and wanted.trigger is not None:
            seen = await request.sereno.preview_change(found.name, **changes, count=_NEXT)
            foreseen = msgspec.structs.replace(
                _of_change(seen, found.secrets, Presentation(request)),
                rehearsal=change_of_schedule(found.name, changes),
            )
        elif not changes and not wanted.faults:
            foreseen = await _as_it_stands(request, found)
    except ConflictError:
        found, job = await _standing(request)
        stale = True
    except _REFUSED as error:
        wanted.faults.setdefault(field_of(error), str(error))
    given["version"] = str(found.definition.version)
    return await _form(request, job, given, wanted, found, foreseen, stale=stale)


def _of_change(seen: ChangePreview, secrets: Sequence[str], told: Presentation) -> Foreseen:
    before, after = seen.before, seen.after
    return Foreseen(
        words=trigger_words(told, after.trigger),
        trigger=after.trigger,
        zone=zone_of(after.trigger),
        slots=tuple(shown_slots(seen.slots_after, after.trigger, seen.now)),
        before=tuple(shown_slots(seen.slots_before, before.trigger, seen.now)),
        changes=tuple(without(secrets, differences(before.to_json(), after.to_json()))),
    )


async def _as_it_stands(request: ConsoleRequest, found: ScheduleDetail) -> Foreseen:
    trigger = found.spec.trigger
    return Foreseen(
        words=trigger_words(Presentation(request), trigger),
        trigger=trigger,
        zone=zone_of(trigger),
        slots=tuple(shown_slots(found.coming, trigger, found.now)),
    )


async def _standing(request: ConsoleRequest) -> tuple[ScheduleDetail, JobView]:
    found = await request.sereno.schedule(request.arguments["schedule"])
    request.user.require("schedule", found.job)
    return found, await request.sereno.job(found.job)


async def _form(
    request: ConsoleRequest,
    job: JobView,
    given: dict[str, str],
    wanted: FilledForm,
    standing: ScheduleDetail | None,
    foreseen: Foreseen | None = None,
    *,
    stale: bool = False,
) -> Response:
    told = Presentation(request)
    given = written(None, told.zone_name) | given
    load = await load_at_hand(request.sereno) if foreseen is not None else None
    latest: Any = None
    if stale and standing is not None:
        trail = await request.sereno.changes(subject=standing.name, limit=50)
        latest = next((c for c in trail.items if c.subject == standing.name), None)
    return await page(
        request,
        "schedule_form.html",
        412 if stale else 400 if wanted.faults else 200,
        active=("schedules",),
        job=job,
        given=given,
        faults=wanted.faults,
        fields=_param_fields(job, given, wanted),
        standing=standing,
        foreseen=foreseen,
        stale=stale,
        latest=latest,
        calendars=await request.sereno.calendars(),
        minutes=minutes_of(load),
        known_to=load.until if load is not None else None,
        touches=touches(told),
        zone_info=find_zone(foreseen.zone) if foreseen is not None and foreseen.zone else None,
        choices={"kinds": KINDS, "units": UNITS, "events": EVENTS, "crontab": CRONTAB},
        policies=POLICIES,
    )


def _param_fields(job: JobView, given: Mapping[str, str], wanted: FilledForm) -> list[Any]:
    """Return the fields of params with what was written into them, refused or not."""
    fields = fields_of(job.takes, wanted.params)
    return [
        msgspec.structs.replace(f, value=given[f.name])
        if f.name in given and f.kind != "boolean"
        else f
        for f in fields
    ]
