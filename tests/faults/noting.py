"""A plugin whose jobs say in a file when an attempt of theirs began: one line, one write.

NOTES: the file. A job that is told to stay does so until the file ``NOTES.go`` is there.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from sereno import RunContext, every, hookimpl, job

Run = RunContext[dict[str, Any]]


def note(run: Run) -> None:
    """Append a line; a single write with O_APPEND is never torn."""
    slot = None if run.slot is None else run.slot.isoformat()
    line = {"job": run.job, "run": run.run_id, "attempt": run.attempt, "slot": slot}
    file = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(file, json.dumps(line | {"pid": os.getpid()}).encode() + b"\n")
    finally:
        os.close(file)


@job("noting.tick", schedule=every("200ms"), catch_up="all", overlap="allow")
async def tick(run: Run) -> None:
    """Run five times a second."""
    note(run)


async def stay(run: Run) -> int:
    """Stay, on the first attempt, until it is let go."""
    note(run)
    go = Path(f"{os.environ['NOTES']}.go")
    while run.attempt == 1 and not await asyncio.to_thread(go.exists):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return run.attempt


again = job("noting.again", on_lost="retry")(stay)
gone = job("noting.gone", on_lost="fail")(stay)
at_hosts = job("noting.hosts", scope="host")(stay)
at_nodes = job("noting.nodes", scope="node")(stay)


@hookimpl
def sereno_register_jobs() -> list[Any]:
    return [tick, again, gone, at_hosts, at_nodes]
