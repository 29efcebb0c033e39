"""A plugin whose jobs run away, block, hold transactions open, or just tick."""

import asyncio
import os
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg

from sereno import RunContext, every, hookimpl, job

Run = RunContext[dict[str, Any]]


@job("faults.tick", schedule=every("1s"), catch_up="all", overlap="allow")
async def tick(run: Run) -> None:
    """Run every second."""


@job("faults.block")
async def block(run: Run) -> None:
    """Hold the event loop up, as a job that never awaits does: for so long, or until there is a
    file."""
    if "until" in run.params:
        while not os.path.exists(run.params["until"]):  # noqa: ASYNC240
            threading.Event().wait(0.02)
        return
    threading.Event().wait(float(run.params.get("seconds", 1)))


@job("faults.spin", executor="process", timeout="1s")
def spin(run: Run) -> None:
    """Loop for ever."""
    while True:
        pass


@job("faults.devour", executor="process", memory_limit_mb=200)
def devour(run: Run) -> int:
    """Take memory for ever."""
    held = []
    while True:
        held.append(bytearray(10_000_000))


@job("faults.huge")
def huge(run: Run) -> str:
    """Return 100 MB."""
    return "x" * 100_000_000


@job("faults.long")
async def long(run: Run) -> None:
    """Take as long as asked; say that it was called, where that is asked too."""
    if run.params.get("says"):
        run.log.info("at work")
    await asyncio.sleep(float(run.params.get("seconds", 1)))


@job("faults.open")
def open_files(run: Run) -> int:
    """Hold twenty files open."""
    with ExitStack() as stack:
        return len([stack.enter_context(Path(os.devnull).open()) for _ in range(20)])


@job("faults.fenced")
async def fenced(run: Run) -> None:
    """Hold a fenced transaction open in the kernel's database, on its first attempt."""
    connection = await asyncpg.connect(run.database_url)
    try:
        async with connection.transaction():
            await run.fence(connection)
            await connection.execute("INSERT INTO kept VALUES ($1)", run.attempt)
            if run.attempt == 1:
                await asyncio.sleep(60)
    finally:
        connection.terminate()


@hookimpl
def sereno_register_jobs() -> list[Any]:
    return [tick, block, spin, devour, huge, long, open_files, fenced]
