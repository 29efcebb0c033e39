"""A plugin whose jobs lay hands on what all jobs of a process share: its loop, its signals, its
end."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from multiprocessing import get_context
from typing import Any

from sereno import RunContext, every, hookimpl, job

Run = RunContext[dict[str, Any]]


@job("meddling.tick", schedule=every("500ms"), catch_up="all", overlap="allow")
async def tick(run: Run) -> None:
    """Run twice a second."""


@job("meddling.long")
async def long(run: Run) -> str:
    """Take as long as asked, and say so."""
    run.log.info("at work")
    await asyncio.sleep(float(run.params.get("seconds", 1)))
    return "whole"


async def _exits() -> None:
    sys.exit(3)


async def _is_interrupted() -> None:
    raise KeyboardInterrupt


def _cancels_all() -> None:
    for task in asyncio.all_tasks():
        task.cancel()


async def _hands_on(act: Callable[[], object]) -> None:
    act()


WITH_THE_LOOP: dict[str, Callable[[], Any]] = {
    "exit in a task": lambda: asyncio.create_task(_exits()),
    "interrupt in a task": lambda: asyncio.create_task(_is_interrupted()),
    "exit in a task's task": lambda: asyncio.create_task(
        _hands_on(lambda: asyncio.create_task(_exits()))
    ),
    "cancel all": _cancels_all,
    "cancel all in a task": lambda: asyncio.create_task(_hands_on(_cancels_all)),
    "cancel all from a thread": lambda: asyncio.get_running_loop().call_soon(_cancels_all),
    "stop the loop": lambda: asyncio.get_running_loop().stop(),
    "stop the loop later": lambda: asyncio.get_running_loop().call_later(
        0.01, asyncio.get_running_loop().stop
    ),
    "set its task factory": lambda: asyncio.get_running_loop().set_task_factory(None),
    "set its handler": lambda: asyncio.get_running_loop().set_exception_handler(lambda *_: 1 / 0),
    "shut generators down": lambda: asyncio.create_task(
        asyncio.get_running_loop().shutdown_asyncgens()
    ),
    "shut the executor down": lambda: asyncio.create_task(
        asyncio.get_running_loop().shutdown_default_executor()
    ),
    "close the loop": lambda: asyncio.get_running_loop().close(),
}


@job("meddling.loop")
async def loop(run: Run) -> None:
    """Do with the loop what is asked."""
    WITH_THE_LOOP[run.params["how"]]()
    await asyncio.sleep(0.2)


@job("meddling.timer")
async def timer(run: Run) -> None:
    """End the process from callbacks, which belong to no task."""
    asyncio.get_running_loop().call_soon(sys.exit, 0)
    asyncio.get_running_loop().call_later(0.05, _interrupts)
    await asyncio.sleep(0.2)


def _interrupts() -> None:
    raise KeyboardInterrupt


WITH_SIGNALS: dict[str, Callable[[], object]] = {
    "ignores": lambda: [signal.signal(n, signal.SIG_IGN) for n in (15, 2, 1)],
    "handles": lambda: signal.signal(signal.SIGTERM, lambda *_: None),
    "asks the loop": lambda: asyncio.get_running_loop().add_signal_handler(
        signal.SIGTERM, lambda: None
    ),
    "blocks": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32)),
}


@job("meddling.alarm")
async def alarm(run: Run) -> None:
    """Set timers whose signals end a process that does not hear them."""
    signal.alarm(1)
    for number in (signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(number, 0.01)


@job("meddling.crashes")
async def crashes(run: Run) -> None:
    """End the process as a fault in C does."""
    os.kill(os.getpid(), signal.SIGSEGV)


@job("meddling.cancels_itself")
async def cancels_itself(run: Run) -> None:
    """Raise what is raised in a task that is cancelled."""
    raise asyncio.CancelledError


@job("meddling.signals")
async def signals(run: Run) -> None:
    """Take the node's signals from it, and name itself at work."""
    WITH_SIGNALS[run.params["how"]]()
    run.log.info("at work")


def _forks(in_child: Callable[[], object]) -> int:
    """Fork, do in the child as told, and return how it ended."""
    child = os.fork()
    if child == 0:
        in_child()
        return -1
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _terminated() -> int:
    child = get_context("fork").Process(target=signal.pause)
    child.start()
    child.terminate()
    child.join()
    return int(child.exitcode or 0)


def _interrupted_by_hand() -> int:
    return _forks(lambda: (os.kill(os.getpid(), signal.SIGINT), time.sleep(60)))


WITH_FORKS: dict[str, Callable[[], int]] = {
    "terminated": _terminated,
    "interrupted": _interrupted_by_hand,
    "exits": lambda: _forks(lambda: sys.exit(7)),
    "comes back": lambda: _forks(lambda: None),
    "raises": lambda: _forks(lambda: 1 / 0),
}


@job("meddling.fork")
def fork(run: Run) -> int:
    """Fork from a thread, and return how the child ended."""
    return WITH_FORKS[run.params["how"]]()


@job("meddling.fork_in_process", executor="process")
def fork_in_process(run: Run) -> int:
    """Fork in a process of the run's own."""
    return WITH_FORKS[run.params["how"]]()


@job("meddling.fork_in_loop")
async def fork_in_loop(run: Run) -> int:
    """Fork in the loop's own thread; the child goes on in the loop's copy unless it ends."""
    found = WITH_FORKS[run.params["how"]]()
    if found == -1:
        await asyncio.sleep(0)
    return found


@job("meddling.heir")
def heir(run: Run) -> int:
    """Leave a child behind that lives on with all that it has inherited."""
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    return child


@job("meddling.deaf")
async def deaf(run: Run) -> None:
    """Swallow every cancellation."""
    run.log.info("at work")
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)


@job("meddling.stuck")
def stuck(run: Run) -> None:
    """Hold a thread for ever."""
    run.log.info("at work")
    threading.Event().wait()


@job("meddling.blocks")
async def blocks(run: Run) -> None:
    """Hold the loop for ever."""
    run.log.info("at work")
    threading.Event().wait()


@job("meddling.joined")
async def joined(run: Run) -> None:
    """Leave a thread behind that the interpreter waits for at its end."""
    threading.Thread(target=threading.Event().wait, name="meddling's own").start()


async def _hangs() -> None:
    print("it hangs", file=sys.stderr, flush=True)
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)


@hookimpl
@asynccontextmanager
async def sereno_lifespan() -> AsyncIterator[None]:
    """Hang for ever where MEDDLING_HANGS says so: as it opens, or as it closes."""
    hangs = os.environ.get("MEDDLING_HANGS")
    if hangs == "opening":
        await asyncio.sleep(3600)
    yield
    if hangs == "closing":
        await _hangs()


_OPEN: list[int] = []

if limit := os.environ.get("MEDDLING_FILES"):
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(limit), int(limit)))


@job("meddling.leaks")
async def leaks(run: Run) -> None:
    """Open files until there are no more to have, and close none."""
    while True:
        _OPEN.append(os.open(os.devnull, os.O_RDONLY))


@job("meddling.spawns", executor="process", timeout="2s")
def spawns(run: Run) -> None:
    """Start a program, and wait for ever."""
    program = subprocess.Popen(["sleep", "600"])
    run.log.info("%d", program.pid)
    program.wait()


@hookimpl
def sereno_register_jobs() -> list[Any]:
    return [
        tick,
        long,
        loop,
        timer,
        signals,
        alarm,
        cancels_itself,
        crashes,
        fork,
        fork_in_loop,
        fork_in_process,
        heir,
        deaf,
        stuck,
        blocks,
        joined,
        leaks,
        spawns,
    ]
