"""A node that is a guest in an application's process: a thread and an event loop of its own, in
which nothing that the application does can hold it up.

Of what a process has once it takes nothing: no signal, no root logger, no stream, no event-loop
policy, no limit, no garbage collection. So its application has to say when it ends.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from functools import partial

from sereno.app.guest_log import kept_lines
from sereno.app.life import ReadyNode, Stay, live, seen_through
from sereno.app.node import Node
from sereno.engine.event_loop import new_guest_loop
from sereno.engine.forks import leave_forks, own_forks
from sereno.engine.loop_guard import guard
from sereno.engine.status import Status
from sereno.http.request import Page
from sereno.model.executor import Executor
from sereno.observe.run_logger import RunLogger
from sereno.plugins import Registry
from sereno.settings import Settings

log = logging.getLogger("sereno.kernel")

_LOOKED_EVERY = 0.02
"""Seconds between two looks at a start whether the cluster has a leader."""

_ANY_HOST = ("*",)
"""It is the application that decides which names of hosts it answers to."""


class Guest:
    """One node, in its thread. `in_host`: makes what awaits jobs in the application's loop;
    `closing`: closes what that has of the database, once no run is left.

    `settled`: done once the node is up, or waits for its database; or with what kept it from that.
    `over`: done when the node has ended, with the fault that ended it or None.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        status: Status,
        *,
        loggers: tuple[str, ...],
        in_host: Callable[[str], Executor],
        closing: Callable[[], Awaitable[None]],
    ) -> None:
        self.settings = settings
        self.registry = registry
        self.status = status
        self.in_host = in_host
        self.closing = closing
        self.settled: Future[None] = Future()
        self.over: Future[BaseException | None] = Future()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.node: Node | None = None
        self.page: Page | None = None
        self.ready: ReadyNode | None = None
        self._loggers = loggers
        self._stay: _Stay | None = None
        self._asked: list[Callable[[], None]] = []
        self._thread = threading.Thread(target=self._work, name="sereno node", daemon=True)

    def start(self) -> None:
        """Begin; `settled` tells how it went."""
        self._thread.start()

    def stop(self, drain: timedelta | None) -> None:
        """Tell the node to stop, from any thread; runs may go on for `drain` (as it is set)."""
        self._asked.append(partial(self._end, drain))
        self._do_as_asked()

    def force(self) -> None:
        """Tell the node to wait for its runs no longer."""
        self._asked.append(self._forced)
        self._do_as_asked()

    def _forced(self) -> None:
        if self._stay is not None:
            self._stay.force.set()

    def _end(self, drain: timedelta | None) -> None:
        if self.node is not None and drain is not None:
            self.node.drain_timeout = drain
        if self._stay is not None:
            self._stay.stop.set()

    def _do_as_asked(self) -> None:
        if self.loop is None:
            return  # its thread does so as it begins
        with suppress(RuntimeError):  # it has ended meanwhile
            for act in list(self._asked):
                self.loop.call_soon_threadsafe(act)

    def _work(self) -> None:
        fault: BaseException | None = None
        try:
            with (
                kept_lines(self.settings.log, self._loggers),
                asyncio.Runner(loop_factory=new_guest_loop) as runner,
            ):
                runner.run(self._live())
        except BaseException as error:
            fault = error
        if not self.settled.done():
            if fault is None:
                self.settled.set_result(None)
            else:
                self.settled.set_exception(fault)
        elif fault is not None:
            log.critical(
                "the node in this process has ended by a fault, the application goes on without",
                exc_info=fault,
                extra={"runs": self.status.under_way()},
            )
        self.over.set_result(fault)

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        guard(loop, self.status.under_way)
        own_forks(loop, signals=False)
        self._stay = _Stay(self)
        self.loop = loop
        self._do_as_asked()  # of what was asked before there was a loop, each may be done twice
        level = logging.getLevelNamesMapping()[self.settings.log.success_level.upper()]
        living = live(self.settings, self.registry, self.status, self._stay, RunLogger(level))
        work = asyncio.ensure_future(living)
        try:
            await seen_through(work, self._stay)
            if not work.cancelled():
                work.result()
        finally:
            leave_forks()
        log.info("stopped")


class _Stay(Stay):
    """An application's process, of which the node touches nothing."""

    next_ports = 99
    """Workers of one application share its settings, and each serves its own pages."""

    def __init__(self, guest: Guest) -> None:
        super().__init__()
        self._guest = guest
        self._settling: asyncio.Task[None] | None = None

    def begin(self, node: Node, stack: AsyncExitStack) -> None:
        guest = self._guest
        guest.node = node
        node.in_host = guest.in_host(node.db.dsn)
        node.waits = self._settle
        stack.push_async_callback(guest.closing)

    def built(self, pages: Callable[[tuple[str, ...]], Page]) -> None:
        self._guest.page = pages(_ANY_HOST)

    def ready(self, node: ReadyNode) -> None:
        self._guest.ready = node
        log.info("ready", extra={"pages": node.http} if node.http else None)
        self._settling = asyncio.ensure_future(self._settle_once_led(node.node))

    async def _settle_once_led(self, node: Node) -> None:
        """Settle when this node fires, or another one leads: its jobs are known by then."""
        while not (  # noqa: ASYNC110 - for milliseconds, at a start
            node.status.firing or (node.leader and node.leader.refused.is_set())
        ):
            await asyncio.sleep(_LOOKED_EVERY)
        self._settle()

    def _settle(self) -> None:
        if not self._guest.settled.done():
            self._guest.settled.set_result(None)
