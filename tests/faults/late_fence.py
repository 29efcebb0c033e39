"""A plugin whose job works for a while before it writes in a fenced transaction."""

import asyncio
from typing import Any

import asyncpg

from sereno import RunContext, RunSuperseded, hookimpl, job


@job("faults.late")
async def late(run: RunContext[dict[str, Any]]) -> None:
    """Work for a while, in which its node can be frozen however slow the machine; then write."""
    run.log.warning("at work")
    await asyncio.sleep(3 if run.attempt == 1 else 0.1)
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
