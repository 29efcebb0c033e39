"""Opens the one connection that a report is made with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

CONNECT_SECONDS = 10
COMMAND_SECONDS = 300


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """Connect to `url`; statements have a time limit, jsonb is read and written as values."""
    connection = await asyncpg.connect(
        url,
        timeout=CONNECT_SECONDS,
        command_timeout=COMMAND_SECONDS,
        server_settings={"application_name": "sereno reports"},
    )
    try:
        await connection.set_type_codec(
            "jsonb", schema="pg_catalog", encoder=_to_json, decoder=msgspec.json.decode
        )
        yield connection
    finally:
        await _close(connection)


def _to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def _close(connection: Any) -> None:
    try:
        await connection.close(timeout=5)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
