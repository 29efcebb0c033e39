"""Queues runs inside a transaction of a caller's own, on the connection that the caller has.

It may be of asyncpg or of psycopg 3, asynchronous or not; of which is told by its methods, so that
neither driver is loaded for it. Its type codecs are the caller's: statements name every type, and
JSON goes as text.
"""

import inspect
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from sereno.model.errors import NotFoundError, ParamsError, StoreRightsError
from sereno.store.sql import sql

_ERRORS: Mapping[str, type[Exception]] = {
    "P0002": NotFoundError,
    "22023": ParamsError,
    "42501": StoreRightsError,
}
"""What `sereno.enqueue` raises, by its code. Anything else is the caller's own driver's word."""


async def values(connection: Any, name: str, *args: Any) -> list[Any]:
    """Return the first column of the block `name`, run on a caller's `connection`.

    Raises NotFoundError, ParamsError, StoreRightsError as the block does, ParamsError for what is
    no connection, and what the driver raises.
    """
    try:
        if callable(getattr(connection, "fetchval", None)):
            return [row[0] for row in await connection.fetch(sql(name), *args)]
        if callable(getattr(connection, "cursor", None)) and hasattr(connection, "pgconn"):
            return await _by_psycopg(connection, name, args)
    except Exception as error:
        raised = _ERRORS.get(str(getattr(error, "sqlstate", "")))
        if raised is None:
            raise
        raise raised(str(error).split("\nCONTEXT:")[0]) from error
    raise ParamsError(
        f"connection is a {type(connection).__name__}, it must be one of asyncpg or of psycopg 3; "
        "with another driver call the SQL function sereno.enqueue"
    )


async def _by_psycopg(connection: Any, name: str, args: tuple[Any, ...]) -> list[Any]:
    """Work with a connection of psycopg 3; one that is not asynchronous blocks meanwhile."""
    cursor = connection.cursor(row_factory=lambda cursor: tuple)
    try:
        named = {f"p{n}": value for n, value in enumerate(args, 1)}
        await _awaited(cursor.execute(_with_names(name), named))
        rows = await _awaited(cursor.fetchall())
    finally:
        await _awaited(cursor.close())
    return [row[0] for row in rows]


@cache
def _with_names(name: str) -> str:
    """Return the block `name` with psycopg's placeholders in the place of PostgreSQL's own."""
    return re.sub(r"\$(\d+)", r"%(p\1)s", sql(name).replace("%", "%%"))


async def _awaited(found: Any) -> Any:
    return await found if inspect.isawaitable(found) else found
