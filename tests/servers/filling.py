"""What fills a template of databases, for a test that may have a loop of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import asyncpg

from sereno.store.migrator import migrate

Step = Callable[[str], Awaitable[object]]


def filling(*steps: Step) -> Callable[[str], None]:
    """Return what fills the database of a DSN by these, one after the other."""

    async def each(dsn: str) -> None:
        for step in steps:
            await step(dsn)

    def fill(dsn: str) -> None:
        with ThreadPoolExecutor(1) as other:  # whose loop is not the test's
            other.submit(lambda: asyncio.run(each(dsn))).result()

    return fill


def on_connection(step: Callable[[asyncpg.Connection], Awaitable[object]]) -> Step:
    """Return a step that is given a connection."""

    async def connect(dsn: str) -> None:
        connection = await asyncpg.connect(dsn)
        try:
            await step(connection)
        finally:
            await connection.close()

    return connect


SERENO = filling(migrate)
