"""Holds the watermark of one source's table, and moves it in the transaction of each page.

States of a session: without the table's lock; locked (no other session moves the table); holder
(its run's token stands in the watermark's row); superseded (another run's token stands there).

Invariants: the watermark and the rows that it covers commit together; it never moves back; a run
whose token is not in the row commits no page. Why a token beside the lock: the lock goes with its
session, as when the network is cut, and the run that has lost it may still send a page.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import msgspec

from sereno import RunSuperseded
from sereno_etl_ivr import position
from sereno_etl_ivr.page import Range
from sereno_etl_ivr.query import query
from sereno_etl_ivr.tally import RowTally
from sereno_etl_ivr.target.batch import Mark

_AGAIN_SECONDS = 0.1

Fence = Callable[[Any], Awaitable[None]]


class WatermarkPlace(msgspec.Struct, frozen=True):
    """Whose watermark it is. `fence`: called in each transaction; what it raises rolls it back.

    `notes`: rows that are written are noted for `etl_ivr.aggregate`, in the same transaction.
    """

    source: str
    table: str
    fence: Fence
    notes: bool = False


class Watermark:
    """The right to write rows of one source's table, as one session has it.

    `token`: of the run that holds it; the sessions of one run share it.
    """

    def __init__(self, connection: Any, place: WatermarkPlace, token: UUID | None = None) -> None:
        self._connection = connection
        self._place = place
        self._names = place.source, place.table
        self.token = token or uuid4()

    async def lock(self, patience: timedelta) -> bool:
        """Take the lock of this source's table; False when another session keeps it.

        `patience`: a run that was killed leaves its session to the server, which may still be busy
        with its last statement.
        """
        end = time.monotonic() + patience.total_seconds()
        while not await self._connection.fetchval(query("lock"), *self._names):
            if time.monotonic() > end:
                return False
            await asyncio.sleep(_AGAIN_SECONDS)
        return True

    async def unlock(self) -> None:
        """Give the lock back; the session stays."""
        await self._connection.fetchval(query("unlock"), *self._names)

    async def hold(self, zone: ZoneInfo) -> Mark:
        """Become the one who may move the watermark, and return where it stands."""
        found = await self._connection.fetchrow(query("hold"), *self._names, self.token, zone.key)
        return Mark(*found)

    async def settled(self) -> int | None:
        """Return where the next sync starts, and hold nothing."""
        found: int | None = await self._connection.fetchval(query("settled"), *self._names)
        return found

    async def record(self, tally: RowTally) -> None:
        """Keep what a sync read, and what of it could not be loaded."""
        rejected = tally.rejected + tally.still_rejected
        await self._connection.execute(query("last_sync"), *self._names, tally.read, rejected)

    async def claim(
        self,
        mark: Mark | None,
        inserted: int = 0,
        target: str | None = None,
        within: Range | None = None,
    ) -> int | None:
        """Fence the open transaction, lock the watermark's row and move it; return its position.

        `inserted`: rows that the transaction has written already, into a range `within` `target`.
        """
        reached, settled = (None, None) if mark is None else (mark.reached, mark.settled)
        await self._place.fence(self._connection)
        held = await self._connection.fetchrow(
            query("move"),
            *self._names,
            self.token,
            reached,
            None if reached is None else position.text(reached),
            settled,
            inserted,
            *self._note(target, within),
        )
        if held is None:
            raise RunSuperseded(
                f"source '{self._place.source}', table '{self._place.table}': another run has "
                "taken the watermark; this one ends, and what it has not committed is undone"
            )
        found: int | None = held[0]
        return found

    async def count(self, tally: RowTally, target: str, within: Range) -> None:
        """Count what a merge of a range `within` `target` did."""
        counts = (tally.inserted, tally.updated, tally.rejected, tally.deleted)
        if any(counts):
            note = self._note(target, within)
            await self._connection.execute(query("tally"), *self._names, *counts, *note)

    def _note(
        self, target: str | None, within: Range | None
    ) -> tuple[str | None, int | None, int | None]:
        if within is None or not self._place.notes:
            return None, None, None
        return target, within.start, within.end
