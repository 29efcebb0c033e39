"""Where a running run is at this moment."""

from starlette.responses import Response

from sereno_console.pages.environment import page
from sereno_console.pages.routes import PAGES
from sereno_console.pages.runs import run_number
from sereno_console.tables import trail
from sereno_console.web.request import ConsoleRequest


@PAGES.on("GET", "/runs/{run}/stack", needs="stack")
async def stack(request: ConsoleRequest) -> Response:
    """Ask its node, and show what it tells."""
    number = run_number(request)
    found = await request.sereno.run(number, lines=0)
    request.user.require("stack", found.job)
    subject = f"run {number} of {found.job}"
    await trail.note(request.sereno, request.user.by, "stack shown", subject)
    text = await request.sereno.stack(number, requested_by=request.user.by)
    return await page(request, "stack.html", active=("runs",), run=found, text=text)
