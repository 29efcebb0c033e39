"""Opens the one connection that a report is made with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from sereno_reports.cells import read_any_time

CONNECT_SECONDS = 10
COMMAND_SECONDS = 330
"""Longer than a report's SQL may take: the server's own word of that comes first."""


@asynccontextmanager
async def connected(url: str, *, any_time: bool = False) -> AsyncIterator[Any]:
    """Connect to `url`; statements have a time limit, jsonb is read and written as values.

    `any_time`: see ``read_any_time``.
    """
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
        if any_time:
            await read_any_time(connection)
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
