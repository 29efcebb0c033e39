"""A plugin whose jobs fan out, follow one another and share keys, and say in a file what they do.

NOTES: the file; one line each time that an attempt begins or is over, one write. What is told to
stay does so, on its first attempt, until the file ``NOTES.go`` is there.
"""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sereno import RunContext, every, hookimpl, job, schedule

Run = RunContext[dict[str, Any]]


def note(run: Run, event: str, **facts: Any) -> None:
    """Append a line; a single write with O_APPEND is never torn."""
    line = {"event": event, "job": run.job, "run": run.run_id, "attempt": run.attempt, **facts}
    file = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(file, json.dumps(line | {"pid": os.getpid()}).encode() + b"\n")
    finally:
        os.close(file)


@contextmanager
def noted(run: Run, **facts: Any) -> Iterator[None]:
    """Say that `run` works, and that it does no more."""
    note(run, "begin", **facts)
    try:
        yield
    finally:
        note(run, "end", **facts)


async def stay(run: Run) -> None:
    """Stay, on the first attempt, until all are let go."""
    if run.attempt > 1:
        return
    note(run, "stays")
    go = Path(f"{os.environ['NOTES']}.go")
    while not await asyncio.to_thread(go.exists):  # noqa: ASYNC110
        await asyncio.sleep(0.02)


@job("chain.child")
async def child(run: Run) -> None:
    """Be one of many."""
    with noted(run, n=run.params["n"]):
        await asyncio.sleep(0.01)
        if run.params.get("stays"):
            await stay(run)


@job("chain.join")
async def join(run: Run) -> None:
    """Follow once all are over."""
    found = run.fan_in
    assert found is not None
    note(run, "begin", total=found.total, succeeded=found.succeeded)


@job("chain.all")
async def every_one(run: Run) -> None:
    """Fan out to ``children``; ``stay``: before or after the children's transaction ends."""
    note(run, "begin")
    children = [{"n": n} for n in range(run.params["children"])]
    children[-1]["stays"] = run.params.get("last_stays", False)
    async with run.database() as connection, connection.transaction():
        await run.fan_out(child, children, then=join, on_failure="continue", connection=connection)
        if run.params.get("stay") == "before":
            await stay(run)
    if run.params.get("stay") == "after":
        await stay(run)


@job("chain.up")
async def up(run: Run) -> dict[str, int]:
    """Hand something on, once it is let go."""
    note(run, "begin")
    await stay(run)
    return {"n": 7}


@job("chain.down", after="chain.up", params_from={"n": "result.n"})
async def down(run: Run) -> None:
    """Follow with what was handed on; stay as well."""
    note(run, "begin", n=run.params["n"])


@job("chain.keyed", concurrency={"key": "k-{key}", "limit": 3})
async def keyed(run: Run) -> None:
    """Work with two others of the key at the most."""
    with noted(run, key=run.params["key"]):
        await asyncio.sleep(0.02)


@job("chain.straggler", concurrency={"key": "s", "limit": 1}, timeout="300ms")
def straggler(run: Run) -> None:
    """Work on after the time limit, in a thread that nobody can end, until it is let go."""
    with noted(run, key="s"):
        go = Path(f"{os.environ['NOTES']}.go")
        while not go.exists():
            threading.Event().wait(0.02)


@job("chain.boot", schedule=schedule(every("7d"), at_start=True))
async def boot(run: Run) -> None:
    """Run as a leader first takes the schedule."""
    note(run, "begin")


@job("chain.once", schedule=schedule(every("1s"), one_off=True))
async def once(run: Run) -> None:
    """Run once."""
    note(run, "begin")


@hookimpl
def sereno_register_jobs() -> list[Any]:
    return [child, join, every_one, up, down, keyed, straggler, boot, once]
