"""Where people log in and out."""

from starlette.responses import Response

from sereno_console.pages.environment import page
from sereno_console.pages.routes import PAGES
from sereno_console.security.log_in import (
    WINDOW,
    Sessions,
    TooOftenError,
    WrongPasswordError,
    cookie,
    safe_next,
)
from sereno_console.security.origin import RequestOrigin
from sereno_console.web.answers import ProblemError, seen_other
from sereno_console.web.request import ConsoleRequest


@PAGES.on("GET", "/log-in", needs=None)
async def form(request: ConsoleRequest) -> Response:
    """Ask for name and password."""
    _sessions(request)
    wanted = request.query_params.get("next", "")
    return await page(request, "log_in.html", next=wanted, name="", refused=False)


@PAGES.on("POST", "/log-in", needs=None)
async def log_in(request: ConsoleRequest) -> Response:
    """Begin a session, and go to where one was sent from."""
    sessions, given = _sessions(request), await request.fields()
    name, wanted = given.get("name", ""), given.get("next", "")
    address = RequestOrigin.of(request.scope).address
    try:
        key = await sessions.log_in(
            request, request.sereno, name, given.get("password", ""), address
        )
    except WrongPasswordError:
        return await page(request, "log_in.html", 403, next=wanted, name=name, refused=True)
    except TooOftenError:
        wait = {"retry-after": str(int(WINDOW.total_seconds()))}
        sentence = "it was tried too often; try again in a quarter of an hour"
        raise ProblemError(429, sentence, headers=wait) from None
    root = request.link().rstrip("/")
    return seen_other(safe_next(wanted, root), set_cookie=cookie(request, key))


@PAGES.on("POST", "/log-out", needs="known")
async def log_out(request: ConsoleRequest) -> Response:
    """End the session."""
    await _sessions(request).log_out(request.sereno, request.user)
    return seen_other(request.link("log-in"), set_cookie=cookie(request, None))


def _sessions(request: ConsoleRequest) -> Sessions:
    if request.sessions is None:
        raise ProblemError(404, "people log in to the application that this is a part of")
    return request.sessions
