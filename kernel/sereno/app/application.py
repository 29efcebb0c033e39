"""``Sereno``: a node that an application starts and stops in its own process.

States: new; started (its thread is at work, up or waiting for its database); over, from where it
may be started again, as another node. In a forked child it is new: the parent's stays the parent's.
"""

import asyncio
import atexit
import math
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self  # noqa: TID251 - names what is loaded by use
from uuid import uuid4
from weakref import WeakKeyDictionary, ref

import msgspec

from sereno.app.given_settings import GivenSettings, given_settings
from sereno.app.guest import Guest
from sereno.app.loop_side import LoopSide
from sereno.app.node import new_status
from sereno.engine.executors.in_host import InHost, NoHost
from sereno.http.request import Page
from sereno.model.duration import parse_duration
from sereno.model.errors import ConfigurationError, PluginError
from sereno.model.executor import Executor
from sereno.model.lazy import lazy
from sereno.plugins import Registry, collect, given_plugins, load_plugins
from sereno.settings import EMBEDDED, EMBEDDED_DEMO, Settings

if TYPE_CHECKING:
    from sereno.client import Client, SyncClient

_AFTER_DRAIN = 20.0
"""Seconds in which a node that no run holds up any more writes what is left, and closes."""

_CLOSING = 2.0
_ENDLESS = timedelta(days=36_500)
_AT_EXIT = timedelta(0)


