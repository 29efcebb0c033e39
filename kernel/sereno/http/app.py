"""Decides which pages there are and what each answers.

``/``                  a front page for people
``/metrics``           Prometheus' text format, OpenMetrics where the Accept header asks for it
``/health``            everything, as JSON; 503 when the cluster is down
``/health/tasks``      every task with its last and next run
``/health/liveness``   200 while this process fires or could; no token needed
``/health/readiness``  503 and why while this node cannot take part; no token needed

`sereno.http.runs` adds those of runs.
"""

from collections.abc import Callable, Sequence

from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from sereno.engine.status import Status
from sereno.http.answer import HEADERS, json, sentence
from sereno.http.auth import BearerAuth
from sereno.http.front import front_page
from sereno.observe.health import health, readiness, tasks
from sereno.observe.metrics import Metrics, PluginFacts
from sereno.store.watch import Watch


def build_app(
    status: Status,
    watch: Watch,
    metrics: Metrics,
    plugins: Callable[[], Sequence[PluginFacts]],
    *,
    alive: Callable[[], str | None] = lambda: None,
    token: str | None = None,
    routes: Sequence[BaseRoute] = (),
) -> ASGIApp:
    """Return the ASGI app: starlette's parts without its `Starlette`, whose page for errors in
    development costs every replica 0.5 MB.

    `alive`: says why the firing loop is dead, None while it lives. `token`: wanted from all but the
    probes. `routes`: more pages, as those of runs.
    """
    pages = _Pages(status, watch, metrics, plugins, alive)
    known = [
        Route("/", pages.front),
        Route("/metrics", pages.metrics),
        Route("/health", pages.health),
        Route("/health/tasks", pages.tasks),
        Route("/health/liveness", pages.liveness),
        Route("/health/readiness", pages.readiness),
        *routes,
    ]
    router = Router(routes=known, default=_missing(known))
    app = ExceptionMiddleware(router)
    return BearerAuth(app, token) if token else app


class _Pages:
    """The endpoints, each for GET and HEAD."""

    def __init__(
        self,
        status: Status,
        watch: Watch,
        metrics: Metrics,
        plugins: Callable[[], Sequence[PluginFacts]],
        alive: Callable[[], str | None],
    ) -> None:
        self._status = status
        self._watch = watch
        self._metrics = metrics
        self._plugins = plugins
        self._alive = alive

    async def front(self, request: Request) -> Response:
        report = health(self._status, await self._watch.look(), self._plugins(), 100)
        return Response(front_page(report), headers=HEADERS, media_type="text/html")

    async def metrics(self, request: Request) -> Response:
        text, content_type = await self._metrics.page(request.headers.get("accept", ""))
        return Response(text, headers={**HEADERS, "Content-Type": content_type})

    async def health(self, request: Request) -> Response:
        report = health(self._status, await self._watch.look(), self._plugins())
        return json(report, 503 if report["status"] == "down" else 200)

    async def tasks(self, request: Request) -> Response:
        glance = await self._watch.look()
        return json({"error": glance.error, "tasks": tasks(glance)})

    async def liveness(self, request: Request) -> Response:
        reason = self._alive()
        return _probe("alive", "dead", reason)

    async def readiness(self, request: Request) -> Response:
        return _probe("ready", "not ready", readiness(self._status))


def _probe(good: str, bad: str, reason: str | None) -> Response:
    if reason is None:
        return json({"status": good})
    return json({"status": bad, "reason": reason}, 503)


def _missing(routes: Sequence[BaseRoute]) -> ASGIApp:
    paths = [r.path for r in routes if isinstance(r, Route)]
    known = "the pages are " + " ".join(paths).replace(":int", "")

    async def missing(scope: Scope, receive: Receive, send: Send) -> None:
        answer = sentence(404, f"there is no page {scope['path']}; {known}")
        await answer(scope, receive, send)

    return missing
