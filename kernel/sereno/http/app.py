"""Decides which pages there are and what each answers.

``/``                  a front page for people
``/metrics``           Prometheus' text format, OpenMetrics where the Accept header asks for it
``/health``            everything, as JSON; 503 when the cluster is down
``/health/tasks``      every task with its last and next run; 503, and as they were last read,
                       while the database is away
``/health/liveness``   200 while this process fires or could; no token needed
``/health/readiness``  503 and why while this node cannot take part; no token needed

`sereno.http.runs` and `sereno.http.tasks` add those that change something.
"""

from collections.abc import Callable, Sequence

from sereno.engine.status import Status
from sereno.http.answer import Answer, json
from sereno.http.auth import guarded
from sereno.http.front import front_page
from sereno.http.hosts import meant_for
from sereno.http.request import Page, Request
from sereno.http.site import Route, Site
from sereno.observe.health import away, health, readiness, tasks
from sereno.observe.job_watch import JobWatch
from sereno.observe.metrics import Metrics
from sereno.observe.node_figures import PluginFacts


def build_app(
    status: Status,
    watch: JobWatch,
    metrics: Metrics,
    plugins: Callable[[], Sequence[PluginFacts]],
    *,
    alive: Callable[[], str | None] = lambda: None,
    token: str | None = None,
    hosts: Sequence[str] = (),
    routes: Sequence[Route] = (),
) -> Page:
    """Return what answers every request.

    `alive`: says why the firing loop is dead, None while it lives. `token`: wanted from all but the
    probes; without one, `hosts` are names that this server answers to beside its own. `routes`:
    more pages, as those of runs.
    """
    pages = _Pages(status, watch, metrics, plugins, alive)
    site = Site(
        [
            Route("/", pages.front),
            Route("/metrics", pages.metrics),
            Route("/health", pages.health),
            Route("/health/tasks", pages.tasks),
            Route("/health/liveness", pages.liveness),
            Route("/health/readiness", pages.readiness),
            *routes,
        ]
    )
    return guarded(site.answer, token) if token else meant_for(site.answer, hosts)


class _Pages:
    """The endpoints, each for GET and HEAD."""

    def __init__(
        self,
        status: Status,
        watch: JobWatch,
        metrics: Metrics,
        plugins: Callable[[], Sequence[PluginFacts]],
        alive: Callable[[], str | None],
    ) -> None:
        self._status = status
        self._watch = watch
        self._metrics = metrics
        self._plugins = plugins
        self._alive = alive

    async def front(self, request: Request) -> Answer:
        report = health(self._status, await self._watch.poll(), self._plugins(), 100)
        return Answer(body=front_page(report).encode(), media_type="text/html; charset=utf-8")

    async def metrics(self, request: Request) -> Answer:
        text, content_type = await self._metrics.page(request.header("accept"))
        return Answer(body=text, media_type=content_type)

    async def health(self, request: Request) -> Answer:
        report = health(self._status, await self._watch.poll(), self._plugins())
        return json(report, 503 if report["status"] == "down" else 200)

    async def tasks(self, request: Request) -> Answer:
        glance = await self._watch.poll()
        error = away(self._status, glance)
        return json({"error": error, "tasks": tasks(glance)}, 503 if error else 200)

    async def liveness(self, request: Request) -> Answer:
        reason = self._alive()
        return _probe("alive", "dead", reason)

    async def readiness(self, request: Request) -> Answer:
        return _probe("ready", "not ready", readiness(self._status))


def _probe(good: str, bad: str, reason: str | None) -> Answer:
    if reason is None:
        return json({"status": good})
    return json({"status": bad, "reason": reason}, 503)
