"""Hosts one node: database, pages, plugins' lifespans and the kernel, opened in order and closed in
reverse."""

import asyncio
import faulthandler
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)
from typing import TextIO
from uuid import uuid4

import msgspec

from sereno.app import garbage
from sereno.app.bus import Bus
from sereno.app.departure import Departure
from sereno.app.descriptors import Descriptors
from sereno.app.limits import ProcessLimits
from sereno.app.node import Node, new_status
from sereno.app.plugin_tables import tables_made
from sereno.app.systemd import Systemd
from sereno.engine.forks import own_forks
from sereno.engine.loop_guard import guard, refusals
from sereno.engine.own_logging import changing_logging
from sereno.engine.runlog import RunLogHandler
from sereno.engine.status import Status
from sereno.http.app import build_app
from sereno.http.runs import run_pages
from sereno.http.server import HttpServer
from sereno.http.tasks import task_pages
from sereno.model.events import LeaderChanged, RunFinished, RunStarted, SlotSettled
from sereno.model.lazy import lazy
from sereno.notify.herald import Herald
from sereno.notify.tally import Tally
from sereno.observe.log_watch import LogWatch, own_stderr
from sereno.observe.logs import apply_plugin_levels, configure_logging
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
    """What stands once a node is up. `http`: the pages' address, None when they are off."""

    node: Node
    dsn: str
    http: str | None


def configured(settings: Settings, stream: TextIO | None = None) -> Status:
    """Return a new node's status, with logging set up to tell of it, on `stream` (stderr)."""
    status = new_status(settings, uuid4())
    configure_logging(settings.log, status=status, stream=stream)
    root = logging.getLogger()
    if not any(isinstance(h, RunLogHandler) for h in root.handlers):
        root.addHandler(RunLogHandler())
    for handler in root.handlers:
        if isinstance(handler, RunLogHandler):
            handler.setLevel(settings.log.keep_level.upper())
    return status


def configured_process(settings: Settings, *, everybody: bool) -> tuple[Status, LogWatch]:
    """Return the status of a new node that has this process for itself, and who keeps its log.

    `everybody`: what is printed outside of runs becomes a line of the log too.
    """
    stream = own_stderr()
    # What ends a process below Python (a fault in C, an abort) says at last where threads were.
    with suppress(OSError, ValueError):
        faulthandler.enable(stream)
    status = configured(settings, stream)
    watch = LogWatch(status)
    watch.begin(everybody=everybody)
    return status, watch


async def host(
    settings: Settings,
    registry: Registry,
    status: Status,
    watch: LogWatch,
    run_logger: RunLogger,
    *,
    next_ports: int = 0,
    beside: Callable[[ReadyNode], AbstractAsyncContextManager[None]] | None = None,
    ends_process: bool = True,
) -> int:
    """Run a node until it is told to stop (SIGTERM, SIGINT, SIGHUP) and all is drained.

    `ends_process`: nothing else comes after it in this process, which ends soon whatever is left.
    `next_ports`: how many ports to try after the one that is set. `beside`: what is kept open while
    the node works. Raises ConfigurationError when the pages cannot be served.
    """
    loop = asyncio.get_running_loop()
    guard(loop, status.under_way)
    own_forks(loop)
    departure = Departure(
        settings.drain_timeout, status.under_way, status.trouble, ends_process=ends_process
    )
    departure.begin()
    hosting = _hosting(settings, registry, status, watch, departure, run_logger, next_ports, beside)
    work = asyncio.ensure_future(hosting)
    try:
        await _seen_through(work, departure)
        code = work.result()
    except asyncio.CancelledError:
        if not departure.stop.is_set():
            log.critical("this node was cancelled", extra={"runs": status.under_way()})
            departure.over(1)
            raise
        code = 0
    except BaseException:
        if runs := status.under_way():
            log.critical("this node ends by a fault", extra={"runs": runs})
        departure.over(1)
        raise
    finally:
        watch.end()
    if not status.under_way():
        log.info("stopped")
    return departure.over(code)


async def _seen_through(work: "asyncio.Task[int]", departure: Departure) -> None:
    """Wait for the end of `work`, which is cancelled where the node is told to stop before it has
    opened its plugins."""
    stopping = asyncio.ensure_future(departure.stop.wait())
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
            if stopping.done() and departure.opening:
                work.cancel()
    finally:
        stopping.cancel()


