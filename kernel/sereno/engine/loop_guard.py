"""Keeps the event loop from the jobs that share it: no run may end what is not its own.

- A task belongs to the run that made it, and what `sereno` itself has made belongs to no run. A run
  that cancels another's task (as ``for task in asyncio.all_tasks(): task.cancel()`` does) is
  refused, and named. Tasks that a plugin makes outside of runs are everybody's.
- ``sys.exit()`` in a task that a run has made would end the loop with all that is in it: it fails
  that task instead.
- ``loop.stop()`` and its like, which change or end what all tasks share, are refused where a run
  asks for them.
- ``sys.exit()`` in a callback, which belongs to no task, ends that callback alone.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextvars import Context
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from sereno.engine.runlog import RunScope, current_run
from sereno.model.errors import RunError

log = logging.getLogger("sereno.runner")

T = TypeVar("T")

_ON_THE_WAY = frozenset({"asyncio", "uvloop", "asyncpg", "contextlib"})
"""Packages that make tasks for who calls them."""

_SHARED = {
    "stop": "stop the event loop",
    "set_task_factory": "set the event loop's task factory",
    "set_exception_handler": "set the event loop's exception handler",
    "set_default_executor": "set the event loop's default executor",
    "shutdown_asyncgens": "shut the event loop's generators down",
    "shutdown_default_executor": "shut the event loop's default executor down",
}
"""What of a loop belongs to all that it has, and what a run may not do with it."""

_refused = 0


class _Main(NamedTuple):
    """The task that a loop is there for, and who names the runs that it has at work."""

    task: "asyncio.Task[Any] | None"
    under_way: Callable[[], Sequence[str]]


_mains: WeakKeyDictionary[asyncio.AbstractEventLoop, _Main] = WeakKeyDictionary()
"""By loop: an application may have several nodes in its process."""


class ExitInTaskError(RunError):
    """A task of a run raised what ends a process: SystemExit or KeyboardInterrupt."""


def goes_on(loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    """Have `loop`, which does not run yet, go on after a callback that would end the process, for
    as long as the task is not over that `guard` was called in."""
    run = loop.run_forever

    def run_forever() -> None:
        while True:
            try:
                run()
            except (SystemExit, KeyboardInterrupt) as error:
                main = _mains.get(loop)
                if main is None or main.task is None or main.task.done():
                    raise
                log.error(
                    "a callback raised what would have ended the node",
                    exc_info=error,
                    extra={"runs": main.under_way()},
                )
            else:
                return

    loop.run_forever = run_forever  # type: ignore[method-assign]
    return loop


def guard(
    loop: asyncio.AbstractEventLoop, under_way: Callable[[], Sequence[str]] = lambda: ()
) -> None:
    """Guard `loop`, which runs, from now on; `under_way` names the runs at work."""
    _mains[loop] = _Main(asyncio.current_task(), under_way)
    loop.set_task_factory(_make)
    for name in _SHARED:
        setattr(loop, name, _unless_a_run_asks(getattr(loop, name), _SHARED[name]))


def owner_of(task: "asyncio.Task[Any]") -> RunScope | None:
    """Return the run that has made `task`, None when none has."""
    return task.owner if isinstance(task, _Task) else None


def refusals() -> int:
    """Return how often a run was refused what is not its own."""
    return _refused


def task_of_run(
    coro: Coroutine[Any, Any, T], owner: RunScope, loop: asyncio.AbstractEventLoop, name: str
) -> "asyncio.Task[T]":
    """Make the task that an attempt is made in: it is its run's. `coro` says so in its context, and
    lets nothing out that would end the loop.

    Thousands begin at one instant: the factory, which has to find this out, would cost each a few
    microseconds.
    """
    task = _Task(coro, loop=loop, name=name)
    task.owner = owner
    return task


class _Task(asyncio.Task[Any]):
    """A task that `owner` alone may cancel: a run, or the kernel (None), which may always.

    The owner is set by who makes it: a constructor of our own would cost each run a microsecond.
    """

    __slots__ = ("owner",)

    owner: RunScope | None

    def cancel(self, msg: Any | None = None) -> bool:
        asks = current_run.get()
        if asks is None or asks is self.owner:
            return super().cancel(msg)
        _refuse("a run may cancel no task but its own", task=self.get_name())
        return False


class _Kept(Coroutine[Any, Any, Any]):
    """A run's coroutine, step by step the same, but that it cannot end the loop."""

    __slots__ = ("_coro",)

    def __init__(self, coro: Coroutine[Any, Any, Any]) -> None:
        self._coro = coro

    def send(self, value: Any) -> Any:
        try:
            return self._coro.send(value)
        except (SystemExit, KeyboardInterrupt) as error:
            raise _as_refused(error) from error

    def throw(self, *thrown: Any) -> Any:
        try:
            return self._coro.throw(*thrown)
        except (SystemExit, KeyboardInterrupt) as error:
            raise _as_refused(error) from error

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coro.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coro, name)  # cr_frame and its like, which asyncio shows


def _make(
    loop: asyncio.AbstractEventLoop, coro: Any, *, context: Context | None = None, **given: Any
) -> "asyncio.Future[Any]":
    """Make a task for whoever asks."""
    if context is not None:
        given["context"] = context
    owner = current_run.get() if context is None else context.get(current_run)
    if owner is None and not _is_kernel_s():
        return asyncio.Task(coro, loop=loop, **given)
    if owner is not None and asyncio.iscoroutine(coro):
        coro = _Kept(coro)
    task = _Task(coro, loop=loop, **given)
    task.owner = owner
    return task


def _is_kernel_s() -> bool:
    """Return whether it is the kernel that makes a task, itself or by a library."""
    frame = sys._getframe(2)
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in _ON_THE_WAY:
            return package == "sereno"
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _unless_a_run_asks(act: Callable[..., Any], rule: str) -> Callable[..., Any]:
    def done(*args: Any, **options: Any) -> Any:
        if current_run.get() is None:
            return act(*args, **options)
        _refuse(f"a run may not {rule}")
        return _nothing() if asyncio.iscoroutinefunction(act) else None

    return done


async def _nothing() -> None:
    """Stand for what was refused."""


def _as_refused(error: BaseException) -> ExitInTaskError:
    kind = type(error).__name__
    task = asyncio.current_task()
    log.error(
        "a task of a run raised what would have ended the node",
        exc_info=error,
        extra={"task": "unknown" if task is None else task.get_name()},
    )
    return ExitInTaskError(f"a task of this run raised {kind}({error}); only the task ends by it")


def _refuse(rule: str, **facts: str) -> None:
    """Log the first of the refusals in a row of one run: it asks for a hundred tasks at a time."""
    global _refused  # noqa: PLW0603
    _refused += 1
    asks = current_run.get()
    if asks is not None and not asks.refused:
        asks.refused = True
        log.error(rule, extra=facts, stack_info=True)
