"""Runs ``async def`` jobs in the event loop of the application that a node is a guest of."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from sereno.engine.context import Reporter, RunContext
from sereno.engine.executors.executor import make_sure
from sereno.engine.services import Services
from sereno.model.errors import FinalError, RunError
from sereno.model.executor import Executor
from sereno.model.job import Job
from sereno.model.policies import Policies
from sereno.model.run import SaidMessage

_Ended = tuple[Any, BaseException | None]


class InHost(Executor):
    """Among what the application does in its loop, with the objects that belong to that.

    While the application holds its loop up, such a job waits, and the node's own loop goes on.
    `services`: makes what a run may ask for in that loop, by the first run there.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, services: Callable[[], Services]) -> None:
        self._loop = loop
        self._make_services = services
        self._services: Services | None = None

    async def execute(self, job: Job, context: RunContext[Any], policies: Policies) -> Any:
        """Have the function awaited there, in a copy of this context."""
        make_sure(context)
        call = _HostCall(job, context, self._services_there)
        self._there(call.begin, job)
        try:
            result, error = await asyncio.shield(call.done)
        except asyncio.CancelledError:
            context.stop.set()
            self._there(call.cancel, job)
            result, error = await asyncio.shield(call.done)
        if isinstance(error, asyncio.CancelledError) and not context.stop.is_set():
            raise RunError(
                f"job '{job.name}': the application cancelled it in its loop, as it does with all "
                "tasks at its end; stop the node before the loop ends"
            ) from error
        if error is not None:
            raise error
        return result

    def _services_there(self) -> Services:
        if self._services is None:
            self._services = self._make_services()
        return self._services

    def _there(self, act: Callable[[], None], job: Job) -> None:
        try:
            self._loop.call_soon_threadsafe(act)
        except RuntimeError as error:
            raise RunError(
                f"job '{job.name}': the application's event loop is closed; stop the node before "
                "the loop ends"
            ) from error


class _HostCall:
    """A job's function in the application's loop. `done`: what came of it, in the node's."""

    def __init__(
        self, job: Job, context: RunContext[Any], services: Callable[[], Services]
    ) -> None:
        self._job = job
        self._run = context
        self._services = services
        self._context = contextvars.copy_context()
        self._node = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self.done: asyncio.Future[_Ended] = self._node.create_future()

    def begin(self) -> None:
        """Begin; for the application's loop, as `cancel`."""
        loop, name = asyncio.get_running_loop(), f"run {self._run.run_id} of {self._run.job}"
        self._task = loop.create_task(self._work(), name=name, context=self._context)

    def cancel(self) -> None:
        """Ask the function to stop."""
        if self._task is not None:
            self._task.cancel()

    async def _work(self) -> None:
        result, error = None, None
        try:
            make_sure(self._run)
            self._run.reporter = _HostReporter(self._run.reporter, self._node, self._services())
            result = await self._job.function(self._run)
        except BaseException as raised:  # SystemExit would end the application's loop
            error = raised
        with suppress(RuntimeError):  # the node has ended: nobody waits any more
            self._node.call_soon_threadsafe(self._settle, (result, error))

    def _settle(self, ended: "_Ended") -> None:
        if not self.done.done():
            self.done.set_result(ended)


class NoHost(Executor):
    """Stands where there is no application's loop: such a job's runs fail, and say why."""

    async def execute(self, job: Job, context: RunContext[Any], policies: Policies) -> Any:
        """Raise FinalError."""
        raise FinalError(
            f"job '{job.name}': executor 'host' is an application's event loop, and this node has "
            "none; start it there by `async with Sereno(...)`, or choose executor 'async'"
        )


class _HostReporter:
    """Passes a run's words on from another loop than its node's."""

    def __init__(
        self, inner: Reporter, node: asyncio.AbstractEventLoop, services: Services
    ) -> None:
        self._inner = inner
        self._node = node
        self.services = services

    def progress(self, done: float, total: float | None, note: str) -> None:
        self._inner.progress(done, total, note)

    def checkpoint(self, value: Any) -> None:
        self._inner.checkpoint(value)

    def warn(self, text: str) -> None:
        self._inner.warn(text)

    def notify(self, message: SaidMessage) -> None:
        self._inner.notify(message)

    async def flush(self) -> None:
        written = asyncio.run_coroutine_threadsafe(_awaited(self._inner.flush), self._node)
        await asyncio.wrap_future(written)

    def fence(self, connection: Any) -> Awaitable[None]:
        return self._inner.fence(connection)


async def _awaited(flush: Callable[[], Awaitable[None]]) -> None:
    await flush()