async def _hosting(
    settings: Settings,
    registry: Registry,
    status: Status,
    watch: LogWatch,
    departure: Departure,
    run_logger: RunLogger,
    next_ports: int,
    beside: Callable[[ReadyNode], AbstractAsyncContextManager[None]] | None,
) -> int:
    with changing_logging():
        apply_plugin_levels(settings.log, registry)
    watch.loaded(registry)
    _log_loading(registry)
    systemd = Systemd()
    departure.on_stop(lambda: systemd.notify("STOPPING=1"))
    tracer = open_tracer(settings.tracing, str(status.node)) if can_trace(settings) else None
    hooks = HookDispatcher(registry)
    bus = Bus(hooks)
    bus.observe(watch.observe, RunStarted)
    bus.observe(run_logger, RunFinished, SlotSettled)
    watch.calling = lambda: hooks.calling
    status.opening = True
    async with AsyncExitStack() as stack:
        if tracer is not None:
            stack.push_async_callback(asyncio.to_thread, tracer.close, _SPANS_LIMIT)
        dsn = await stack.enter_async_context(database(settings))
        departure.hook = lambda: hooks.calling
        descriptors = Descriptors(status)
        descriptors.begin()
        limits = ProcessLimits(status)
        limits.begin()
        stack.callback(limits.end)
        polling = asyncio.ensure_future(_poll(watch, departure, descriptors, limits))
        stack.callback(polling.cancel)
        node = Node(settings, registry, dsn, status, bus, tracer)
        stack.push_async_callback(node.close)
        notifying = asyncio.ensure_future(
            systemd.work(lambda: not status.opening, node.silent, lambda: _how(status))
        )
        stack.callback(notifying.cancel)
        tally = Tally(registry.notifiers)
        collected = Collected({}, dsn)
        address = await _pages(settings, node, bus, collected, tally, next_ports, stack)
        if not await _joined(node, address, departure.stop):
            return 0
        departure.opening = True
        node.registry = await _opened(hooks, dsn, collected, stack)
        departure.opening = status.opening = False
        standing = ReadyNode(node=node, dsn=dsn, http=address)
        if beside is not None:
            await stack.enter_async_context(beside(standing))
        await stack.enter_async_context(_herald(settings, node, bus, tally).at_work())
        await stack.enter_async_context(_apps(settings, node, dsn))
        if departure.ends_process:  # another program's objects are its own affair
            garbage.spare()
        log.info("ready", extra={"pages": address} if address else None)
        systemd.notify("READY=1", f"STATUS={_how(status)}")
        await node.work(departure.stop, departure.force)
    return 0


async def _opened(
    hooks: HookDispatcher, dsn: str, collected: Collected, stack: AsyncExitStack
) -> Registry:
    """Make plugins' tables, open their lifespans and ask their collectors; return those that are
    left."""
    log.debug("opening plugins")
    hooks.registry = await tables_made(dsn, hooks.registry)
    registry = await stack.enter_async_context(hooks.lifespans(dsn))
    collected.begin(registry.collectors, registry.states)
    stack.push_async_callback(collected.close)
    return registry


async def _poll(
    watch: LogWatch, departure: Departure, descriptors: Descriptors, limits: ProcessLimits
) -> None:
    """Check each second that what all jobs share is as it was."""
    while True:
        await asyncio.sleep(1)
        watch.poll()
        departure.poll()
        descriptors.poll()
        limits.poll()


def _log_loading(registry: Registry) -> None:
    """Log what is odd about the configuration, and which plugins failed."""
    for warning in registry.warnings:
        log.warning("configuration", extra={"warning": warning})
    for record in registry.records.values():
        if record.state == "failed":
            facts = {"plugin": record.name, "reason": record.reason}
            log.error("a plugin failed, the others run", extra=facts)


def _how(status: Status) -> str:
    """Return a sentence on the node, for ``systemctl status``."""
    if status.store_error is not None:
        return f"{status.role}, {status.store_error}"
    return f"{status.role} of term {status.term}" if status.leading else status.role


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


async def _pages(
    settings: Settings,
    node: Node,
    bus: Bus,
    collected: Collected,
    tally: Tally,
    next_ports: int,
    stack: AsyncExitStack,
) -> str | None:
    if not settings.http.enabled:
        return None

    def records() -> list[PluginRecord]:
        return list(node.plugins().values())

    metrics = Metrics(
        node.status,
        node.watch,
        records,
        notified=tally,
        unscheduled=lambda: _unscheduled(node.registry),
        collected=collected,
        job_limit=settings.http.metrics_job_limit,
    )
    bus.observe(metrics.run_started, RunStarted)
    bus.observe(metrics.run_finished, RunFinished)
    token = settings.http.token
    app = build_app(
        node.status,
        node.watch,
        metrics,
        records,
        alive=node.dead,
        token=token,
        hosts=(settings.http.host, *settings.http.hosts),
        routes=[
            page
            for pages in (run_pages, task_pages)
            for page in pages(node.db, lambda: node.registry.jobs, token=bool(token))
        ],
    )
    server = HttpServer(app, settings.http.host, settings.http.port, next_ports=next_ports)
    await stack.enter_async_context(server)
    return server.url


def _unscheduled(registry: Registry) -> list[str]:
    """Return the jobs that declare why they have no schedule, and have got none otherwise."""
    scheduled = {declared.job for declared in registry.schedules.values()}
    return [n for n, job in registry.jobs.items() if job.unscheduled and n not in scheduled]


def _herald(settings: Settings, node: Node, bus: Bus, tally: Tally) -> Herald:
    herald = Herald(
        node.db,
        node.watch,
        node.status,
        settings.notify,
        node.registry.notifiers,
        node.registry.jobs,
        now=node.clock.now,
        publish=bus.publish,
        tally=tally,
    )
    bus.observe(herald.hear, RunFinished, SlotSettled, LeaderChanged)
    return herald
