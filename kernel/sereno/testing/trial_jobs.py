"""Jobs that try an executor: each says in a file what it does, so that it is seen from outside.

Each is there as a plain function and, its name ended by ``_async``, as an ``async def``.
"""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

from sereno.engine.context import RunContext
from sereno.engine.job_declaration import job

Run = RunContext[dict[str, Any]]

PREFIX = "executor_trial"

BEAT = 0.02
"""Seconds between two lines of a job that is at work."""


def _note(run: Run, what: str) -> None:
    """Append a line to the run's file; a single write with O_APPEND is never torn."""
    line = json.dumps({"run": run.run_id, "attempt": run.attempt, "what": what, "pid": os.getpid()})
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    file = os.open(run.params["notes"], flags, 0o666)
    try:
        os.write(file, line.encode() + b"\n")
    finally:
        os.close(file)


def _goes_on(run: Run) -> bool:
    _note(run, "beat")
    return not Path(f"{run.params['notes']}.go").exists()


def _succeeds(run: Run) -> dict[str, Any]:
    _note(run, "begun")
    return {"run": run.run_id, "attempt": run.attempt, "text": "ñ/☀"}


def _fails(run: Run) -> None:
    _note(run, "begun")
    raise LookupError("this one fails")


def _tries(run: Run) -> Any:
    _note(run, "begun")
    if run.attempt == 1:
        run.checkpoint({"so": "far"})
        raise LookupError("this attempt fails")
    return run.saved


def _speaks(run: Run) -> int:
    _note(run, "begun")
    for n in range(20):
        run.log.info("line %02d", n)
    run.progress(7, 9, "nearly")
    return 20


def _large(run: Run) -> str:
    _note(run, "begun")
    return "x" * 3_000_000


def _odd(run: Run) -> Any:
    _note(run, "begun")
    return object()


_POLICIES: dict[str, Any] = {"retry": 1, "overlap": "allow"}


@job(f"{PREFIX}.succeeds", **_POLICIES)
def succeeds(run: Run) -> Any:
    """Return what can be kept."""
    return _succeeds(run)


@job(f"{PREFIX}.fails", **_POLICIES)
def fails(run: Run) -> Any:
    """Raise."""
    return _fails(run)


@job(f"{PREFIX}.tries", retry={"attempts": 2, "delay": "10ms"})
def tries(run: Run) -> Any:
    """Raise, and succeed with what the attempt before has kept."""
    return _tries(run)


@job(f"{PREFIX}.speaks", **_POLICIES)
def speaks(run: Run) -> Any:
    """Say what is kept with the run."""
    return _speaks(run)


@job(f"{PREFIX}.large", **_POLICIES)
def large(run: Run) -> Any:
    """Return what is too large to be kept."""
    return _large(run)


@job(f"{PREFIX}.odd", **_POLICIES)
def odd(run: Run) -> Any:
    """Return what JSON cannot hold."""
    return _odd(run)


@job(f"{PREFIX}.stays", **_POLICIES)
def stays(run: Run) -> str:
    """Stay until it is let go, whatever it is told."""
    _note(run, "begun")
    while _goes_on(run):
        time.sleep(BEAT)  # noqa: TID251 - it is work, for who looks on
    return "let go"


@job(f"{PREFIX}.ends", timeout="3s", **_POLICIES)
def ends(run: Run) -> str:
    """Stay for longer than it may."""
    _note(run, "begun")
    while _goes_on(run):
        time.sleep(BEAT)  # noqa: TID251
    return "let go"


@job(f"{PREFIX}.succeeds_async", **_POLICIES)
async def succeeds_async(run: Run) -> Any:
    """Return what can be kept."""
    return _succeeds(run)


@job(f"{PREFIX}.fails_async", **_POLICIES)
async def fails_async(run: Run) -> Any:
    """Raise."""
    return _fails(run)


@job(f"{PREFIX}.tries_async", retry={"attempts": 2, "delay": "10ms"})
async def tries_async(run: Run) -> Any:
    """Raise, and succeed with what the attempt before has kept."""
    return _tries(run)


@job(f"{PREFIX}.speaks_async", **_POLICIES)
async def speaks_async(run: Run) -> Any:
    """Say what is kept with the run."""
    return _speaks(run)


@job(f"{PREFIX}.large_async", **_POLICIES)
async def large_async(run: Run) -> Any:
    """Return what is too large to be kept."""
    return _large(run)


@job(f"{PREFIX}.odd_async", **_POLICIES)
async def odd_async(run: Run) -> Any:
    """Return what JSON cannot hold."""
    return _odd(run)


@job(f"{PREFIX}.stays_async", **_POLICIES)
async def stays_async(run: Run) -> str:
    """Stay until it is let go."""
    _note(run, "begun")
    while _goes_on(run):  # noqa: ASYNC110 - it is work, for who looks on
        await asyncio.sleep(BEAT)
    return "let go"


@job(f"{PREFIX}.ends_async", timeout="3s", **_POLICIES)
async def ends_async(run: Run) -> str:
    """Stay for longer than it may."""
    _note(run, "begun")
    while _goes_on(run):  # noqa: ASYNC110 - it is work, for who looks on
        await asyncio.sleep(BEAT)
    return "let go"