class Sereno:
    """A node in an application's process, in a thread and an event loop of its own.

    ``async with Sereno(...)``, ``with Sereno(...)``, `lifespan` for an ASGI framework, or `start`
    and `stop`. `settings`: a file's path, its tables as a mapping, or None for what ``sereno run``
    would find; the environment counts over each. `plugins`: modules or their names, plugin
    objects, jobs. `state`: what their jobs get as ``run.state``. `entry_points`: installed plugins
    are loaded as well. `loggers`: names of those whose lines are kept with the run that logs them,
    beside ``run.log``. `wait`: how long a start waits for the node to be up; one whose database is
    away stays, and goes on trying.
    """

    def __init__(
        self,
        settings: GivenSettings = None,
        *,
        plugins: Iterable[Any] = (),
        state: Any = None,
        entry_points: bool = True,
        loggers: Iterable[str] = (),
        wait: str | float | timedelta = "10s",
    ) -> None:
        if isinstance(plugins, str):
            raise ConfigurationError(
                f"Sereno(plugins={plugins!r}): give a list, as plugins=[{plugins!r}]"
            )
        self._given = settings
        self._plugins = tuple(plugins)
        self._state = state
        self._entry_points = entry_points
        self._loggers = tuple(loggers)
        self._wait = parse_duration(wait).total_seconds()
        self._guest: Guest | None = None
        self._registry: Registry | None = None
        self._pid = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sides: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopSide] = WeakKeyDictionary()

    # --- start and stop -----------------------------------------------------------------------

    def start(self) -> Self:
        """Start the node, and return once it is up, or waits for its database.

        For code without an event loop; `astart` is for the other. Raises ConfigurationError and
        PluginError for what is wrong with the settings, or with a plugin that was handed in.
        """
        _refuse_in_loop("start()", "await sereno.astart()")
        guest = self._begin(None)
        try:
            guest.settled.result(self._wait)
        except TimeoutError:
            pass  # it goes on, and readiness tells why it is not up
        except BaseException:  # its own, or Ctrl-C
            self._give_up(guest)
            raise
        return self

    async def astart(self) -> Self:
        """Start the node, as `start`; jobs of executor ``host`` are awaited in this loop."""
        guest = self._begin(asyncio.get_running_loop())
        try:
            async with asyncio.timeout(self._wait):
                await asyncio.shield(asyncio.wrap_future(guest.settled))
        except TimeoutError:
            pass
        except BaseException:  # its own, or the caller was cancelled
            self._give_up(guest)
            raise
        return self

    def stop(self, timeout: str | float | timedelta | None = None) -> bool:
        """Give the lead up, wait for runs, and end the node; return whether it has ended.

        `timeout`: how long runs may go on; then they are stopped, and queued again as their jobs
        say. None: the setting `drain_timeout`; ``math.inf``: as long as they take. A node that was
        not started, or is over, is left as it is.
        """
        _refuse_in_loop("stop()", "await sereno.astop()")
        guest = self._of_this_process()
        if guest is None:
            return True
        drain = _drain(timeout)
        guest.stop(drain)
        try:
            guest.over.result(_patience(guest, drain))
        except TimeoutError:
            return False
        self._forget()
        return True

    async def astop(self, timeout: str | float | timedelta | None = None) -> bool:
        """Stop the node, as `stop`, while this loop goes on. Cancelled, it has runs left behind."""
        guest = self._of_this_process()
        if guest is None:
            return True
        drain = _drain(timeout)
        guest.stop(drain)
        try:
            async with asyncio.timeout(_patience(guest, drain)):
                await asyncio.shield(asyncio.wrap_future(guest.over))
        except TimeoutError:
            return False
        except asyncio.CancelledError:
            guest.force()
            raise
        self._forget()
        return True

    async def __aenter__(self) -> Self:
        return await self.astart()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.astop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Keep the node for the life of an ASGI application: ``FastAPI(lifespan=node.lifespan)``.

        Starlette takes it so as well, Litestar in a list; for others there is
        `sereno.asgi.with_lifespan`.
        """
        async with self:
            yield

    # --- what it is good for ------------------------------------------------------------------

    @property
    def client(self) -> "Client":
        """Return a client of this node's database, for the running event loop."""
        return self.client_for(None)

    def client_for(self, requested_by: str | None) -> "Client":
        """Return a client whose doings are recorded as `requested_by`'s, for the running loop.

        All clients of a loop share a few connections, which are opened by use.
        """
        found: Client = self._side(asyncio.get_running_loop()).clients.of(requested_by)
        return found

    @property
    def sync_client(self) -> "SyncClient":
        """Return a client for code without an event loop: its methods wait for the node's."""
        guest = self._started()
        if guest.loop is None or guest.node is None:
            raise RuntimeError("Sereno.sync_client: the node is not up yet")
        # Loaded by an application that asks for one.
        made: type[SyncClient] = lazy("sereno.client").SyncClient
        return made.of_loop(guest.node.services.client(None), guest.loop)

    @property
    def running(self) -> bool:
        """Whether the node is at work in this process, up or waiting for its database."""
        guest = self._of_this_process()
        return guest is not None and not guest.over.done()

    @property
    def failed(self) -> BaseException | None:
        """Return the fault that has ended the node in this process, None where none has."""
        guest = self._of_this_process()
        return guest.over.result() if guest is not None and guest.over.done() else None

    @property
    def leading(self) -> bool:
        """Whether this node leads at this moment."""
        guest = self._of_this_process()
        return guest is not None and not guest.over.done() and guest.status.leading

    @property
    def pages(self) -> str | None:
        """Return where the node's own pages are, None while it has none (`http.enabled`)."""
        guest = self._of_this_process()
        return None if guest is None or guest.ready is None else guest.ready.http

    # --- its parts ----------------------------------------------------------------------------

    def _page(self) -> tuple[Page, asyncio.AbstractEventLoop] | None:
        """Return what answers requests and the loop that it does so in, None while nothing does."""
        guest = self._of_this_process()
        if guest is None or guest.page is None or guest.loop is None or guest.over.done():
            return None
        return guest.page, guest.loop

    def _begin(self, loop: asyncio.AbstractEventLoop | None) -> Guest:
        if self.running:
            raise RuntimeError("Sereno: this node is started already; stop it before a new start")
        settings = given_settings(self._given)
        registry = self._collected(settings)
        self._loop = loop
        self._sides = WeakKeyDictionary()
        self._registry = registry
        self._pid = os.getpid()
        self._guest = guest = Guest(
            settings,
            registry,
            new_status(settings, uuid4()),
            loggers=self._loggers,
            in_host=self._in_host,
            closing=self._close_sides,
        )
        guest.start()
        atexit.register(_end, ref(guest))
        return guest

    def _collected(self, settings: Settings) -> Registry:
        """Load all plugins; what was handed in has to be sound, as it is the application's own."""
        own = given_plugins(self._plugins, settings.modules)
        plugins = load_plugins(settings, extra=own, entry_points=self._entry_points)
        registry = collect(plugins, settings)
        names = [name for name, _ in own]
        faults = [r for n, r in registry.records.items() if r.state == "failed" and _is(n, names)]
        if faults:
            raise PluginError("; ".join(f"plugin '{r.name}': {r.reason}" for r in faults))
        mine = {*names, *(m.replace(".", "_") for m in settings.modules)}
        states = dict.fromkeys(mine, self._state) if self._state is not None else {}
        return msgspec.structs.replace(registry, states=states)

    def _in_host(self, dsn: str) -> Executor:
        loop = self._loop
        if loop is None:
            return NoHost()
        return InHost(loop, lambda: self._side(loop, dsn).services)

    def _side(self, loop: asyncio.AbstractEventLoop, dsn: str | None = None) -> LoopSide:
        found = self._sides.get(loop)
        if found is None:
            guest = self._started()
            if dsn is None:
                dsn = _address(guest)
            found = self._sides[loop] = LoopSide(dsn, guest.settings, guest.registry)
        return found

    def _started(self) -> Guest:
        guest = self._of_this_process()
        if guest is None:
            raise RuntimeError(
                "Sereno: the node is not started in this process; write `async with sereno:` or "
                "sereno.start() first"
            )
        return guest

    def _of_this_process(self) -> Guest | None:
        if self._pid != os.getpid():  # forked: the node is the parent's
            self._guest = None
        return self._guest

    def _give_up(self, guest: Guest) -> None:
        """Have a node that did not start end by itself."""
        guest.stop(_AT_EXIT)
        guest.force()
        self._guest = None

    def _forget(self) -> None:
        self._guest = None
        self._sides = WeakKeyDictionary()

    async def _close_sides(self) -> None:
        """Have each loop close what it has of the database, before that may be stopped."""
        closing = [
            asyncio.wrap_future(asyncio.run_coroutine_threadsafe(side.close(), loop))
            for loop, side in list(self._sides.items())
            if loop.is_running()
        ]
        if closing:  # a loop that is held up is not waited for
            await asyncio.wait(closing, timeout=_CLOSING)


