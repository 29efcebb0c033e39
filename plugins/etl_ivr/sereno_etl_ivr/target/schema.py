"""Makes the tables of the target, once for each step of them.

Version 3 and what the block `schema` says are frozen: a replica of the version before asks for
just that number, and would make those tables again. Whatever came later is a step of its own.
"""

from typing import Any

from sereno_etl_ivr.query import query

VERSION = 3
STEPS = ("fractions", "aggregates", "last_sync", "names", "retention", "holds", "callee", "locals")


async def ensure_schema(connection: Any) -> None:
    """Make what is missing. Two runs that begin at once wait for each other."""
    if await _is_complete(connection):
        return
    async with connection.transaction():
        await connection.execute(query("schema_lock"))
        if await _version(connection) != VERSION:
            await connection.execute(query("schema"))
            await connection.execute(query("schema_mark"), VERSION)
        await connection.execute(query("steps"))
        done = await _done(connection)
        for step in STEPS:
            if step not in done:
                text = query(f"step_{step}").replace("{whole_calls}", query("whole_calls"))
                await connection.execute(text)
                await connection.execute(query("step_mark"), step)


async def _is_complete(connection: Any) -> bool:
    if await _version(connection) != VERSION:
        return False
    return await _done(connection) >= set(STEPS)


async def _version(connection: Any) -> int | None:
    if not await connection.fetchval(query("schema_exists")):
        return None
    found = await connection.fetchval(query("schema_version"))
    return None if found is None else int(found)


async def _done(connection: Any) -> set[str]:
    if not await connection.fetchval(query("steps_exist")):
        return set()
    return {row["name"] for row in await connection.fetch(query("steps_done"))}
