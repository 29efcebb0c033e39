"""Calls what a plugin has to be awaited in a task of its own: what it does to that task (cancels
it, swallows its cancellation, ends it by SystemExit) is done to nothing else."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import Context, copy_context
from typing import Any

SWALLOWED = 5.0
"""Seconds that a call which was cancelled has to end, before it is left behind."""

_left: set[asyncio.Task[Any]] = set()
"""What is left behind and works on; a task that nobody names may vanish."""


class CancellationSwallowedError(TimeoutError):
    """A call was told to stop and works on."""


async def contained(
    call: Callable[[], Awaitable[Any]], limit: float, swallowed: float = SWALLOWED
) -> BaseException | None:
    """Await what `call` returns, for `limit` seconds; return what went wrong, None when nothing
    did. Raises CancelledError when this task is cancelled, and nothing else."""
    return await _ended(asyncio.ensure_future(_caught(call)), limit, swallowed)


class ContainedLifespan:
    """A plugin's context manager, which is entered and left by one task, as some have to be.

    `lost` hears of an open one that somebody has cancelled, as a task group of its own does.
    """

    def __init__(
        self, manager: AbstractAsyncContextManager[Any], lost: Callable[[BaseException], object]
    ) -> None:
        self._manager = manager
        self._lost = lost
        self._entered = asyncio.Event()
        self._closing = asyncio.Event()
        self._context = copy_context()
        self._task: asyncio.Task[BaseException | None] | None = None
        self.state: Any = None
        """What it has yielded, once it is open."""

    async def open(self, limit: float, swallowed: float = SWALLOWED) -> BaseException | None:
        """Enter it; return what went wrong, None when nothing did."""
        loop = asyncio.get_running_loop()
        self._task = task = loop.create_task(self._live(), context=self._context)
        entered = loop.create_task(self._entered.wait())
        try:
            await asyncio.wait({task, entered}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            entered.cancel()
        if not self._entered.is_set():
            return await _ended(task, 0.0, swallowed)
        _take_over(self._context)
        return None

    async def close(self, limit: float, swallowed: float = SWALLOWED) -> BaseException | None:
        """Leave it; return what went wrong, None when nothing did."""
        self._closing.set()
        return None if self._task is None else await _ended(self._task, limit, swallowed)

    async def _live(self) -> BaseException | None:
        try:
            self.state = await self._manager.__aenter__()
        except BaseException as error:
            return error
        self._entered.set()
        told: tuple[Any, Any, Any] = (None, None, None)
        try:
            await self._closing.wait()
        except asyncio.CancelledError as error:
            told = (type(error), error, error.__traceback__)
        try:
            await self._manager.__aexit__(*told)
        except BaseException as error:
            if told[1] is None:
                return error
            self._lost(error)
        return None


async def _caught(call: Callable[[], Awaitable[Any]]) -> BaseException | None:
    try:
        await call()
    except BaseException as error:  # what would end the loop, too
        return error
    return None


async def _ended(
    task: "asyncio.Task[BaseException | None]", limit: float, swallowed: float
) -> BaseException | None:
    try:
        if not task.done():
            await asyncio.wait({task}, timeout=limit)
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.wait({task}, timeout=swallowed)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if task.done():
        return TimeoutError()
    _left.add(task)
    task.add_done_callback(_left.discard)
    return CancellationSwallowedError(
        f"it swallowed its cancellation after {limit:g} s, and is left behind"
    )


def _take_over(context: Context) -> None:
    """Set here what was set there: jobs may rely on what a lifespan has set for them."""
    here = copy_context()
    for variable, value in context.items():
        if variable not in here or here[variable] is not value:
            variable.set(value)
