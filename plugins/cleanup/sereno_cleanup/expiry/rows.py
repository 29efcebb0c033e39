"""Deletes expired rows of one table, batch by batch, from the oldest on."""

import time
from collections.abc import AsyncGenerator
from typing import Any, Protocol

import asyncpg
import msgspec

from sereno_cleanup.database import short_transaction
from sereno_cleanup.expiry.pace import Stride
from sereno_cleanup.expiry.shape import Shape
from sereno_cleanup.query import filled, query

READ_BATCHES = 20
"""Batches whose rows are found by one read: it pays once for what others cannot vacuum yet."""

MOST_REFUSED = 100
"""Rows that a table may refuse: beyond, the fault is the rule's, and each row would cost its own
transaction."""

AT_ONCE = 50
"""Rows that are kept at a time: a table may have documents of a megabyte in each."""

_KEPT = "a trigger or a rule of the table keeps what is deleted, and says nothing"

_OF_A_ROW = ("P0", "22", "23")
"""Classes of errors that a row's content or its trigger is the cause of."""


class Keeper(Protocol):
    """Keeps rows before they go. `columns`: what it wants of each, as SQL. `durable`: what was kept
    must not stand in the table again after a crash of the server."""

    columns: str
    durable: bool

    async def keep(self, rows: list[Any]) -> None:
        """Take some of a batch's `rows`."""
        ...

    async def settle(self) -> None:
        """Return once the rows of this batch are on the disk."""
        ...


class ExpiredRows(msgspec.Struct, frozen=True):
    """Rows of `leaf` that `shape` and `where` (a condition in SQL) let go.

    `refused`: what the database says of those that it does not let go: a trigger that raises, a row
    of another table that refers to one. Each costs its own row alone, up to MOST_REFUSED.
    """

    database: Any
    shape: Shape
    leaf: str
    where: str
    batch: int
    refused: list[str] = []

    async def delete(self, keeper: Keeper | None = None) -> AsyncGenerator[int, None]:
        """Delete batch after batch; yield how many rows went with each."""
        returning = f"RETURNING {keeper.columns}" if keeper else ""
        statement = self._filled("delete_rows", returning=returning)
        stride = Stride(self.batch)
        place: str | None = None
        inclusive = True
        while True:
            ids, place = await self._read(place, inclusive)
            gone_of_read = first = 0
            while first < len(ids):
                began, some = time.monotonic(), ids[first : first + stride.rows]
                count = await self._remove(statement, some, keeper)
                stride.took(time.monotonic() - began)
                first += len(some)
                gone_of_read += count
                yield count
            if len(ids) < self.batch * READ_BATCHES:
                return
            # Rows of the very instant at which a read ended may be left; where all of that read
            # were locked, the next one must not find the same again.
            inclusive = gone_of_read > 0

    async def _remove(self, statement: str, ids: list[str], keeper: Keeper | None) -> int:
        """Delete the rows `ids` in one transaction; where one is refused, in halves."""
        try:
            async with short_transaction(self.database, durable=bool(keeper and keeper.durable)):
                return await self._removed(statement, ids, keeper)
        except asyncpg.PostgresError as error:
            if error.sqlstate[:2] not in _OF_A_ROW or len(self.refused) >= MOST_REFUSED:
                raise
            if len(ids) == 1:
                self.refused.append(str(error))
                return 0
        half = len(ids) // 2
        first = await self._remove(statement, ids[:half], keeper)
        return first + await self._remove(statement, ids[half:], keeper)

    async def _removed(self, statement: str, ids: list[str], keeper: Keeper | None) -> int:
        """Delete the rows `ids`, and have them kept; return how many went."""
        arguments = "{" + ",".join(ids) + "}", self.shape.cutoff
        if keeper is None:
            count = int((await self.database.execute(statement, *arguments)).split()[-1])
            await self._note_kept(count, arguments)
            return count
        # All go with the first fetch; the server hands them out a few at a time, however wide.
        cursor, count = await self.database.cursor(statement, *arguments), 0
        while gone := await cursor.fetch(AT_ONCE):
            if count == 0:
                # What waits for the commit to refuse a row would do so after it was kept.
                await self.database.execute(query("constraints_now"))
            count += len(gone)
            await keeper.keep(gone)
        await self._note_kept(count, arguments)
        if count:
            await keeper.settle()  # before the commit: a crash may keep a row twice
        return count

    async def _note_kept(self, gone: int, arguments: tuple[str, str]) -> None:
        """Where nothing of a batch has `gone`, find out whether the table itself keeps it."""
        if gone == 0:
            kept = await self.database.fetchval(self._filled("rows_kept"), *arguments)
            self.refused.extend([_KEPT] * min(kept, MOST_REFUSED - len(self.refused)))

    async def count(self, most: int) -> tuple[int, str | None]:
        """Return how many rows would go, up to `most`, and of when the oldest is."""
        found = await self.database.fetchrow(
            self._filled("expired_rows_count"), self.shape.cutoff, most
        )
        return found["rows"], found["oldest"]

    async def _read(self, place: str | None, inclusive: bool) -> tuple[list[str], str | None]:
        """Return where the next rows stand, each as PostgreSQL quotes it in an array, and the
        place of the last."""
        arguments: list[Any] = [self.shape.cutoff, self.batch * READ_BATCHES]
        name, after = "expired_rows_first", ">="
        if place is not None:
            name, after = "expired_rows_next", ">=" if inclusive else ">"
            arguments.append(place)
        async with short_transaction(self.database):
            found = await self.database.fetchrow(self._filled(name, after=after), *arguments)
        return _each(found["ids"]), found["place"]

    def _filled(self, name: str, **more: str) -> str:
        return filled(
            name,
            table=self.leaf,
            column=self.shape.column,
            type=self.shape.type,
            **more,
            where=f"{self.where}\n",  # last: what it says is not looked at again
        )


def _each(ids: str) -> list[str]:
    """Return the items of a text as ``{"(0,1)","(0,2)"}``, quotes and all."""
    return [f'"{item}"' for item in ids[2:-2].split('","')] if len(ids) > 2 else []
