"""The life of one node: database, pages, plugins' lifespans and kernel, opened in order and
closed in reverse.

Where a node lives differs: in a process of its own (`sereno.app.host`), or in an application's
(`sereno.app.guest`). What it may take there, and who is told how it comes on, is its `Stay`'s.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import msgspec

from sereno.app.bus import Bus
from sereno.app.carrying import watching
from sereno.app.dependencies import asking
from sereno.app.node import Node
from sereno.app.plugin_tables import tables_made
from sereno.apps.extra import missing
from sereno.engine.loop_guard import refusals
from sereno.engine.status import Status
from sereno.http.app import build_app
from sereno.http.request import Page
from sereno.http.runs import run_pages
from sereno.http.server import HttpServer
from sereno.http.tasks import task_pages
from sereno.model.events import RunFinished, RunStarted, SlotSettled
from sereno.model.lazy import lazy
from sereno.model.message_counts import MessageCounts
from sereno.observe.metrics import Metrics
from sereno.observe.plugin_metrics import Collected
from sereno.observe.run_logger import RunLogger
from sereno.plugins import HookDispatcher, PluginRecord, Registry
from sereno.settings import EMBEDDED, EMBEDDED_DEMO, Settings
from sereno.tracing import can_trace, open_tracer

log = logging.getLogger("sereno.kernel")

_SPANS_LIMIT = 5.0
"""Seconds that a collector which does not answer may hold up the end of a node."""


class ReadyNode(msgspec.Struct, frozen=True, kw_only=True):
    """What stands once a node is up. `http`: the pages' address, None when they are off; `apps`:
    the mounts of the apps that this machine serves, whichever of its nodes does."""

    node: Node
    dsn: str
    http: str | None
    apps: tuple[str, ...] = ()


class Stay:
    """Where a node lives, and how long.

    `stop`: the node is told to stop; `force`: and not to wait for its runs; `opening`: its plugins
    are being opened, which is not waited for. `next_ports`: how many ports to try after the one
    that is set. `beside`: what is kept open while the node works.
    """

    next_ports = 0
    beside: Callable[[ReadyNode], AbstractAsyncContextManager[None]] | None = None

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.force = asyncio.Event()
        self.opening = False

    def loaded(self, registry: Registry) -> None:
        """Take note of the plugins that are loaded."""

    def connected(self, bus: Bus, hooks: HookDispatcher) -> None:
        """Take note of what carries events, before there are any."""

    def begin(self, node: Node, stack: AsyncExitStack) -> None:
        """Keep in order what the node needs of its process, until `stack` is closed."""

    def built(self, pages: Callable[[tuple[str, ...]], Page]) -> None:
        """Take note of what answers requests; `pages` builds it for those names of hosts."""

    def ready(self, node: ReadyNode) -> None:
        """Take note that the node is up."""


async def live(
    settings: Settings, registry: Registry, status: Status, stay: Stay, run_logger: RunLogger
) -> int:
    """Run a node until `stay` has it stop and all is drained; return the exit code.

    Raises ConfigurationError when the pages cannot be served.
    """
    stay.loaded(registry)
    _log_loading(registry)
    tracer = open_tracer(settings.tracing, str(status.node)) if can_trace(settings) else None
    hooks = HookDispatcher(registry)
    bus = Bus(hooks)
    stay.connected(bus, hooks)
    bus.observe(run_logger, RunFinished, SlotSettled)
    status.opening = True
    async with AsyncExitStack() as stack:
        if tracer is not None:
            stack.push_async_callback(asyncio.to_thread, tracer.close, _SPANS_LIMIT)
        dsn = await stack.enter_async_context(database(settings))
        node = Node(settings, registry, dsn, status, bus, tracer)
        stack.push_async_callback(node.close)
        stay.begin(node, stack)
        counts = MessageCounts(registry.notifiers)
        collected = Collected({}, dsn)
        pages = _pages(settings, node, bus, collected, counts)
        stay.built(pages)
        address = await _served(settings, pages, stay.next_ports, stack)
        if not await _joined(node, address, stay.stop):
            return 0
        stay.opening = True
        node.registry = await _opened(hooks, node, dsn, collected, stack)
        stay.opening = status.opening = False
        standing = ReadyNode(
            node=node,
            dsn=dsn,
            http=address,
            apps=tuple(registry.apps) if settings.apps.enabled and not missing() else (),
        )
        if stay.beside is not None:
            await stack.enter_async_context(stay.beside(standing))
        await stack.enter_async_context(watching(node, dsn, bus.publish, counts))
        await stack.enter_async_context(asking(node.registry, status, node.clock.now))
        await stack.enter_async_context(_apps(settings, node, dsn))
        stay.ready(standing)
        await node.work(stay.stop, stay.force)
    return 0


async def seen_through(work: "asyncio.Task[int]", stay: Stay) -> None:
    """Wait for the end of `work`, which is cancelled where the node is told to stop before it has
    opened its plugins."""
    stopping = asyncio.ensure_future(stay.stop.wait())
    this = asyncio.current_task()
    try:
        while not work.done():
            before = refusals()
            try:
                waits = {work} if stopping.done() else {work, stopping}
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                if refusals() == before or this is None:
                    work.cancel()
                    await asyncio.wait({work})
                    raise
                this.uncancel()  # a run tried to cancel every task, and this one is not guarded
            if stopping.done() and stay.opening:
                work.cancel()
    finally:
        stopping.cancel()


async def _opened(
    hooks: HookDispatcher, node: Node, dsn: str, collected: Collected, stack: AsyncExitStack
) -> Registry:
    """Make plugins' tables, open their lifespans and ask their collectors; return those that are
    left."""
    log.debug("opening plugins")
    hooks.registry = await tables_made(node.db, hooks.registry)
    registry = await stack.enter_async_context(hooks.lifespans(dsn))
    collected.begin(registry.collectors, registry.states)
    stack.push_async_callback(collected.close)
    return registry


def _log_loading(registry: Registry) -> None:
    """Log what is odd about the configuration, and which plugins failed."""
    for warning in registry.warnings:
        log.warning("configuration", extra={"warning": warning})
    for record in registry.records.values():
        if record.state == "failed":
            facts = {"plugin": record.name, "reason": record.reason}
            log.error("a plugin failed, the others run", extra=facts)


async def _joined(node: Node, address: str | None, stop: asyncio.Event) -> bool:
    """Wait for the database; return False when the node was told to stop before it came."""
    joining = asyncio.ensure_future(node.join(address))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({joining, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if joining.done():
            joining.result()
        return joining.done()
    finally:
        joining.cancel()
        stopping.cancel()


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """Give the database's address; the embedded one is started, and started again when it dies."""
    if settings.database_url not in (EMBEDDED, EMBEDDED_DEMO):
        yield settings.database_url
        return
    # Loaded by who wants it: it is a tenth of a megabyte.
    supervisor = lazy("sereno.embedded.supervisor")
    demo = settings.database_url == EMBEDDED_DEMO
    async with supervisor.kept(settings.data_dir, demo=demo) as dsn:
        yield dsn


