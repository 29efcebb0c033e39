"""Runs: found by a search, looked at one by one, cancelled and run again."""

from collections.abc import Sequence

from starlette.responses import Response

from sereno import LogLine, NotFoundError, Page, ParamsError, RunFilter, RunView
from sereno_console.pages.asked import path_number, readable
from sereno_console.pages.attempt_chart import attempt_chart
from sereno_console.pages.chain_graph import chain_graph
from sereno_console.pages.environment import page
from sereno_console.pages.params_form import again_fields, check_written, params_given
from sereno_console.pages.presentation import Presentation
from sereno_console.pages.routes import PAGES
from sereno_console.pages.run_links import run_links
from sereno_console.pages.run_search import read_search
from sereno_console.security.permissions import Action
from sereno_console.tables import trail
from sereno_console.web.answers import seen_other
from sereno_console.web.request import ConsoleRequest

_PAGE = 50
_COUNTED = 10_000
_LINES = 500
_UNDER_WAY = ("queued", "running")
_WEIGHTS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
LEVELS = tuple(_WEIGHTS)


@PAGES.on("GET", "/runs", needs="read")
async def runs(request: ConsoleRequest) -> Response:
    """List the runs that a search is of, the newest first."""
    asked = request.query_params.get("q", "")
    wanted, fault, counted = RunFilter(), None, None
    found: Page[RunView] = Page(items=())
    try:
        wanted = read_search(asked, Presentation(request))
        found = await request.sereno.runs(
            wanted, limit=_PAGE, cursor=request.query_params.get("cursor")
        )
        if "count" in request.query_params:
            counted = await request.sereno.count_runs(wanted, most=_COUNTED)
    except (ParamsError, NotFoundError) as error:
        fault = str(error)
    return await page(
        request,
        "runs.html",
        400 if fault else 200,
        active=("runs",),
        asked=asked,
        fault=fault,
        found=found,
        runs=readable(request, found.items),
        narrowed=bool(asked),
        counted=counted,
    )


@PAGES.on("GET", "/runs/{run}", needs="read")
async def run(request: ConsoleRequest) -> Response:
    """Show all that is known of one run."""
    number = run_number(request)
    found = await request.sereno.run(number, lines=0)
    request.user.require("read", found.job)
    reveal = request.query_params.get("reveal") == "yes"
    if reveal:
        request.user.require("reveal", found.job)
        subject = f"run {number} of {found.job}"
        await trail.note(request.sereno, request.user.by, "secrets shown", subject)
    found = await request.sereno.run(number, lines=_LINES, reveal=reveal)
    chain = await request.sereno.chain(number)
    job = next((j for j in await request.sereno.jobs(schedules=False) if j.name == found.job), None)
    followed = readable(request, chain.runs)
    least = request.query_params.get("level", "")
    lines = shown_lines(found.lines, least)
    return await page(
        request,
        "run.html",
        active=("runs",),
        run=found,
        job=job,
        chain=chain,
        graph=chain_graph(followed, chain.links) if len(followed) > 1 else None,
        fans=[f for f in chain.fan_outs if request.user.can("read", f.job)],
        attempts=attempt_chart(found),
        fields=again_fields(job.takes if job else None, found.params),
        reveal=reveal,
        lines=lines,
        cut=len(found.lines) == _LINES,
        levels=LEVELS,
        least=least if least in LEVELS else "",
        weights=_WEIGHTS,
        links=run_links(request.links, found),
        follows=found.state in _UNDER_WAY and not reveal,
    )


def shown_lines(lines: Sequence[LogLine], least: str) -> list[LogLine]:
    """Return the lines of at least that level, all where it is none."""
    weight = _WEIGHTS.get(least, 0)
    return [line for line in lines if _WEIGHTS.get(line.level, 20) >= weight]


@PAGES.on("POST", "/runs/{run}/cancel", needs="cancel")
async def cancel(request: ConsoleRequest) -> Response:
    """Cancel it."""
    number, given = await _asked(request, "cancel")
    await request.sereno.cancel(
        number, reason=given.get("reason", ""), requested_by=request.user.by
    )
    return seen_other(request.link("runs", number))


@PAGES.on("POST", "/runs/{run}/retry", needs="retry")
async def retry(request: ConsoleRequest) -> Response:
    """Queue it again with the same params."""
    number, _ = await _asked(request, "retry")
    new = await request.sereno.retry(number, requested_by=request.user.by)
    return seen_other(request.link("runs", new))


@PAGES.on("POST", "/runs/{run}/again", needs="run")
async def run_again(request: ConsoleRequest) -> Response:
    """Queue a run of the same job with the params of a form."""
    number, given = await _asked(request, "run")
    found = await request.sereno.run(number, lines=0)
    job = await request.sereno.job(found.job)
    params = params_given(job.takes, given)
    check_written(found.params, params)
    by = f"{request.user.by}, run {number} again"
    return seen_other(
        request.link("runs", await request.sereno.enqueue(found.job, params, requested_by=by))
    )


@PAGES.on("POST", "/jobs/{job}/run", needs="run")
async def run_now(request: ConsoleRequest) -> Response:
    """Queue a run of a job with the params of a form."""
    name, given = request.arguments["job"], await request.fields()
    job = await request.sereno.job(name)
    new = await request.sereno.enqueue(
        name,
        params_given(job.takes, given),
        delay=given.get("delay") or None,
        requested_by=request.user.by,
    )
    return seen_other(request.link("runs", new))


def run_number(request: ConsoleRequest) -> int:
    """Return the run that the path names; raises ProblemError where it is no number."""
    return path_number(request, "run", "run")


async def _asked(request: ConsoleRequest, action: Action) -> tuple[int, dict[str, str]]:
    """Return the run and the form of a change, which whoever asks may make."""
    number = run_number(request)
    request.user.require(action, (await request.sereno.run(number, lines=0)).job)
    return number, await request.fields()
