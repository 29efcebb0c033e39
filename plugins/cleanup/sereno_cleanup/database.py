"""Opens the one connection that a job works with, and its short transactions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

CONNECT_SECONDS = 10
COMMAND_SECONDS = 60
_TEXT = {
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}
_LIMITS = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '30s'"


@asynccontextmanager
async def connected(url: str, name: str) -> AsyncIterator[Any]:
    """Connect to `url` as application `name`; every statement has a time limit.

    What is read as text, and archived, does not depend on the settings of database or role.
    """
    connection = await asyncpg.connect(
        url,
        timeout=CONNECT_SECONDS,
        command_timeout=COMMAND_SECONDS,
        server_settings={"application_name": f"sereno {name}", **_TEXT},
    )
    try:
        yield connection
    finally:
        await _close(connection)


@asynccontextmanager
async def short_transaction(connection: Any) -> AsyncIterator[None]:
    """Open a transaction that waits for no lock longer than 5 s and lasts 30 s at most."""
    async with connection.transaction():
        await connection.execute(_LIMITS)
        yield


async def _close(connection: Any) -> None:
    try:
        await connection.close(timeout=5)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
