"""Search over everything: runs by number, jobs, schedules, runs, replicas, plugins and pages."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from starlette.responses import Response

from sereno import (
    JobView,
    NodeView,
    NotFoundError,
    ParamsError,
    PluginView,
    RunFilter,
    RunView,
    ScheduleView,
)
from sereno_console.pages.asked import readable, whole_number
from sereno_console.pages.environment import page
from sereno_console.pages.jobs import is_of
from sereno_console.pages.navigation import SECTIONS, Section
from sereno_console.pages.presentation import Presentation
from sereno_console.pages.routes import PAGES
from sereno_console.pages.run_search import read_search
from sereno_console.web.answers import seen_other
from sereno_console.web.request import ConsoleRequest
from sereno_console.web.sight import visible

_MOST = 10
_LOOKED_AT = 300
"""So many of the newest runs that failed: the page costs the same however many there are."""
_LONGEST = 200
_FAILED: tuple[Literal["failed", "timed_out", "lost"], ...] = ("failed", "timed_out", "lost")


class SearchFindings(msgspec.Struct, kw_only=True):
    """What was found of each kind, the first few. `run`: the one of that number."""

    run: RunView | None = None
    jobs: Sequence[JobView] = ()
    schedules: Sequence[ScheduleView] = ()
    runs: Sequence[RunView] = ()
    failures: Sequence[RunView] = ()
    nodes: Sequence[NodeView] = ()
    plugins: Sequence[PluginView] = ()
    sections: Sequence[Section] = ()

    @property
    def nothing(self) -> bool:
        """Tell whether there is none of any kind."""
        return not any(getattr(self, name) for name in self.__struct_fields__)


@PAGES.on("GET", "/search", needs="read")
async def search(request: ConsoleRequest) -> Response:
    """Show what a text is found in; ``#12`` leads to that run at once."""
    asked = request.query_params.get("q", "").strip()[:_LONGEST]
    found = SearchFindings()
    if asked:
        found = await _found(request, asked)
        if found.run is not None and asked.startswith("#"):
            return seen_other(request.link("runs", found.run.id))
    return await page(request, "search.html", active=("search",), asked=asked, found=found)


async def _found(request: ConsoleRequest, asked: str) -> SearchFindings:
    sereno, told = request.sereno, Presentation(request)
    words = asked.casefold().split()
    found = SearchFindings(run=await _numbered(request, asked.removeprefix("#")))
    found.sections = [
        section
        for section in SECTIONS
        if request.user.can(section.needs)
        and asked.casefold() in told.gettext(section.title).casefold()
    ]
    named = [j for j in await sereno.jobs(schedules=False) if request.user.can("read", j.name)]
    found.jobs = [j for j in named if all(is_of(word, j) for word in words)][:_MOST]
    try:
        schedules = await sereno.schedule_page(text=asked, limit=_MOST)
        found.schedules = readable(request, schedules.items)
    except ParamsError:
        pass  # a text that no name can have
    found.runs, found.failures = await _runs(request, asked, told)
    cluster = await sereno.cluster()
    found.nodes = [n for n in cluster.nodes if asked.casefold() in n.label.casefold()][:_MOST]
    plugins = visible(request.user, await sereno.plugins())
    found.plugins = [p for p in plugins if asked.casefold() in p.name.casefold()][:_MOST]
    return found


async def _numbered(request: ConsoleRequest, text: str) -> RunView | None:
    number = whole_number(text)
    if number is None:
        return None
    try:
        found = await request.sereno.run(number, lines=0)
    except NotFoundError:
        return None
    return found if request.user.can("read", found.job) else None


async def _runs(
    request: ConsoleRequest, asked: str, told: Presentation
) -> tuple[list[RunView], list[RunView]]:
    """Return the runs that the text is a search of, and those of the newest that failed with it: to
    look through all of them is what a search of runs is for."""
    try:
        wanted = read_search(asked, told)
        found = (await request.sereno.runs(wanted, limit=_MOST)).items
    except (ParamsError, NotFoundError):
        found = ()
    failed = (await request.sereno.runs(RunFilter(states=_FAILED), limit=_LOOKED_AT)).items
    said = asked.casefold()
    failures = [run for run in failed if said in (run.error or "").casefold()]
    return readable(request, found), readable(request, failures)[:_MOST]
