"""A kernel in a test: plugins and jobs, a database, and a clock that the test moves.

What stands in production stands here: plugins' settings, tables and lifespans, the scheduler, the
queue, retries and chains, hooks, messages and their carriers. Left out are its pages, apps and
whatever else would have a port or a process of its own.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from types import SimpleNamespace, TracebackType
from typing import Any, Self
from uuid import uuid4

import msgspec

from sereno.app.bus import Bus
from sereno.app.carrying import Carrying, carrying
from sereno.app.node import Node, new_status
from sereno.app.plugin_tables import tables_made
from sereno.client import Client
from sereno.engine.runlog import RunLogHandler
from sereno.hookspecs import hookimpl
from sereno.model.duration import parse_duration
from sereno.model.errors import ConfigurationError, PluginError
from sereno.model.events import RunFinished
from sereno.model.job import Job
from sereno.model.message_counts import MessageCounts
from sereno.observe.job_watch import JobWatch
from sereno.observe.overdue_watch import OverdueWatch
from sereno.plugins import HookDispatcher, Registry, collect, load_plugins
from sereno.settings import Settings, load_settings
from sereno.store.connection import connect
from sereno.store.sql import sql
from sereno.testing.clock import FakeClock
from sereno.testing.own_lead import OwnLead, leading
from sereno.testing.own_time import blocks, set_time

_JOBS = "test"
"""The plugin that declares the jobs which are given as they are."""


class Kernel:
    """Runs jobs on the time of its `clock`, from the entry of ``async with`` to its exit.

    `jobs`: declared by a plugin ``test``. `plugins`: modules by name. `settings`: what would stand
    in ``sereno.toml``; nothing else of this machine is read. `database`: a URL, as the fixture
    ``sereno_database`` gives it. `at`: where the clock begins, else where the database stands, or
    at 2026-01-01T00:00Z. `limit`: real seconds that the runs of one instant may take.

    Entering raises ConfigurationError and PluginError for what a start would log.
    """

    def __init__(
        self,
        *jobs: Job,
        database: str,
        plugins: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        at: datetime | None = None,
        limit: float = 30.0,
    ) -> None:
        self.database = database
        self._plugins = dict(plugins or {})
        if jobs:
            self._plugins[_JOBS] = _plugin_of(jobs)
        self._tables = msgspec.to_builtins(settings or {})
        self._at = at
        self._limit = limit
        self.clock = FakeClock() if at is None else FakeClock(at)
        self._ended: list[RunFinished] = []
        self._stack = AsyncExitStack()
        self._node: Node | None = None

    @property
    def client(self) -> Client:
        """Return a client of this kernel's database: what it has recorded, and what is asked of
        it."""
        if self._node is None:
            raise RuntimeError("Kernel.client: it is there between entry and exit of `async with`")
        found: Client = self._node.services.client("test")
        return found

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._open(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._node = None
        await self._stack.aclose()

    async def advance(self, by: str | float | timedelta) -> list[RunFinished]:
        """Move the clock by `by`; return the attempts that have ended, in their order.

        At each instant on the way at which something is due, the clock stands still until its runs
        have ended; so a run takes none of the clock's time. Raises TimeoutError, which names the
        runs that do not end.
        """
        before = len(self._ended)
        until = self.clock.now() + parse_duration(by)
        await self._settle()
        while (at := await self._next_instant()) is not None and at < until:
            await self._move_to(at)
            await self._settle()
        await self._move_to(until)
        await self._settle()
        await self._watching.poll()
        await self._bus.drained()
        await self._carrying.finish()
        return self._ended[before:]

    async def advance_to(self, instant: datetime) -> list[RunFinished]:
        """Move the clock on to `instant`, as `advance`."""
        return await self.advance(instant - self.clock.now())

    async def drain(self) -> list[RunFinished]:
        """Run all that is queued and due now, and what follows from it without a wait; return the
        attempts that have ended, in their order. Raises as `advance`."""
        before = len(self._ended)
        await self._settle()
        return self._ended[before:]

    def _note(self, event: RunFinished) -> None:
        if not event.parts:  # a run with parts is no attempt; each of them is
            self._ended.append(event)

    async def _settle(self) -> None:
        before = self._lead.written
        await self._lead.settle(self._limit)
        await self._bus.drained()
        if self._lead.written > before:
            await self._carrying.finish()

    async def _next_instant(self) -> datetime | None:
        found = await self._time.fetchval(blocks()["next_instant"])
        waited = [*self.clock.sleepers[:1], *([] if found is None else [found])]
        return min(waited, default=None)

    async def _move_to(self, instant: datetime) -> None:
        await self._time.execute(blocks()["set_time"], instant)
        self.clock.advance_to(instant)

    # --- its parts ----------------------------------------------------------------------------

    async def _open(self, stack: AsyncExitStack) -> None:
        chosen = load_settings(
            file=None, environ={"SERENO_CONFIG": os.devnull}, flags={}, defaults=self._tables
        )
        plugins = load_plugins(chosen, extra=self._plugins.items(), entry_points=False)
        registry = _whole(collect(plugins, chosen))
        stack.enter_context(_kept_lines(chosen))
        self._time = await connect(self.database)
        stack.callback(self._time.terminate)
        await self._own_time()
        hooks = HookDispatcher(registry)
        self._bus = Bus(hooks)
        status = new_status(chosen, uuid4())
        node = Node(chosen, registry, self.database, status, self._bus, clock=self.clock)
        stack.push_async_callback(node.close)
        await node.join(None)
        hooks.registry = _whole(await tables_made(node.db, registry))
        node.registry = _whole(await stack.enter_async_context(hooks.lifespans(self.database)))
        self._bus.observe(self._note, RunFinished)
        self._watching, self._carrying = await stack.enter_async_context(
            _carrying(node, self.database, self._bus)
        )
        self._lead: OwnLead = await stack.enter_async_context(leading(node, self.database))
        self._node = node

    async def _own_time(self) -> None:
        """Make clock and database agree on the time."""
        if not await self._time.fetchval(blocks()["is_owned"]):
            raise ConfigurationError(
                "this database tells its server's time, and a Kernel moves its own: take one by "
                "the fixture sereno_database, or by sereno.testing.Databases"
            )
        stands = await self._time.fetchval(sql("database_now"))
        if stands > self.clock.now():
            if self._at is not None:
                raise ConfigurationError(
                    f"Kernel(at={self._at.isoformat()}): its database stands at "
                    f"{stands.isoformat()} already, and time goes one way; give a later one, or "
                    "another database"
                )
            self.clock.advance_to(stands)
        await set_time(self._time, self.clock.now())


def _plugin_of(jobs: tuple[Job, ...]) -> Any:
    @hookimpl
    def sereno_register_jobs() -> list[Job]:
        return list(jobs)

    return SimpleNamespace(__name__=_JOBS, sereno_register_jobs=sereno_register_jobs)


def _whole(registry: Registry) -> Registry:
    """Return `registry`; a test wants all its plugins, so PluginError says why one failed."""
    failed = [r for r in registry.records.values() if r.state == "failed"]
    if failed:
        raise PluginError("; ".join(f"plugin '{r.name}': {r.reason}" for r in failed))
    return registry


@contextmanager
def _kept_lines(settings: Settings) -> Iterator[None]:
    """Keep what runs log, as a node does."""
    root, jobs, handler = logging.getLogger(), logging.getLogger("sereno.job"), RunLogHandler()
    handler.setLevel(settings.log.keep_level.upper())
    before = jobs.level
    root.addHandler(handler)
    jobs.setLevel(handler.level)
    try:
        yield
    finally:
        root.removeHandler(handler)
        jobs.setLevel(before)


@asynccontextmanager
async def _carrying(node: Node, dsn: str, bus: Bus) -> AsyncIterator[tuple[OverdueWatch, Carrying]]:
    """Give what tells people, and have plugins' hooks called meanwhile."""
    watch = JobWatch(node.db, fresh=0.0)
    counts = MessageCounts(node.registry.notifiers)
    async with carrying(node, dsn, bus.publish, counts, watch, patience=0.0) as found:
        hooks = asyncio.ensure_future(bus.work())
        try:
            yield found
        finally:
            hooks.cancel()
            await asyncio.wait({hooks})
            await watch.close()
