"""Makes the tables of the target, once for each version of them."""

from typing import Any

from sereno_etl_ivr.queries import query

VERSION = 3


async def ensure_schema(connection: Any) -> None:
    """Make what is missing. Two runs that begin at once wait for each other."""
    if await _version(connection) == VERSION:
        return
    async with connection.transaction():
        await connection.execute(query("schema_lock"))
        if await _version(connection) != VERSION:
            await connection.execute(query("schema"))
            await connection.execute(query("schema_mark"), VERSION)


async def _version(connection: Any) -> int | None:
    if not await connection.fetchval(query("schema_exists")):
        return None
    found = await connection.fetchval(query("schema_version"))
    return None if found is None else int(found)
