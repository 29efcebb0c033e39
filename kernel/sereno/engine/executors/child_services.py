"""What a run in a child may say and ask for: passed on to its parent, or opened there by use."""

import asyncio
import importlib
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

from sereno.engine.executors.parent_line import ParentLine
from sereno.engine.executors.wire import Checkpointed, Notified, Progressed, Start, Warned
from sereno.engine.fan_out import fan_out
from sereno.engine.job_services import awaited, refuse_in_loop
from sereno.engine.kept_text import kept
from sereno.engine.progress import MAX_NOTE
from sereno.engine.result import encode_checkpoint
from sereno.engine.run_warnings import MAX_WARNING
from sereno.engine.services import Clients
from sereno.model.errors import RunError
from sereno.model.fan_out import FanOut
from sereno.model.run import SaidMessage
from sereno.model.text import cut
from sereno.store import runs
from sereno.store.fan_outs import FanOutRequest
from sereno.store.job_pool import JobPool, LentConnection
from sereno.store.run_request import RunRequest

T = TypeVar("T")

_CLOSING_LIMIT = 2.0

CONNECTIONS = 2
"""Connections to the database that one child opens at most for its job."""


class ChildReporter:
    """Passes a run's words on to the parent."""

    def __init__(self, line: ParentLine, start: Start) -> None:
        self._line = line
        self._start = start
        self.services = ChildServices(line, start)

    def progress(self, done: float, total: float | None, note: str) -> None:
        """Pass it on."""
        self._line.send(Progressed(done, total, cut(note, MAX_NOTE)))

    def checkpoint(self, value: Any) -> None:
        """Pass it on; raises in the job what would be refused there."""
        encode_checkpoint(value)  # raises here, in the job, what would be refused there
        self._line.send(Checkpointed(value))

    def notify(self, message: SaidMessage) -> None:
        """Pass it on."""
        self._line.send(Notified(message))

    def warn(self, text: str) -> None:
        """Pass it on, cut."""
        self._line.send(Warned(kept(text, MAX_WARNING)))

    async def flush(self) -> None:
        """Have what was said made durable."""
        await asyncio.to_thread(self._line.flush)

    async def fence(self, connection: Any) -> None:
        """Bind a transaction to the run."""
        start = self._start
        await runs.fence(connection, start.run_id, start.attempt, start.token, UUID(start.node))


class ChildServices:
    """The parent queues runs; connections are this process' own, opened by its first use."""

    def __init__(self, line: ParentLine, start: Start) -> None:
        self._line = line
        self._start = start
        self._pool = JobPool(start.database_url, size=CONNECTIONS)
        self._clients: Clients | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting = threading.Lock()

    async def close(self) -> None:
        """Close what was opened, in the loop that it was opened in."""
        async with asyncio.timeout(_CLOSING_LIMIT):
            await self._pool.close()
            if self._clients is not None:
                await self._clients.close()

    def close_loop(self) -> None:
        """Close what a plain function has opened."""
        with self._waiting:
            if self._loop is not None:
                self._loop.run_until_complete(self.close())
                self._loop.close()

    def database(self) -> LentConnection:
        """Lend a connection of this process's own."""
        return self._pool.lent()

    async def enqueue(self, request: RunRequest) -> int:
        """Have the parent queue a run."""
        return await asyncio.to_thread(self._line.enqueue, request)

    async def fan_out(
        self, request: FanOutRequest, fence: Callable[[Any], Awaitable[None]], connection: Any
    ) -> FanOut:
        """Queue a run's children through this process's pool."""
        return await fan_out(self.database, request, fence, connection)

    def client(self, requested_by: str) -> Any:
        """Return a client of this process's own."""
        if self._clients is None:
            if self._start.clients_type is None:
                raise RunError("run.client: this node was put together without one")
            self._clients = named(self._start.clients_type)(self._start.database_url)
        return self._clients.of(requested_by)

    def wait_for(self, awaitable: Awaitable[T], stopped: Callable[[], bool]) -> T:
        """Wait in a plain function for what a loop of its own does."""
        refuse_in_loop(awaitable)
        with self._waiting:  # one loop: what is opened in it belongs to it
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
            return self._loop.run_until_complete(awaited(awaitable))


def named(path: str) -> Any:
    """Return what a module has under a name, of ``module:name``."""
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)