def _address(guest: Guest) -> str:
    if guest.settings.database_url not in (EMBEDDED, EMBEDDED_DEMO):
        return guest.settings.database_url
    if guest.node is None:
        raise RuntimeError("Sereno: the embedded PostgreSQL is not up yet")
    return guest.node.db.dsn


def _is(record: str, names: list[str]) -> bool:
    """Tell whether a record is of one of `names`, also where that was taken."""
    return any(record == name or record.startswith(f"{name} (") for name in names)


def _drain(timeout: str | float | timedelta | None) -> timedelta | None:
    if timeout is None:
        return None
    if timeout == math.inf:
        return _ENDLESS
    return parse_duration(timeout)


def _patience(guest: Guest, drain: timedelta | None) -> float:
    limit = guest.settings.drain_timeout if drain is None else drain
    return limit.total_seconds() + guest.settings.lease.total_seconds() + _AFTER_DRAIN


def _refuse_in_loop(call: str, other: str) -> None:
    if asyncio._get_running_loop() is not None:
        raise RuntimeError(
            f"Sereno.{call} waits, and would hold up the event loop that runs here; write {other}"
        )


def _end(guest: "ref[Guest]") -> None:
    """Have a node that nobody has stopped give the lead up as its process ends."""
    found = guest()
    if found is None or found.over.done():
        return
    found.stop(_AT_EXIT)
    found.force()
    try:
        found.over.result(found.settings.lease.total_seconds())
    except TimeoutError:
        return
