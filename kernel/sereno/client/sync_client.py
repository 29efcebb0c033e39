"""Makes the methods of `Client` for programs without an event loop, each by one line.

An event loop of a thread of its own does the work; the caller's thread waits for it.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial, update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from sereno.client.client import Client

P = ParamSpec("P")
R = TypeVar("R")

_LEFT_SECONDS = 10.0
"""How long the end of a client may take, as a server that is gone may never answer."""


class Blocking(Generic[P, R]):
    """A method of `Client` that is waited for: what it takes, returns and says is the same."""

    def __init__(self, verb: Callable[Concatenate[Client, P], Coroutine[Any, Any, R]]) -> None:
        self._verb = verb
        self.__doc__ = verb.__doc__

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Self: ...

    @overload
    def __get__(self, instance: "SyncClient", owner: type[Any]) -> Callable[P, R]: ...

    def __get__(self, instance: "SyncClient | None", owner: type[Any]) -> "Self | Callable[P, R]":
        if instance is None:
            return self
        return update_wrapper(partial(self._call, instance), self._verb)

    def _call(self, instance: "SyncClient", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return instance._worker.result(self._verb(instance._client, *args, **kwargs))


class Iterating(Generic[P, R]):
    """A method of `Client` that gives one value after another, as an iterator that waits."""

    def __init__(self, verb: Callable[Concatenate[Client, P], AsyncIterator[R]]) -> None:
        self._verb = verb
        self.__doc__ = verb.__doc__

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Self: ...

    @overload
    def __get__(self, instance: "SyncClient", owner: type[Any]) -> Callable[P, Iterator[R]]: ...

    def __get__(
        self, instance: "SyncClient | None", owner: type[Any]
    ) -> "Self | Callable[P, Iterator[R]]":
        if instance is None:
            return self
        return update_wrapper(partial(self._call, instance), self._verb)

    def _call(self, instance: "SyncClient", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        values = self._verb(instance._client, *args, **kwargs)
        try:
            while (found := instance._worker.result(_next(values))) is not None:
                yield found
        finally:
            if isinstance(values, AsyncGenerator):
                instance._worker.result(values.aclose())


async def _next(values: AsyncIterator[R]) -> R | None:
    """Return the next value, None after the last: none of a client's is None."""
    return await anext(values, None)


