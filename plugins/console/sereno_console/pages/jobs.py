"""Jobs: all of them, and one with its schedules, its runs, and what can be done to it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from typing import Any

import msgspec
from starlette.responses import Response

from sereno import (
    JobView,
    Page,
    ParamsError,
    RunFilter,
    RunView,
    ScheduleView,
    TriggerError,
    find_zone,
    parse_duration,
)
from sereno_console.pages.clock_changes import zone_of
from sereno_console.pages.environment import page
from sereno_console.pages.newest_slots import enough_since, newest_slots
from sereno_console.pages.params_form import fields_of
from sereno_console.pages.policy_words import policy_sentences
from sereno_console.pages.presentation import Presentation
from sereno_console.pages.routes import PAGES
from sereno_console.pages.trigger_words import trigger_words
from sereno_console.web.answers import seen_other
from sereno_console.web.request import ConsoleRequest

_PAGE = 100
_NEXT = 5
_RUNS = 100
_SHOWN = 15
_SCHEDULES = 10


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """How long the newest successful runs took. `bars`: for each of them, the oldest first, its
    height from 0 to 1."""

    count: int
    p50: timedelta
    p99: timedelta
    longest: timedelta
    bars: tuple[tuple[RunView, float], ...]


@PAGES.on("GET", "/jobs", needs="read")
async def jobs(request: ConsoleRequest) -> Response:
    """List the jobs."""
    asked = request.query_params.get("q", "").strip()
    found, fault = Page[JobView](items=()), None
    try:
        found = await request.sereno.job_page(
            text=asked or None, limit=_PAGE, cursor=request.query_params.get("cursor")
        )
    except ParamsError as error:
        fault = str(error)
    return await page(
        request,
        "jobs.html",
        400 if fault else 200,
        active=("jobs",),
        found=found,
        jobs=[j for j in found.items if request.user.can("read", j.name)],
        asked=asked,
        overdue=await request.sereno.overdue(),
        fault=fault,
    )


def is_of(word: str, job: Any) -> bool:
    """Tell whether a job has `word` in its name, title, plugin, owner, description or tags."""
    parts = (job.name, job.plugin, job.title, job.owner, job.description, *job.tags)
    return any(word in part.casefold() for part in parts)


@PAGES.on("GET", "/jobs/{job}", needs="read")
async def job(request: ConsoleRequest) -> Response:
    """Show one job."""
    told, name = Presentation(request), request.arguments["job"]
    found = await request.sereno.job(name)
    zones = _zones(found.schedules[:_SCHEDULES])
    schedules = found.schedules[:_SCHEDULES]
    coming = (
        await request.sereno.next_slots(name, count=_NEXT, most=_SCHEDULES) if schedules else {}
    )
    newest = await request.sereno.runs(RunFilter(job=name), limit=_RUNS)
    overdue = await request.sereno.overdue()
    return await page(
        request,
        "job.html",
        active=("jobs",),
        job=found,
        schedules=schedules,
        more_schedules=len(found.schedules) - len(schedules),
        coming=coming,
        sentences=policy_sentences(told, found.policies),
        late=overdue.get(name),
        newest=await newest_slots(
            request.sereno, name, found.now, enough_since(r.slot for r in newest.items if r.slot)
        ),
        runs=newest.items[:_SHOWN],
        durations=durations(newest.items),
        fields=fields_of(found.takes),
        paused=[s for s in found.schedules if s.state == "paused"],
        active_schedules=[s for s in found.schedules if s.state == "active"],
        zones=zones,
        zone_infos={zone: find_zone(zone) for zone in zones.values()},
        words={s.name: trigger_words(told, s.written or s.definition.trigger) for s in schedules},
    )


def _zones(schedules: Sequence[ScheduleView]) -> dict[str, str]:
    """Return the zone of each schedule's trigger, where it has one of its own."""
    zones = {s.name: zone_of(s.definition.trigger) for s in schedules}
    return {name: zone for name, zone in zones.items() if zone is not None and zone != "UTC"}


def durations(runs: Sequence[RunView]) -> Durations | None:
    """Return how long those of `runs` took that succeeded, None where none did."""
    timed = [(run, run.took) for run in reversed(runs) if run.state == "succeeded"]
    kept = [(run, took) for run, took in timed if took is not None]
    if not kept:
        return None
    seconds = [took.total_seconds() for _, took in kept]
    cut = quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else seconds * 99
    longest = max(seconds)
    return Durations(
        count=len(kept),
        p50=timedelta(seconds=cut[49]),
        p99=timedelta(seconds=cut[98]),
        longest=timedelta(seconds=longest),
        bars=tuple((run, took.total_seconds() / longest if longest else 0.0) for run, took in kept),
    )


@PAGES.on("POST", "/jobs/{job}/pause", needs="pause")
async def pause(request: ConsoleRequest) -> Response:
    """Pause the job's schedules."""
    given = await request.fields()
    until = pause_end(given.get("until", ""), Presentation(request))
    await request.sereno.pause(
        request.arguments["job"],
        reason=given.get("reason", ""),
        until=until,
        requested_by=request.user.by,
    )
    return seen_other(request.link("jobs", request.arguments["job"]))


@PAGES.on("POST", "/jobs/{job}/resume", needs="pause")
async def resume(request: ConsoleRequest) -> Response:
    """Let the job's schedules fire again."""
    given = await request.fields()
    await request.sereno.resume(
        request.arguments["job"], reason=given.get("reason", ""), requested_by=request.user.by
    )
    return seen_other(request.link("jobs", request.arguments["job"]))


def pause_end(text: str, told: Presentation) -> datetime | None:
    """Return when a pause ends: after a duration (``2h``), or at an instant of the page's zone."""
    if not text.strip():
        return None
    try:
        return told.now + parse_duration(text.strip())
    except (TriggerError, OverflowError):
        pass
    try:
        found = datetime.fromisoformat(text.strip())
        return (found if found.tzinfo else found.replace(tzinfo=told.zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ParamsError(
            f"until: '{text[:60]}' is neither a duration, as 2h, nor an instant, as "
            "2026-11-29T18:00"
        ) from None
