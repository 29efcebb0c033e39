"""The jobs that workers of Dask are at work on while things break.

CHAOS_FILE: to what they append. Each says when it began and ended, and that it is at work between.
"""

import json
import os
import threading
import time
from typing import Any

from sereno import RunContext, every, job

Run = RunContext[dict[str, Any]]

WORK_SECONDS = 0.6
LONG_SECONDS = 8.0
"""Longer than a lease and the second after it: when another has the run, this would work still."""

_BEAT = threading.Event()


def note(run: Run, word: str) -> None:
    """Append a line; one write with O_APPEND is never torn, whoever else writes."""
    line = {
        "job": run.job,
        "slot": None if run.slot is None else run.slot.isoformat(),
        "run": run.run_id,
        "attempt": run.attempt,
        "token": str(run.token),
        "word": word,
        "at": time.clock_gettime(time.CLOCK_BOOTTIME),
        "pid": os.getpid(),
    }
    file = os.open(os.environ["CHAOS_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)


def work(run: Run, seconds: float = WORK_SECONDS) -> dict[str, str]:
    """Be at work for a while; return what says whose result this is."""
    note(run, "began")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        _BEAT.wait(0.02)
        note(run, "beat")
    note(run, "ended")
    return {"token": str(run.token)}


again = job("dask.again", schedule=every("1s"), catch_up="all", overlap="allow", executor="dask")(
    work
)
once = job(
    "dask.once",
    schedule=every("1s"),
    catch_up="all",
    overlap="allow",
    executor="dask",
    on_lost="fail",
)(work)


@job("dask.long", schedule=every("10s"), catch_up="all", overlap="allow", executor="dask")
def long(run: Run) -> dict[str, str]:
    """Be at work for longer than a lease."""
    return work(run, LONG_SECONDS)


@job("dask.brief", executor="dask", on_lost="fail")
def brief(run: Run) -> dict[str, str]:
    """Be at work for so short that others stand in line for the place."""
    return work(run, 0)


@job("dask.devour", executor="dask", memory_limit_mb=300)
def devour(run: Run) -> None:
    """Take memory for ever."""
    held = []
    while True:
        held.append(bytearray(10_000_000))