class SyncClient:
    """`Client` for programs without an event loop: the same methods, which return when it is done.

    May be used by many threads at once. In a coroutine take `Client`: these methods hold the loop
    up.
    """

    def __init__(self, client: Client, worker: "_Loop") -> None:
        self._client = client
        self._worker = worker

    @classmethod
    @contextmanager
    def open(
        cls,
        database_url: str | None = None,
        *,
        requested_by: str | None = None,
        connections: int = 4,
    ) -> Iterator[Self]:
        """Connect, and disconnect at the end; as `Client.open`."""
        with _Worker() as worker:
            opened = Client.open(database_url, requested_by=requested_by, connections=connections)
            client = worker.result(opened.__aenter__())
            try:
                yield cls(client, worker)
            finally:
                worker.result(opened.__aexit__(None, None, None))

    @classmethod
    def of_loop(cls, client: Client, loop: asyncio.AbstractEventLoop) -> Self:
        """Return one of a client whose loop runs in another thread, and goes on after it."""
        return cls(client, _Loop(loop))

    enqueue = Blocking(Client.enqueue)
    enqueue_many = Blocking(Client.enqueue_many)
    request = Blocking(Client.request)
    request_many = Blocking(Client.request_many)
    run = Blocking(Client.run)
    wait = Blocking(Client.wait)
    cancel = Blocking(Client.cancel)
    retry = Blocking(Client.retry)
    chain = Blocking(Client.chain)
    wait_chain = Blocking(Client.wait_chain)
    cancel_chain = Blocking(Client.cancel_chain)
    retry_chain = Blocking(Client.retry_chain)
    log = Blocking(Client.log)
    follow = Iterating(Client.follow)
    runs = Blocking(Client.runs)
    count_runs = Blocking(Client.count_runs)
    logs = Blocking(Client.logs)
    follow_logs = Iterating(Client.follow_logs)
    preview_bulk = Blocking(Client.preview_bulk)
    start_bulk = Blocking(Client.start_bulk)
    bulk = Blocking(Client.bulk)
    bulks = Blocking(Client.bulks)
    cancel_bulk = Blocking(Client.cancel_bulk)
    preview_backfill = Blocking(Client.preview_backfill)
    start_backfill = Blocking(Client.start_backfill)
    backfill = Blocking(Client.backfill)
    backfills = Blocking(Client.backfills)
    cancel_backfill = Blocking(Client.cancel_backfill)
    now = Blocking(Client.now)
    jobs = Blocking(Client.jobs)
    job = Blocking(Client.job)
    job_page = Blocking(Client.job_page)
    overdue = Blocking(Client.overdue)
    totals = Blocking(Client.totals)
    node_totals = Blocking(Client.node_totals)
    cluster = Blocking(Client.cluster)
    leader = Blocking(Client.leader)
    overstaying = Blocking(Client.overstaying)
    terms = Blocking(Client.terms)
    plugins = Blocking(Client.plugins)
    changes = Blocking(Client.changes)
    drift = Blocking(Client.drift)
    verify = Blocking(Client.verify)
    schedules = Blocking(Client.schedules)
    preview_slots = Blocking(Client.preview_slots)
    next_slots = Blocking(Client.next_slots)
    coming_slots = Blocking(Client.coming_slots)
    schedule_page = Blocking(Client.schedule_page)
    schedule = Blocking(Client.schedule)
    coming_load = Blocking(Client.coming_load)
    rehearse = Blocking(Client.rehearse)
    slots = Blocking(Client.slots)
    slot_counts = Blocking(Client.slot_counts)
    ended_counts = Blocking(Client.ended_counts)
    explain = Blocking(Client.explain)
    add_schedule = Blocking(Client.add_schedule)
    change_schedule = Blocking(Client.change_schedule)
    preview_change = Blocking(Client.preview_change)
    remove_schedule = Blocking(Client.remove_schedule)
    calendars = Blocking(Client.calendars)
    calendar = Blocking(Client.calendar)
    set_calendar = Blocking(Client.set_calendar)
    preview_calendar = Blocking(Client.preview_calendar)
    remove_calendar = Blocking(Client.remove_calendar)
    blackouts = Blocking(Client.blackouts)
    blackout_page = Blocking(Client.blackout_page)
    add_blackout = Blocking(Client.add_blackout)
    end_blackout = Blocking(Client.end_blackout)
    pause = Blocking(Client.pause)
    resume = Blocking(Client.resume)
    stack = Blocking(Client.stack)
    lead = Blocking(Client.lead)
    drain = Blocking(Client.drain)
    maintenance = Blocking(Client.maintenance)
    begin_maintenance = Blocking(Client.begin_maintenance)
    end_maintenance = Blocking(Client.end_maintenance)
    news = Iterating(Client.news)


class _Loop:
    """An event loop of another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def result(self, work: Coroutine[Any, Any, R]) -> R:
        """Return what `work` returns, done by the thread; Ctrl-C here ends it there."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


class _Worker(_Loop):
    """A thread with an event loop, from enter to exit."""

    def __init__(self) -> None:
        self._thread = threading.Thread(target=self._work, name="sereno client", daemon=True)
        self._ready = threading.Event()
        self._left: asyncio.Event

    def _work(self) -> None:
        async def until_left() -> None:
            self._loop, self._left = asyncio.get_running_loop(), asyncio.Event()
            self._ready.set()
            await self._left.wait()

        asyncio.run(until_left())

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *raised: object) -> None:
        self._loop.call_soon_threadsafe(self._left.set)
        self._thread.join(_LEFT_SECONDS)
