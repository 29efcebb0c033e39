"""Opens the one connection that a job works with, and its short transactions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from sereno_cleanup.query import query

CONNECT_SECONDS = 10
COMMAND_SECONDS = 60
_TEXT = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    # What a policy hides from this role would grow for ever, and no check find it: told instead.
    "row_security": "off",
    # Whatever the database's default: a row that somebody changes is skipped, and no failure.
    "default_transaction_isolation": "read committed",
}
_LIMITS = "SET LOCAL lock_timeout = '{lock_ms}ms'; SET LOCAL statement_timeout = '30s'"
_LOCK_MS = 5000
_AGAIN = "SET LOCAL synchronous_commit = off"


@asynccontextmanager
async def connected(url: str, name: str, *, seconds: float = COMMAND_SECONDS) -> AsyncIterator[Any]:
    """Connect to `url` as application `name`; every statement has a time limit of `seconds`.

    What is read as text, and archived, does not depend on the settings of database or role.
    """
    connection = await asyncpg.connect(
        url,
        timeout=CONNECT_SECONDS,
        command_timeout=seconds,
        server_settings={"application_name": f"sereno {name}", **_TEXT},
    )
    try:
        yield connection
    finally:
        await _close(connection)


@asynccontextmanager
async def short_transaction(
    connection: Any, *, durable: bool = True, lock_ms: int = _LOCK_MS
) -> AsyncIterator[None]:
    """Open a transaction that waits for no lock longer than `lock_ms` and lasts 30 s at most.

    Not `durable`: a crash of the server may undo it, so it does not wait for the disk, and nobody
    else's commit waits behind it. That is for work which is simply done again.
    """
    async with connection.transaction():
        limits = _LIMITS.format(lock_ms=lock_ms)
        await connection.execute(limits if durable else f"{limits}; {_AGAIN}")
        yield


async def make_table(connection: Any, name: str) -> None:
    """Make the table of the blocks ``<name>_exists`` and ``<name>_schema``, if it is not there."""
    if await connection.fetchval(query(f"{name}_exists")):
        return
    async with connection.transaction():
        await connection.execute(query("schema_lock"))
        if not await connection.fetchval(query(f"{name}_exists")):
            for statement in query(f"{name}_schema").split(";"):
                await connection.execute(statement)


async def _close(connection: Any) -> None:
    try:
        await connection.close(timeout=5)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
