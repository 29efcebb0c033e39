"""Deletes what is old from the tables of the target, each batch in a transaction of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sereno_etl_ivr import position
from sereno_etl_ivr.feed import Feed
from sereno_etl_ivr.query import query
from sereno_etl_ivr.target.connection import connected, translated
from sereno_etl_ivr.target.schema import ensure_schema

_FIRST = UUID(int=0)


class Retention:
    """One session in the target. Raises TargetError."""

    def __init__(self, connection: Any, url: str) -> None:
        self._connection = connection
        self._url = url

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str) -> AsyncIterator["Retention"]:
        """Connect, and make the tables that are missing."""
        async with connected(url) as connection:
            with translated(url):
                await ensure_schema(connection)
            yield cls(connection, url)

    async def now(self) -> datetime:
        """Return the database's time."""
        return await self._value("now")  # type: ignore[no-any-return]

    async def is_counted(self, source: str, before: int, moved: Sequence[Feed]) -> bool:
        """Tell whether the figures are made of all rows before a position."""
        tables = [feed.source_table for feed in moved if feed.source == source and feed.counted]
        return bool(await self._value("is_counted", source, before, tables))

    async def freeze(self, source: str, before: datetime) -> None:
        """Let the figures before an instant stay as they are."""
        await self._value("freeze", source, before)

    async def forget_facts(self, source: str, before: datetime) -> None:
        """Say that the facts of calls before an instant are kept no more."""
        await self._value("forget_facts", source, before)

    async def forget_figures(self, sources: list[str], before: datetime) -> None:
        """Say that the figures before an instant are kept no more."""
        await self._value("forget_figures", sources, before)

    async def facts(self, source: str, before: datetime, rows: int) -> int:
        """Delete some facts of calls; return how many."""
        return int(await self._value("facts", source, before, rows))

    async def holds(self, source: str, before: int, rows: int) -> int:
        """Delete holds of some calls that have no facts, up to a position; return how many rows."""
        return int(await self._value("holds", source, before, rows))

    async def quarters(self, source: str, before: datetime, rows: int) -> int:
        """Delete some figures; return how many."""
        return int(await self._value("quarters", source, before, rows))

    async def aside(self, name: str, feed: Feed, before: datetime, rows: int) -> int:
        """Delete some rejects, or rows that were taken out (`deleted`); return how many."""
        return int(await self._value(name, feed.source, feed.source_table, before, rows))

    def rows(self, feed: Feed, before: int, rows: int) -> Callable[[], Awaitable[int]]:
        """Return what deletes the next rows of a table, and says how many."""
        statement = query("retention_rows").format(target=feed.table.target)
        last: tuple[Any, ...] = (position.OLDEST, _FIRST, 0)

        async def batch() -> int:
            nonlocal last
            with translated(self._url):
                has = await self._connection.fetch(query("target_columns"), feed.table.target)
                if not has:
                    return 0
                found = await self._connection.fetchrow(statement, feed.source, *last, before, rows)
            if found is None:
                return 0
            *key, count = found
            last = tuple(key)
            return int(count)

        return batch

    async def _value(self, name: str, *arguments: Any) -> Any:
        with translated(self._url):
            return await self._connection.fetchval(query(f"retention_{name}"), *arguments)
