"""What the jobs of a node may ask of it: a database, runs of other jobs, and to wait in a thread.

One object serves all runs of a node, so a run that asks for nothing costs nothing. What it opens is
opened by its first use.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sereno.engine.fan_out import fan_out
from sereno.engine.services import Clients
from sereno.model.errors import RunCancelled, RunError
from sereno.model.fan_out import FanOut
from sereno.store.errors import translated
from sereno.store.fan_outs import FanOutRequest
from sereno.store.job_pool import JobPool, LentConnection
from sereno.store.run_request import RunRequest, enqueue_in

T = TypeVar("T")

_LOOKED_EVERY = 0.1
"""Seconds between two looks of a waiting thread whether its run is to stop."""


class JobServices:
    """The services of one node. Made in its event loop; `connections`: of the jobs' pool."""

    def __init__(self, dsn: str, connections: int, clients: Clients | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = JobPool(dsn, size=connections)
        self._clients = clients

    def database(self) -> LentConnection:
        """Lend a connection of the jobs' pool."""
        return self._pool.lent()

    async def enqueue(self, request: RunRequest) -> int:
        """Queue a run through the jobs' pool."""
        async with self.database() as connection:
            with translated():
                return await enqueue_in(connection, request)

    async def fan_out(
        self, request: FanOutRequest, fence: Callable[[Any], Awaitable[None]], connection: Any
    ) -> FanOut:
        """Queue a run's children through the jobs' pool."""
        return await fan_out(self.database, request, fence, connection)

    def client(self, requested_by: str | None) -> Any:
        """Return a client, of a pool that clients of jobs share."""
        if self._clients is None:
            raise RunError("run.client: this node was put together without one")
        return self._clients.of(requested_by)

    def wait_for(self, awaitable: Awaitable[T], stopped: Callable[[], bool]) -> T:
        """Have the loop await it, and wait in this thread, which is a run's, for the result."""
        refuse_in_loop(awaitable)
        future = asyncio.run_coroutine_threadsafe(awaited(awaitable), self._loop)
        while True:
            try:
                return future.result(_LOOKED_EVERY)
            except TimeoutError:
                if future.done():
                    raise  # its own
            if stopped():
                future.cancel()
                raise RunCancelled("the run has been asked to stop while it waited")

    async def close(self) -> None:
        """Drop what has been opened."""
        await self._pool.close()
        if self._clients is not None:
            await self._clients.close()


async def awaited(awaitable: Awaitable[T]) -> T:
    """Return what `awaitable` comes to, as a coroutine."""
    return await awaitable


def refuse_in_loop(awaitable: Awaitable[Any]) -> None:
    """Raise RuntimeError where an event loop runs in this thread: waiting would stop it."""
    if asyncio._get_running_loop() is None:
        return
    if asyncio.iscoroutine(awaitable):
        awaitable.close()
    raise RuntimeError("run.wait_for(...) is for plain functions; in an async one write await ...")
