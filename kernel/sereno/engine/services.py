"""What jobs may ask of their node, as those see it who only pass it on: without what it opens."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from sereno.model.fan_out import FanOut
from sereno.store.fan_outs import FanOutRequest
from sereno.store.run_request import RunRequest

T = TypeVar("T")


class Services(Protocol):
    """What jobs ask of their node, wherever they run."""

    def database(self) -> AbstractAsyncContextManager[Any]:
        """Lend a connection to the kernel's database, of a pool that is the jobs' own."""
        ...

    async def enqueue(self, request: RunRequest) -> int:
        """Queue a run by a transaction of its own, and return its id."""
        ...

    async def fan_out(
        self, request: FanOutRequest, fence: Callable[[Any], Awaitable[None]], connection: Any
    ) -> FanOut:
        """Queue a run's children in a transaction that `fence` binds to the run: that of
        `connection`, or one of its own."""
        ...

    def client(self, requested_by: str) -> Any:
        """Return a client whose doings are recorded as `requested_by`'s."""
        ...

    def wait_for(self, awaitable: Awaitable[T], stopped: Callable[[], bool]) -> T:
        """Wait in a thread for what the node's loop is to do; raises RunCancelled."""
        ...


class Clients(Protocol):
    """What gives runs a client: handed in where a node is put together, as a client knows more of
    a cluster than the engine does. A child process makes one of the same class, of the database's
    URL alone."""

    def of(self, requested_by: str | None) -> Any:
        """Return a ``sereno.Client`` whose doings are recorded as `requested_by`'s."""
        ...

    async def close(self) -> None:
        """Drop what has been opened."""
        ...
