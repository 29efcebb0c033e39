"""Count the pages of the database that answers take: of tables and indexes, cached or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

from sereno.store import pool

from .plans import blocks_read

Statement = tuple[str, tuple[Any, ...]]

_READS = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")


class Statements:
    """What is asked of the database by pools that are opened while it listens."""

    def __init__(self) -> None:
        self._asked: list[Statement] = []

    def hear(self, record: asyncpg.connection.LoggedQuery) -> None:
        """Take note of one statement."""
        text = "\n".join(
            line for line in record.query.splitlines() if not line.lstrip().startswith("--")
        )
        if text.lstrip().upper().startswith(_READS):
            self._asked.append((text, tuple(record.args or ())))

    def taken(self) -> list[Statement]:
        """Return what was asked since the last time."""
        asked, self._asked = self._asked, []
        return asked


@contextmanager
def listening() -> Iterator[Statements]:
    """Hear the statements of all pools that are opened in this process meanwhile."""
    heard, prepare = Statements(), pool.prepare_connection

    async def prepared(connection: asyncpg.Connection) -> None:
        await prepare(connection)
        connection.add_query_logger(heard.hear)

    pool.prepare_connection = prepared
    try:
        yield heard
    finally:
        pool.prepare_connection = prepare


async def pages_read(connection: asyncpg.Connection, asked: list[Statement]) -> int:
    """Return how many pages the answers to `asked` take, by the dearer of two plans: for their very
    values, and for any. What they write is taken back.

    `connection`: one that `prepare_connection` has prepared.
    """
    found = 0
    for query, args in asked:
        read = []
        for mode in ("force_custom_plan", "force_generic_plan"):
            transaction = connection.transaction()
            await transaction.start()
            try:
                await connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
                await blocks_read(connection, query, *args)  # the first reads the catalogue as well
                read.append(await blocks_read(connection, query, *args))
            finally:
                await transaction.rollback()
        found += max(read)
    return found
