"""Jobs for workers of Dask: each line that they write says which attempt is at work, in order.

NOTES: the file. A job stays, on its first attempt, until the file ``NOTES.go`` is there.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from sereno import RunContext, job

Run = RunContext[dict[str, Any]]


def note(run: Run, what: str) -> None:
    """Append a line; a single write with O_APPEND is never torn."""
    line = {"run": run.run_id, "attempt": run.attempt, "what": what, "pid": os.getpid()}
    file = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)


def stay(run: Run) -> int:
    """Stay, on the first attempt, until it is let go."""
    note(run, "begun")
    go = Path(f"{os.environ['NOTES']}.go")
    while run.attempt == 1 and not go.exists():
        note(run, "beat")
        time.sleep(0.02)
    return run.attempt


again = job("work.again", executor="dask", on_lost="retry")(stay)
gone = job("work.gone", executor="dask", on_lost="fail")(stay)


@job("work.large", executor="dask")
def large(run: Run) -> str:
    """Return more than is kept of a result."""
    return "x" * 1_500_000


@job("work.devour", executor="dask", memory_limit_mb=300)
def devour(run: Run) -> None:
    """Take memory for ever."""
    held = []
    while True:
        held.append(bytearray(10_000_000))
