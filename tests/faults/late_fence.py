"""A plugin whose job works for a while before it writes in a fenced transaction."""

import asyncio
import os
from typing import Any

import asyncpg

from sereno import RunContext, RunSuperseded, hookimpl, job


@job("faults.late")
async def late(run: RunContext[dict[str, Any]]) -> None:
    """Work until there is a file, made once its node is frozen; then write."""
    run.log.warning("at work")
    while not await asyncio.to_thread(os.path.exists, run.params["until"]):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    connection = await asyncpg.connect(run.database_url)
    try:
        async with connection.transaction():
            try:
                await run.fence(connection)
            except RunSuperseded:
                run.log.warning("RunSuperseded")
                raise
            await connection.execute("INSERT INTO kept VALUES ($1)", run.attempt)
    finally:
        connection.terminate()


@hookimpl
def sereno_register_jobs() -> list[Any]:
    return [late]
