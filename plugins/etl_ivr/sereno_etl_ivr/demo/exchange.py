"""Keeps writing calls into `demo_pbx.cdr`, as a telephone exchange does when they hang up."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg

from sereno import Demo
from sereno_etl_ivr.demo.calls import COLUMNS, Call, just_ended, past
from sereno_etl_ivr.query import query

_AGAIN_SECONDS = 2.0
_DAYS = 3
_PER_SECOND = 2.0
_HISTORY = 4000

SETTINGS = {
    "source_url": "{database_url}",
    "source_table": "demo_pbx.cdr",
    "source": "demo",
    "schedule": "every 10s",
    "overlap": "15m",
    "aggregate": "every 10s",
}


async def write_calls(
    dsn: str, *, per_second: float, stop: asyncio.Event, history: int, seed: int | None = None
) -> None:
    """Write `history` calls of the last days if there are none, then `per_second`, until `stop`.

    Goes on when the database was away. Beside another writer it waits, and takes over from it.
    """
    rng = random.Random(seed)  # noqa: S311 - invents calls, keeps no secret
    while not stop.is_set():
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await asyncpg.connect(
                dsn, timeout=10, command_timeout=30, server_settings={"timezone": "UTC"}
            )
            try:
                if await connection.fetchval(query("demo_lock")):
                    await connection.execute(query("demo_table"))
                    await _write(connection, rng, per_second, stop, history)
            finally:
                connection.terminate()
        await _pause(stop, _AGAIN_SECONDS)


@asynccontextmanager
async def background(database_url: str) -> AsyncIterator[None]:
    """Keep the exchange running while the demonstration does."""
    stop = asyncio.Event()
    writing = asyncio.create_task(
        write_calls(database_url, per_second=_PER_SECOND, stop=stop, history=_HISTORY),
        name="etl_ivr demo",
    )
    try:
        yield
    finally:
        stop.set()
        writing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writing


DEMO = Demo(settings=SETTINGS, background=background)


async def _write(
    connection: Any, rng: random.Random, per_second: float, stop: asyncio.Event, history: int
) -> None:
    now, last = await connection.fetchrow(query("demo_state"))
    if last == 0:
        calls = await asyncio.to_thread(lambda: list(past(rng, now, _DAYS, history, 1)))
        await _insert(connection, calls)
        last = 10 * history
    begun, written = time.monotonic(), 0
    while not stop.is_set():
        due = int((time.monotonic() - begun) * per_second) - written
        at = now + timedelta(seconds=time.monotonic() - begun)
        numbers = range(last + 10 * written, last + 10 * (written + due), 10)
        await _insert(connection, [just_ended(rng, at, number) for number in numbers])
        written += due
        await _pause(stop, max(1 / per_second, 0.2))


async def _insert(connection: Any, calls: Iterable[Call]) -> None:
    rows = [row for call in calls for row in call.rows]
    if rows:
        await connection.copy_records_to_table(
            "cdr", schema_name="demo_pbx", columns=COLUMNS, records=rows
        )


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
