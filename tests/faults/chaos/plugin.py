"""The jobs that run while things break: each says in a file when it began and when it ended.

SIGUSR1 blocks the event loop for CHAOS_BLOCK seconds, as a job that never awaits would.
"""

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sereno import Job, RunContext, every, hookimpl, job, retry

WORK_SECONDS = 0.1
SECONDLY = every("1s")


def note(run: RunContext[Any], word: str) -> None:
    """Append a line; one write with O_APPEND is never torn, whoever else writes."""
    line = {
        "job": run.job,
        "slot": None if run.slot is None else run.slot.isoformat(),
        "run": run.run_id,
        "attempt": run.attempt,
        "replica": os.environ["SERENO_NODE_NAME"],
        "pid": os.getpid(),
        "token": str(run.token),
        "word": word,
        "at": time.clock_gettime(time.CLOCK_BOOTTIME),
    }
    file = os.open(os.environ["CHAOS_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)


def result(run: RunContext[Any]) -> dict[str, str]:
    """Return what says whose result this is."""
    return {"token": str(run.token)}


@job("chaos.loop", schedule=SECONDLY, catch_up="all", overlap="allow")
async def loop(run: RunContext[Any]) -> dict[str, str]:
    note(run, "began")
    await asyncio.sleep(WORK_SECONDS)
    note(run, "ended")
    return result(run)


@job("chaos.thread", schedule=SECONDLY, catch_up="all", overlap="queue")
def thread(run: RunContext[Any]) -> dict[str, str]:
    note(run, "began")
    threading.Event().wait(WORK_SECONDS)
    note(run, "ended")
    return result(run)


@job("chaos.process", schedule=SECONDLY, catch_up="all", overlap="allow", executor="process")
def process(run: RunContext[Any]) -> dict[str, str]:
    note(run, "began")
    threading.Event().wait(WORK_SECONDS)
    note(run, "ended")
    return result(run)


def _works(letter: str) -> Job[Any]:
    """Return a job that works on one of the replicas, whichever leads."""

    @job(f"chaos.on_{letter}", schedule=SECONDLY, catch_up="all", overlap="allow", runs_on=[letter])
    async def work(run: RunContext[Any]) -> dict[str, str]:
        note(run, "began")
        await asyncio.sleep(WORK_SECONDS)
        note(run, "ended")
        return result(run)

    return work


everywhere = [_works(letter) for letter in "abc"]


@job("chaos.once", schedule=SECONDLY, catch_up="all", overlap="allow", on_lost="fail")
async def once(run: RunContext[Any]) -> dict[str, str]:
    note(run, "began")
    await asyncio.sleep(WORK_SECONDS)
    note(run, "ended")
    return result(run)


@job("chaos.chained", after="chaos.loop")
async def chained(run: RunContext[Any]) -> dict[str, str]:
    note(run, "began")
    note(run, "ended")
    return result(run)


@job(
    "chaos.retrying",
    schedule=SECONDLY,
    catch_up="all",
    overlap="allow",
    retry=retry(50, delay=0.2, factor=1, jitter=0),
)
async def retrying(run: RunContext[Any]) -> dict[str, str]:
    note(run, "began")
    await asyncio.sleep(WORK_SECONDS)
    if run.attempt == 1:
        raise RuntimeError("the first attempt fails, so that a second one is made")
    note(run, "ended")
    return result(run)


EVERY_SECOND = {declared.name for declared in (loop, thread, process, retrying, *everywhere)}
ONCE = once.name


@hookimpl
def sereno_register_jobs() -> list[Any]:
    return [loop, thread, process, once, chained, retrying, *everywhere]


@hookimpl
@asynccontextmanager
async def sereno_lifespan() -> AsyncIterator[None]:
    seconds = float(os.environ.get("CHAOS_BLOCK", "5"))
    block = threading.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, block.wait, seconds)
    yield
