"""Log lines across runs."""

from typing import Any

from starlette.responses import Response

from sereno import LogFilter, NotFoundError, Page, ParamsError
from sereno_console.pages.asked import readable
from sereno_console.pages.environment import page
from sereno_console.pages.presentation import Presentation
from sereno_console.pages.routes import PAGES
from sereno_console.pages.run_search import read_instant
from sereno_console.web.request import ConsoleRequest

_PAGE = 200
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@PAGES.on("GET", "/logs", needs="read")
async def logs(request: ConsoleRequest) -> Response:
    """List the newest lines that a filter is of."""
    query = request.query_params
    found, fault = Page[Any](items=()), None
    try:
        told = Presentation(request)
        instants = {
            name: read_instant(name, query[name], told)
            for name in ("since", "until")
            if query.get(name)
        }
        wanted = LogFilter(
            level=query.get("level") or None,
            job=query.get("job") or None,
            text=query.get("text") or None,
            **instants,
        )
        found = await request.sereno.logs(wanted, limit=_PAGE, cursor=query.get("cursor"))
    except (NotFoundError, ParamsError) as error:
        fault = str(error)
    return await page(
        request,
        "logs.html",
        400 if fault else 200,
        active=("logs",),
        lines=readable(request, found.items),
        found=found,
        fault=fault,
        levels=_LEVELS,
        given={name: query.get(name, "") for name in ("level", "job", "text", "since", "until")},
    )