@asynccontextmanager
async def _apps(settings: Settings, node: Node, dsn: str) -> AsyncIterator[None]:
    """Keep the process of apps where a plugin brings one."""
    if not (settings.apps.enabled and node.registry.apps):
        yield
        return
    # Loaded by the few nodes that have one.
    keeper = lazy("sereno.apps.keeper").AppsKeeper(settings, node.registry, dsn, node.status)
    keeping = asyncio.ensure_future(keeper.work())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})


def _pages(
    settings: Settings, node: Node, bus: Bus, collected: Collected, counts: MessageCounts
) -> Callable[[tuple[str, ...]], Page]:
    """Return what builds the pages of `node`, for names of hosts that they are to answer to."""

    def records() -> list[PluginRecord]:
        return list(node.plugins().values())

    metrics = Metrics(
        node.status,
        node.watch,
        records,
        notified=counts,
        unscheduled=lambda: _unscheduled(node.registry),
        collected=collected,
        job_limit=settings.http.metrics_job_limit,
    )
    bus.observe(metrics.run_started, RunStarted)
    bus.observe(metrics.run_finished, RunFinished)
    token = settings.http.token

    def build(hosts: tuple[str, ...]) -> Page:
        return build_app(
            node.status,
            node.watch,
            metrics,
            records,
            alive=node.dead,
            token=token,
            hosts=hosts,
            routes=[
                page
                for pages in (run_pages, task_pages)
                for page in pages(node.db, lambda: node.registry.jobs, token=bool(token))
            ],
        )

    return build


async def _served(
    settings: Settings,
    pages: Callable[[tuple[str, ...]], Page],
    next_ports: int,
    stack: AsyncExitStack,
) -> str | None:
    """Serve the pages on a port of their own, where they are to have one; return their address."""
    http = settings.http
    if not http.enabled:
        return None
    app = pages((http.host, *http.hosts))
    server = HttpServer(app, http.host, http.port, next_ports=next_ports)
    await stack.enter_async_context(server)
    return server.url


def _unscheduled(registry: Registry) -> list[str]:
    """Return the jobs that declare why they have no schedule, and have got none otherwise."""
    scheduled = {declared.job for declared in registry.schedules.values()}
    return [n for n, job in registry.jobs.items() if job.unscheduled and n not in scheduled]
