"""Real nodes in this process, with plugins at hand: what tests of the engine start."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import asyncpg

from sereno.app.bus import Bus
from sereno.app.host import configured
from sereno.app.node import Node
from sereno.app.plugin_tables import tables_made
from sereno.hookspecs import hookimpl
from sereno.model.errors import StoreError
from sereno.model.events import LeaderChanged, RunFinished, RunStalled, RunStarted, SlotSettled
from sereno.model.job import Job
from sereno.plugins import HookDispatcher, collect, load_plugins
from sereno.settings import HttpSettings, LogSettings, Settings
from sereno.testing import Signals

from ..servers.waiting import pauses
from .scene import connected

LEASE = timedelta(seconds=2)
LONG_LEASE = timedelta(minutes=1)
"""One that no loaded machine lets run out: whoever loses the lead has a fault."""
FINAL = ("succeeded", "failed", "timed_out", "cancelled", "lost")


def plugin(*jobs: Job) -> SimpleNamespace:
    """Return a module-like plugin that declares `jobs`."""

    @hookimpl
    def sereno_register_jobs() -> list[Job]:
        return list(jobs)

    return SimpleNamespace(__name__="tests_plugin", sereno_register_jobs=sereno_register_jobs)


class LiveNode:
    """One node. `heard`: every event that it published, under the event's name."""

    def __init__(
        self, dsn: str, *jobs: Job, plugins: Sequence[tuple[str, Any]] = (), **settings: Any
    ) -> None:
        chosen = {
            "database_url": dsn,
            "lease": LEASE,
            "http": HttpSettings(enabled=False),
            "log": LogSettings(level="info"),
            **settings,
        }
        self.settings = Settings(**chosen)
        self.heard = Signals()
        self.status = configured(self.settings)
        extra = [("t", plugin(*jobs)), *plugins]
        planted = load_plugins(self.settings, extra=extra, entry_points=False)
        self.registry = collect(planted, self.settings)
        failed = {n: r.reason for n, r in self.registry.records.items() if r.state == "failed"}
        assert failed == {}
        self.stopped = asyncio.Event()
        self._stack = AsyncExitStack()
        self._task: asyncio.Task[None] | None = None

    @property
    def id(self) -> Any:
        """The node's id."""
        return self.status.node

    async def start(self) -> "LiveNode":
        """Join the cluster and stand for the lead."""
        dispatcher = HookDispatcher(self.registry)
        bus = Bus(dispatcher)
        bus.observe(self._hear, RunStarted, RunStalled, RunFinished, SlotSettled, LeaderChanged)
        dsn = self.settings.database_url
        self.kernel = Node(self.settings, self.registry, dsn, self.status, bus)
        self._stack.push_async_callback(self.kernel.close)
        self._task = asyncio.create_task(self._work(dispatcher))
        return self

    async def _work(self, hooks: HookDispatcher) -> None:
        await self.kernel.join(None)
        hooks.registry = await tables_made(self.kernel.db, hooks.registry)
        opening = hooks.lifespans(self.settings.database_url)
        self.kernel.registry = await self._stack.enter_async_context(opening)
        await self.kernel.work(self.stopped)

    def _hear(self, event: object) -> None:
        facts = {name: getattr(event, name) for name in event.__struct_fields__}  # type: ignore[attr-defined]
        self.heard.say(type(event).__name__, **facts)

    async def stop(self) -> None:
        """Tell it to stop, as SIGTERM does, and return when it has."""
        self.stopped.set()
        task, self._task = self._task, None
        try:
            if task is not None:
                if not hasattr(self.kernel, "runner") or self.kernel.runner is None:
                    task.cancel()
                await asyncio.wait({task})
                if not task.cancelled():
                    task.result()
        finally:
            await self._stack.aclose()

    async def die(self) -> None:
        """End without a word: every session dropped, nothing drained, nothing written any more."""
        task, self._task = self._task, None
        if task is not None:
            if self.kernel.leader is not None:
                self.kernel.leader.cut()
            task.cancel()
            await asyncio.wait({task})
        await self._stack.aclose()

    @property
    def fault(self) -> BaseException | None:
        """What ended the node though nobody had told it to."""
        task = self._task
        return task.exception() if task is not None and task.done() else None

    async def leads(self, limit: float = 45.0) -> int:
        """Return its term, once it leads."""
        await self.heard.wait("LeaderChanged", leading=True, limit=limit)
        return self.status.term

    async def finished(self, job: str, limit: float = 45.0, **facts: Any) -> dict[str, Any]:
        """Return the next attempt of `job` that it says has finished."""
        return dict(await self.heard.wait("RunFinished", job=job, limit=limit, **facts))


@asynccontextmanager
async def running(
    dsn: str, *jobs: Job, plugins: Sequence[tuple[str, Any]] = (), **settings: Any
) -> AsyncIterator[LiveNode]:
    """Give a node that works, and stop it."""
    node = LiveNode(dsn, *jobs, plugins=plugins, **settings)
    await node.start()
    try:
        yield node
    finally:
        await node.stop()


class Eye:
    """A connection beside the nodes, to look at what they wrote."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def value(self, query: str, *args: Any) -> Any:
        """Return the first value of a query."""
        return await self.connection.fetchval(query, *args)

    async def rows(self, query: str, *args: Any) -> list[tuple[Any, ...]]:
        """Return a query's rows as tuples."""
        return [tuple(r) for r in await self.connection.fetch(query, *args)]

    async def until(self, query: str, *args: Any, limit: float = 45.0) -> Any:
        """Return the query's first value as soon as it is true."""
        waiting = pauses(limit)
        try:
            async with asyncio.timeout(limit):
                while not (found := await self.value(query, *args)):  # noqa: ASYNC110
                    await asyncio.sleep(next(waiting))
        except (TimeoutError, StopIteration):
            raise AssertionError(f"waited {limit:g} s in vain for: {query} {args}") from None
        return found

    async def known(self, job: str) -> None:
        """Wait until a leader has made the job known: it says that it leads a moment before."""
        await self.until("SELECT present FROM sereno.job WHERE name = $1", job)

    async def enqueue(self, job: str, params: str = "{}") -> int:
        """Queue a run, as any program would, once a leader has made the job known."""
        await self.known(job)
        return int(await self.value("SELECT sereno.enqueue($1, $2::text::jsonb)", job, params))

    async def over(self, run_id: int, limit: float = 45.0) -> asyncpg.Record:
        """Return the row of a run once it is over."""
        await self.until(
            "SELECT state = ANY ($2) FROM sereno.run WHERE id = $1",
            run_id,
            list(FINAL),
            limit=limit,
        )
        return await self.connection.fetchrow("SELECT * FROM sereno.run WHERE id = $1", run_id)

    async def ran(self, job: str, limit: float = 45.0) -> asyncpg.Record:
        """Queue a run of `job`, and return its row once it is over."""
        return await self.over(await self.enqueue(job), limit)


@asynccontextmanager
async def looking(dsn: str) -> AsyncIterator[Eye]:
    """Give an eye on a database."""
    async with connected(dsn) as connection:
        yield Eye(connection)


def failing_once(call: Callable[..., Any], error: StoreError, *, after: bool) -> Callable[..., Any]:
    """Return `call`, which the first time raises `error`: `after` having worked, or instead."""
    failed = False

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal failed
        if not failed:
            failed = True
            if after:
                await call(*args, **kwargs)
            raise error
        return await call(*args, **kwargs)

    return wrapped
