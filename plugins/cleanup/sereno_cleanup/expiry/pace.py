"""Makes room for others between two batches: a rest as long as the batch took, and until standbys
have caught up."""

import asyncio
import time
from typing import Any

import asyncpg
import msgspec

from sereno_cleanup.query import query

_LONGEST = 5.0
_LAG_EVERY = 1.0


class Pace(msgspec.Struct):
    """`rest`: seconds for each second of work. `max_lag`: of the slowest standby, in seconds."""

    database: Any
    rest: float
    max_lag: float
    began: float = msgspec.field(default_factory=time.monotonic)

    async def pause(self) -> None:
        """Rest after a batch; the slower the server is, the longer."""
        took = time.monotonic() - self.began
        await asyncio.sleep(min(_LONGEST, took * self.rest))
        while await self._lag() > self.max_lag:  # noqa: ASYNC110 - of another server's doing
            await asyncio.sleep(_LAG_EVERY)  # until the job's time limit, as all else
        self.began = time.monotonic()

    async def _lag(self) -> float:
        try:
            return float(await self.database.fetchval(query("replication_lag")))
        except asyncpg.InsufficientPrivilegeError:
            return 0.0  # who may not ask cannot wait
