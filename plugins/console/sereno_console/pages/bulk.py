"""Many runs at once: what a search is of is cancelled or queued again, by the leader, in chunks."""

from typing import cast

import msgspec
from starlette.responses import Response

from sereno import ParamsError, RunFilter
from sereno_console.pages.asked import path_number, whole_number
from sereno_console.pages.environment import page
from sereno_console.pages.presentation import Presentation
from sereno_console.pages.routes import PAGES
from sereno_console.pages.run_search import read_search
from sereno_console.security.identity import ForbiddenError
from sereno_console.security.permissions import Action
from sereno_console.web.answers import seen_other
from sereno_console.web.request import ConsoleRequest
from sereno_console.web.sight import job_of_bulk, narrowed

_ACTIONS = ("cancel", "retry")


@PAGES.on("GET", "/runs-changed", needs="read")
async def bulks(request: ConsoleRequest) -> Response:
    """List the changes of many runs."""
    before = whole_number(request.query_params.get("before", ""))
    found = await request.sereno.bulks(before=before)
    return await page(request, "bulks.html", active=("runs",), bulks=found)


@PAGES.on("GET", "/runs-changed/{bulk}", needs="read")
async def bulk(request: ConsoleRequest) -> Response:
    """Show how far one is."""
    found = await request.sereno.bulk(path_number(request, "bulk", "change"))
    request.user.require("read", job_of_bulk(found))
    return await page(request, "bulk.html", active=("runs",), bulk=found)


@PAGES.on("GET", "/runs-to-change", needs="bulk")
async def preview(request: ConsoleRequest) -> Response:
    """Show what would be changed, and ask for a reason and the number."""
    action, asked = request.query_params.get("action", ""), request.query_params.get("q", "")
    if action not in _ACTIONS:
        raise ParamsError(f"the action is '{action[:40]}', it must be {' or '.join(_ACTIONS)}")
    wanted = _narrowed(request, action, read_search(asked, Presentation(request)))
    found = await request.sereno.preview_bulk("cancel" if action == "cancel" else "retry", wanted)
    return await page(
        request, "bulk_preview.html", active=("runs",), asked=asked, preview=found, action=action
    )


@PAGES.on("POST", "/runs-to-change", needs="bulk")
async def start(request: ConsoleRequest) -> Response:
    """Begin it: the search is read anew, and counted against the number that was typed."""
    given = await request.fields()
    action = given.get("action", "")
    if action not in _ACTIONS:
        raise ParamsError(f"the action is '{action[:40]}', it must be {' or '.join(_ACTIONS)}")
    wanted = _narrowed(request, action, read_search(given.get("q", ""), Presentation(request)))
    typed = given.get("expect", "").strip().replace(",", "").replace(".", "")
    expect = whole_number(typed)
    if expect is None:
        raise ParamsError("type the number of runs, so that it is they that are changed")
    found = await request.sereno.start_bulk(
        "cancel" if action == "cancel" else "retry",
        wanted,
        reason=given.get("reason", ""),
        expect=expect,
        requested_by=request.user.by,
    )
    return seen_other(request.link("runs-changed", found.id))


@PAGES.on("POST", "/runs-changed/{bulk}/cancel", needs="bulk")
async def stop(request: ConsoleRequest) -> Response:
    """Have it go no further."""
    number = path_number(request, "bulk", "change")
    found = await request.sereno.bulk(number)
    request.user.require("bulk", job_of_bulk(found))
    await request.sereno.cancel_bulk(number, requested_by=request.user.by)
    return seen_other(request.link("runs-changed", number))


def _narrowed(request: ConsoleRequest, action: str, wanted: RunFilter) -> RunFilter:
    """Return a filter within what who asks may change: by a bulk, and so at all."""
    user, what = request.user, "cancel" if action == "cancel" else "retry"
    job = narrowed(user, wanted.job, wanted.schedule, "bulk")
    found = msgspec.structs.replace(wanted, job=job)
    if narrowed(user, found.job, found.schedule, cast(Action, what)) != job:
        raise ForbiddenError(f"'{user.name}' may not {what} all of these runs")
    return found
