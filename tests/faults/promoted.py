"""A plugin whose jobs say in a file, and by their result, which run and slot they worked for.

NOTES: the file. `promoted.hold` works on, in its thread, until the file ``NOTES.go`` is there.
"""

import os
import threading
from pathlib import Path
from typing import Any

import msgspec

from sereno import RunContext, every, hookimpl, job

Run = RunContext[dict[str, Any]]


def noted(run: Run) -> dict[str, Any]:
    """Append a line of what this attempt is known by, and return it."""
    line = {
        "job": run.job,
        "run": run.run_id,
        "attempt": run.attempt,
        "slot": run.slot,
        "token": str(run.token),
    }
    file = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(file, msgspec.json.encode(line) + b"\n")
    finally:
        os.close(file)
    return line


@job("promoted.hold", schedule=every("250ms"), catch_up="all", overlap="allow", executor="thread")
def hold(run: Run) -> dict[str, Any]:
    """Work until all may end."""
    line, go = noted(run), Path(f"{os.environ['NOTES']}.go")
    while not go.exists():
        threading.Event().wait(0.1)
    return line


@job("promoted.once", schedule=every("200ms"), catch_up="all", overlap="allow", on_lost="fail")
async def once(run: Run) -> dict[str, Any]:
    """Run five times a second, and no slot of it twice."""
    return noted(run)


@job("promoted.again", schedule=every("200ms"), catch_up="all", overlap="allow")
async def again(run: Run) -> dict[str, Any]:
    """Run five times a second, at least once."""
    return noted(run)


@job("promoted.asked", on_lost="fail", overlap="queue", concurrency_key="one")
async def asked(run: Run) -> dict[str, Any]:
    """Run when asked."""
    return noted(run)


@hookimpl
def sereno_register_jobs() -> list[Any]:
    return [hold, once, again, asked]
