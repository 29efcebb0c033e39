"""Makes room for others between two batches, and keeps each one short.

A rest is as long as `rest` times the work, so that a slow server gets more; a standby that is
behind is waited for. A batch that takes long is followed by a smaller one.
"""

import asyncio
import time
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec

from sereno import RunContext
from sereno_cleanup.limit import out_of_time
from sereno_cleanup.query import query
from sereno_cleanup.settings import MAX_LAG, REST

_LONGEST = 5.0
_LAG_EVERY = 1.0
_LONG_BATCH = 0.1
_SHARE = 8  # of the batch that was asked for: where each costs a sync, fewer rows do not help


class Stride(msgspec.Struct):
    """How many rows the next batch has: `most`, or fewer while others would wait long for one."""

    most: int
    rows: int = 0

    def __post_init__(self) -> None:
        self.rows = self.most

    def took(self, seconds: float) -> None:
        """Choose the size of the next batch by how long the last one took."""
        if seconds > _LONG_BATCH:
            self.rows = max(1, self.most // _SHARE, self.rows // 2)
        elif seconds < _LONG_BATCH / 2:
            self.rows = min(self.most, 2 * self.rows)


class Pace(msgspec.Struct):
    """`rest`: seconds for each second of work. `max_lag`: of the slowest standby."""

    run: RunContext[Any]
    database: Any
    rest: float = REST
    max_lag: timedelta = MAX_LAG
    began: float = msgspec.field(default_factory=time.monotonic)

    async def pause(self) -> bool:
        """Rest after a batch; return False when no time is left for another."""
        took = time.monotonic() - self.began
        await asyncio.sleep(min(_LONGEST, took * self.rest))
        while not out_of_time(self.run):
            if await self._lag() <= self.max_lag.total_seconds():
                self.began = time.monotonic()
                return True
            await asyncio.sleep(_LAG_EVERY)
        return False

    async def _lag(self) -> float:
        try:
            return float(await self.database.fetchval(query("replication_lag")))
        except asyncpg.InsufficientPrivilegeError:
            return 0.0  # who may not ask cannot wait
