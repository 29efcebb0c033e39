"""Deletes expired rows of one table, batch by batch, from the oldest on."""

from collections.abc import AsyncGenerator
from typing import Any, Protocol

import asyncpg
import msgspec

from sereno_cleanup.database import short_transaction
from sereno_cleanup.expiry.shape import Shape
from sereno_cleanup.query import filled, query

READ_BATCHES = 20
"""Batches whose rows are found by one read: it pays once for what others cannot vacuum yet."""

MOST_REFUSED = 100
"""Rows that a table may refuse: beyond, the fault is the rule's, and each row would cost its own
transaction."""

_OF_A_ROW = ("P0", "22", "23")
"""Classes of errors that a row's content or its trigger is the cause of."""


class Keeper(Protocol):
    """Keeps rows before they go. `columns`: what it wants of each, as SQL."""

    columns: str

    async def keep(self, rows: list[Any]) -> None:
        """Return once `rows` are on the disk."""
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
        statement = self._filled("delete_rows", returning=keeper.columns if keeper else "1")
        place: str | None = None
        inclusive = True
        while True:
            rows = await self._read(place, inclusive)
            gone_of_read = 0
            for first in range(0, len(rows), self.batch):
                ids = [row["ctid"] for row in rows[first : first + self.batch]]
                count = await self._remove(statement, ids, keeper)
                gone_of_read += count
                yield count
            if len(rows) < self.batch * READ_BATCHES:
                return
            # Rows of the very instant at which a read ended may be left; where all of that read
            # were locked, the next one must not find the same again.
            place, inclusive = rows[-1]["place"], gone_of_read > 0

    async def _remove(self, statement: str, ids: list[Any], keeper: Keeper | None) -> int:
        """Delete the rows `ids` in one transaction; where one is refused, in halves."""
        try:
            async with short_transaction(self.database):
                gone = await self.database.fetch(statement, ids, self.shape.cutoff)
                if keeper is not None and gone:
                    # What waits for the commit to refuse a row would do so after it was kept.
                    await self.database.execute(query("constraints_now"))
                    await keeper.keep(gone)  # before the commit: a crash may keep a row twice
                return len(gone)
        except asyncpg.PostgresError as error:
            if error.sqlstate[:2] not in _OF_A_ROW or len(self.refused) >= MOST_REFUSED:
                raise
            if len(ids) == 1:
                self.refused.append(str(error))
                return 0
        half = len(ids) // 2
        first = await self._remove(statement, ids[:half], keeper)
        return first + await self._remove(statement, ids[half:], keeper)

    async def count(self, most: int) -> tuple[int, str | None]:
        """Return how many rows would go, up to `most`, and of when the oldest is."""
        rows = await self.database.fetch(
            self._filled("expired_rows_first"), self.shape.cutoff, most
        )
        return len(rows), rows[0]["place"] if rows else None

    async def _read(self, place: str | None, inclusive: bool) -> list[Any]:
        size = self.batch * READ_BATCHES
        async with short_transaction(self.database):
            if place is None:
                found = self._filled("expired_rows_first")
                return list(await self.database.fetch(found, self.shape.cutoff, size))
            found = self._filled("expired_rows_next", after=">=" if inclusive else ">")
            return list(await self.database.fetch(found, self.shape.cutoff, size, place))

    def _filled(self, name: str, **more: str) -> str:
        return filled(
            name,
            table=self.leaf,
            column=self.shape.column,
            type=self.shape.type,
            **more,
            where=self.where,  # last: what it says is not looked at again
        )
