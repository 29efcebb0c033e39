"""The first page: is all well, what runs, what has just ended and what is to come."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace
from starlette.responses import Response

from sereno import ClusterView, ComingLoad, JobView, Overdue, RunFilter
from sereno_console.pages.asked import readable
from sereno_console.pages.coming_load import load_to_come
from sereno_console.pages.day_chart import FAILED, day_chart
from sereno_console.pages.ended_day import DAY, ended_day
from sereno_console.pages.environment import page
from sereno_console.pages.routes import PAGES
from sereno_console.security.permissions import EVERYTHING
from sereno_console.web.request import ConsoleRequest

_LISTED, _AT_WORK = 10, 20
_NEWEST = 200
"""So many are looked at where not all may be shown."""


class Concern(msgspec.Struct, frozen=True, kw_only=True):
    """Something that somebody should look at. `kind` names the sentence that tells it."""

    kind: str
    job: str | None = None
    by: timedelta | None = None
    because: str = ""


@PAGES.on("GET", "/", needs="read")
async def overview(request: ConsoleRequest) -> Response:
    """Show whether all is well, and what is at work."""
    sereno = request.sereno
    now = await sereno.now()
    jobs = [j for j in await sereno.jobs(schedules=False) if request.user.can("read", j.name)]
    cluster = await sereno.cluster()
    all_seen = request.user.can("read", EVERYTHING)
    newest = await sereno.runs(RunFilter(since=now - DAY), limit=_LISTED if all_seen else _NEWEST)
    running = await sereno.runs(
        RunFilter(states=("running",)), limit=_AT_WORK if all_seen else _NEWEST
    )
    terms = await sereno.terms(limit=2)
    load = await load_to_come(sereno)
    ended = await ended_day(sereno, now, None if all_seen else tuple(job.name for job in jobs))
    overdue = {n: o for n, o in (await sereno.overdue()).items() if request.user.can("read", n)}
    overstaying = tuple(readable(request, cluster.overstaying))
    return await page(
        request,
        "overview.html",
        active=(),
        now=now,
        concerns=concerns(jobs, replace(cluster, overstaying=overstaying), overdue),
        cluster=cluster,
        before=terms[1] if len(terms) > 1 else None,
        running=readable(request, running.items)[:_AT_WORK],
        waiting=sum(job.queued for job in jobs),
        working=sum(job.running for job in jobs),
        ended=ended,
        succeeded=ended.states["succeeded"],
        failed=sum(ended.states[state] for state in FAILED),
        last=readable(request, newest.items)[:_LISTED],
        chart=day_chart(now, ended=ended.spans, due=_due(request, load, now)),
        until=load.until if load.until < now + DAY else None,
        jobs=jobs,
    )


def concerns(
    jobs: Sequence[JobView], cluster: ClusterView, overdue: dict[str, Overdue]
) -> list[Concern]:
    """Return what is not well, the gravest first."""
    found = [] if cluster.leader.held else [Concern(kind="no leader")]
    found += [
        Concern(kind="overdue", job=name, by=late.by, because=late.because)
        for name, late in sorted(overdue.items())
    ]
    found += [
        Concern(kind="failing", job=job.name)
        for job in jobs
        if job.present and job.last_state in FAILED and job.name not in overdue
    ]
    found += [Concern(kind="overstaying", job=straggler.job) for straggler in cluster.overstaying]
    if cluster.unfit:
        found.append(Concern(kind="encoding", because=cluster.unfit))
    return found


def _due(request: ConsoleRequest, load: ComingLoad, now: datetime) -> dict[datetime, int]:
    """Return how many slots of jobs that who asks may read are due in each minute of a day."""
    return {
        due.minute: sum(n for job, n in due.jobs if request.user.can("read", job))
        for due in load.minutes
        if now - timedelta(minutes=1) < due.minute < now + DAY
    }
