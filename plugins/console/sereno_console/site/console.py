"""The ASGI application: finds out who asks, whether they may, and has pages or the API answer."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

import msgspec
from starlette.responses import Response

from sereno import Client, ConfigurationError
from sereno_console.api import API
from sereno_console.pages import PAGES
from sereno_console.pages.failure import failure_page
from sereno_console.security.gate import ClosedError, Gate, UnknownError
from sereno_console.security.identity import ForbiddenError, Identity
from sereno_console.site.headers import Headers
from sereno_console.web.answers import ProblemError, problem, problem_of, seen_other
from sereno_console.web.hub import Hub
from sereno_console.web.looks import Looks, is_refresh
from sereno_console.web.request import ConsoleRequest, segments
from sereno_console.web.routes import FoundRoute
from sereno_console.web.sight import readable_by

log = logging.getLogger("sereno.console")

API_PARTS = ["api", "v1"]


class ClientSource(Protocol):
    """Where the client comes from: at hand, or opened by the first request."""

    async def get(self) -> Client:
        """Return it; raises SerenoError while there is none."""
        ...

    async def close(self) -> None:
        """Close what was opened here."""
        ...


class Host(NamedTuple):
    """How people become known in the application that the console is mounted in.

    `log_in`: the address of its page for that, behind which the page that was asked for is written,
    as ``/login?next=``. `challenge`: the header ``WWW-Authenticate`` of who is not known.
    """

    log_in: str | None = None
    challenge: str = 'Bearer realm="sereno"'


class Console:
    """The console below a mount. `api_only`: the mount is the API's own. `links`: of runs."""

    def __init__(
        self,
        clients: ClientSource,
        gate: Gate,
        headers: Headers,
        *,
        api_only: bool = False,
        links: Mapping[str, str] | None = None,
        host: Host | None = None,
    ) -> None:
        self._links = links or {}
        self._host = host or Host()
        self._clients = clients
        self._gate = gate
        self._headers = headers
        self._api_only = api_only
        self._hub = Hub()
        self._looks = Looks()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, or keep the lifespan protocol."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, self._headers.added(scope, send))
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def visitor(self, scope: Any) -> Identity | None:
        """Return who asks, for other apps that the same process serves; None for nobody.

        Raises ConfigurationError, a sentence, while nobody can come in at all.
        """
        try:
            return await self._gate.identify(ConsoleRequest(scope), await self._clients.get())
        except (UnknownError, ForbiddenError):
            return None
        except ClosedError as error:
            raise ConfigurationError(str(error)) from None

    async def close(self) -> None:
        """Close what was opened; a mounted application hears nothing of its host's end."""
        await self._hub.close()
        await self._clients.close()

    async def _live(self, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        parts = segments(scope)
        is_api = self._api_only or parts[:2] == API_PARTS
        if is_api and not self._api_only:
            parts = parts[2:] or [""]
        request = ConsoleRequest(scope, receive)
        request.hub, request.links = self._hub, self._links
        try:
            answer = await self._of_route(request, parts, is_api=is_api)
        except UnknownError as error:
            answer = await self._unknown(request, error, is_api=is_api)
        except Exception as error:
            answer = await _failed(request, error, is_api=is_api)
        await answer(scope, receive, send)

    async def _of_route(
        self, request: ConsoleRequest, parts: list[str], *, is_api: bool
    ) -> Response:
        self._gate.check_origin(request)
        found = (API if is_api else PAGES).find(request.method, parts)
        request.sereno, request.sessions = await self._clients.get(), self._gate.sessions
        if isinstance(found, list) or found.route.needs is not None:
            request.known_as(await self._gate.identify(request, request.sereno))
        if isinstance(found, list):
            self._gate.admit(request.known, "known", None)  # what there is, strangers need not know
            raise _nothing(request, found)
        request.arguments = found.arguments
        if found.route.needs is not None:
            self._gate.admit(request.known, found.route.needs, _job_of(found))
        answered: Callable[[ConsoleRequest], Awaitable[Response]] = found.route.handler
        if not is_api and request.known is not None and is_refresh(request):
            return await self._looks.answer(request, lambda: answered(request))
        return await answered(request)

    async def _unknown(
        self, request: ConsoleRequest, error: UnknownError, *, is_api: bool
    ) -> Response:
        """Send a person to where they log in; tell a program that it needs a token."""
        if not is_api and request.method in ("GET", "HEAD"):
            path, query = request.asked_path, request.scope["query_string"].decode("latin-1")
            wanted = f"{path}?{query}" if query else path
            if self._gate.sessions is not None:
                return seen_other(request.link("log-in", next=wanted))
            if self._host.log_in is not None:
                return seen_other(self._host.log_in + quote(wanted, safe=""))
        named = {"www-authenticate": self._host.challenge}
        return await _failed(request, ProblemError(401, str(error), headers=named), is_api=is_api)


def _job_of(found: FoundRoute) -> str | None:
    """Return the job that the path names, also by one of its schedules; None: it names none.

    Users, tokens and their trail are of no job: who may see them may do so for all.
    """
    if found.route.needs == "access":
        return "*"
    name = found.arguments.get("job") or found.arguments.get("schedule")
    return None if name is None else name.partition("@")[0]


def _nothing(request: ConsoleRequest, methods: list[str]) -> ProblemError:
    path = request.scope["path"]
    if methods:
        allow = {"allow": ", ".join(methods)}
        return ProblemError(405, f"{path} takes {allow['allow']}", headers=allow)
    return ProblemError(404, f"there is nothing at {path}")


async def _failed(request: ConsoleRequest, error: Exception, *, is_api: bool) -> Response:
    told = problem_of(error)
    if isinstance(error, ClosedError):
        told = ProblemError(503, str(error))
    if told is None:
        log.error("a request failed", exc_info=error, extra={"path": request.scope["path"]})
        told = ProblemError(500, "this is a fault of the console's; the log has it")
    detail = readable_by(request.known, told.problem.detail)
    told.problem = msgspec.structs.replace(told.problem, detail=detail)
    return problem(told) if is_api else await failure_page(request, told)
