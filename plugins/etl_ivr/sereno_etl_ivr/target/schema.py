"""Makes the tables of the target, by the kernel's migrator, wherever the target is.

Tables that a version before it made, one step of them after the other, are listed where they stand.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg

from sereno import Migrations, StoreError, StoreUnavailableError, apply_migrations
from sereno_etl_ivr.errors import TargetAwayError, TargetError
from sereno_etl_ivr.query import query

TABLES = Migrations(schema="ivr", package="sereno_etl_ivr")
_STEPS = ["fractions", "aggregates", "last_sync", "names", "retention", "holds", "callee", "locals"]
"""What the version before made, and noted by these names: all of the first migration."""


async def ensure_schema(connection: Any) -> None:
    """Make what is missing. Two runs that begin at once wait for each other.

    Raises TargetAwayError when somebody is in the way, TargetError when it cannot be made.
    """
    if await connection.fetchval(query("tables_listed")):
        return await _apply(connection)
    await connection.fetchval(query("tables_begin"))
    try:
        await _apply(connection, [1] if await _stand(connection) else [])
    finally:
        if not connection.is_closed():
            await connection.fetchval(query("tables_end"))


async def _apply(connection: Any, standing: Sequence[int] = ()) -> None:
    try:
        await apply_migrations(connection, TABLES, standing=standing)
    except StoreUnavailableError as error:
        is_refused = isinstance(error.__cause__, asyncpg.InsufficientPrivilegeError)
        raise (TargetError if is_refused else TargetAwayError)(f"target: {error}") from error
    except StoreError as error:
        raise TargetError(f"target: {error}") from error


async def _stand(connection: Any) -> bool:
    """Tell whether a version that listed nothing has made all of the first migration."""
    if not await connection.fetchval(query("tables_marked")):
        return False
    return bool(await connection.fetchval(query("tables_stand"), _STEPS))
