"""Hosts one node in a process of its own: keeps its signals, log, files and limits in order."""

import asyncio
import faulthandler
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import TextIO
from uuid import uuid4

from sereno.app.bus import Bus
from sereno.app.departure import Departure
from sereno.app.descriptors import Descriptors
from sereno.app.life import ReadyNode, Stay, live, seen_through
from sereno.app.limits import ProcessLimits
from sereno.app.node import Node, new_status
from sereno.app.systemd import Systemd
from sereno.engine import garbage
from sereno.engine.executors.in_host import NoHost
from sereno.engine.forks import own_forks
from sereno.engine.loop_guard import guard
from sereno.engine.own_logging import changing_logging
from sereno.engine.runlog import RunLogHandler
from sereno.engine.status import Status
from sereno.model.events import RunStarted
from sereno.observe.log_watch import LogWatch, own_stderr
from sereno.observe.logs import apply_plugin_levels, configure_logging
from sereno.observe.run_logger import RunLogger
from sereno.plugins import HookDispatcher, Registry
from sereno.settings import Settings

log = logging.getLogger("sereno.kernel")


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


class _OwnProcess(Stay):
    """A process that is the node's alone, and tells systemd how it comes on."""

    def __init__(
        self, settings: Settings, status: Status, watch: LogWatch, *, ends_process: bool
    ) -> None:
        super().__init__()
        self._settings = settings
        self._status = status
        self._watch = watch
        self._systemd = Systemd()
        self.departure = departure = Departure(
            self,
            settings.drain_timeout,
            status.under_way,
            status.trouble,
            ends_process=ends_process,
        )
        departure.on_stop(lambda: self._systemd.notify("STOPPING=1"))

    def loaded(self, registry: Registry) -> None:
        with changing_logging():
            apply_plugin_levels(self._settings.log, registry)
        self._watch.loaded(registry)

    def connected(self, bus: Bus, hooks: HookDispatcher) -> None:
        bus.observe(self._watch.observe, RunStarted)
        self._watch.calling = lambda: hooks.calling
        self.departure.hook = lambda: hooks.calling

    def begin(self, node: Node, stack: AsyncExitStack) -> None:
        """Keep what all jobs share in order: log, descriptors, limits."""
        node.in_host = NoHost()
        status = self._status
        descriptors = Descriptors(status)
        descriptors.begin()
        limits = ProcessLimits(status)
        limits.begin()
        stack.callback(limits.end)
        polling = asyncio.ensure_future(self._poll(descriptors, limits))
        stack.callback(polling.cancel)
        notifying = asyncio.ensure_future(
            self._systemd.work(lambda: not status.opening, node.silent, lambda: _how(status))
        )
        stack.callback(notifying.cancel)

    def ready(self, node: ReadyNode) -> None:
        if self.departure.ends_process:  # another program's objects are its own affair
            garbage.spare()
        log.info("ready", extra={"pages": node.http} if node.http else None)
        self._systemd.notify("READY=1", f"STATUS={_how(self._status)}")

    async def _poll(self, descriptors: Descriptors, limits: ProcessLimits) -> None:
        """Check each second that what all jobs share is as it was."""
        while True:
            await asyncio.sleep(1)
            self._watch.poll()
            self.departure.poll()
            descriptors.poll()
            limits.poll()


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
    stay = _OwnProcess(settings, status, watch, ends_process=ends_process)
    stay.next_ports, stay.beside = next_ports, beside
    departure = stay.departure
    departure.begin()
    work = asyncio.ensure_future(live(settings, registry, status, stay, run_logger))
    try:
        await seen_through(work, stay)
        code = work.result()
    except asyncio.CancelledError:
        if not stay.stop.is_set():
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


def _how(status: Status) -> str:
    """Return a sentence on the node, for ``systemctl status``."""
    if status.store_error is not None:
        return f"{status.role}, {status.store_error}"
    if status.leading:
        return f"{status.role} of term {status.term}"
    return f"{status.role}, {status.followed} leads" if status.followed else status.role
