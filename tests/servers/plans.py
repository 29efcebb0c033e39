"""The plan of a statement as it is prepared, whatever its values: of one that is given beside them
EXPLAIN plans for these very values, also where `plan_cache_mode` forces another."""

import json
from typing import Any

import asyncpg
from psycopg.sql import Literal


async def explained(
    connection: asyncpg.Connection, statement: str, *args: Any, options: str = ""
) -> list[str]:
    """Return what EXPLAIN with `options` says of `statement`, a line each or one text."""
    await connection.execute(f"PREPARE explained AS {statement}")
    try:
        given = f"({', '.join(map(_literal, args))})" if args else ""
        how = f"({options})" if options else ""
        rows = await connection.fetch(f"EXPLAIN {how} EXECUTE explained{given}")
    finally:
        await connection.execute("DEALLOCATE explained")
    return [row[0] for row in rows]


async def blocks_read(connection: asyncpg.Connection, statement: str, *args: Any) -> int:
    """Return how many pages of the database the answer takes."""
    options = "ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON"
    (text,) = await explained(connection, statement, *args, options=options)
    top = json.loads(text)[0]["Plan"]
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


def _literal(value: Any) -> str:
    """Write a value in SQL, of any type that can be made of its text."""
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return Literal("{" + ",".join(map(_element, value)) + "}").as_string(None)
    if isinstance(value, bytes):  # of JSON
        value = value.decode()
    text = json.dumps(value) if isinstance(value, dict) else str(value)
    return Literal(text).as_string(None)


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
