"""What monitors read: how all jobs are, asked once a second at most, whoever asks.

A poll never fails and never takes longer than `patience`. While the database is away it shows the
newest snapshot there is, says that the database is away, and tells how far time has gone on since.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import msgspec

from sereno.model.errors import SerenoError
from sereno.store.pool import Database
from sereno.store.refusals import Refusal
from sereno.store.snapshot import JobFacts, Snapshot, snapshot

_log = logging.getLogger(__name__)


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """The newest snapshot, None before the first; `now`: the database's time, as far as we know it.

    `error`: why the database cannot be asked, a sentence, None while it can.
    """

    snapshot: Snapshot | None
    now: datetime | None
    error: str | None

    @property
    def jobs(self) -> Mapping[str, JobFacts]:
        """Return the jobs of the snapshot."""
        return self.snapshot.jobs if self.snapshot else {}


class JobWatch:
    """Reads snapshots: one query at a time, one a second at the most, for however many readers.

    `fresh`: seconds for which an answer (a failure as well) is given again. `patience`: seconds
    that a reader waits. `steady`: a clock in seconds that only grows.
    """

    def __init__(
        self,
        database: Database,
        *,
        fresh: float = 1.0,
        patience: float = 2.0,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._fresh = fresh
        self._patience = patience
        self._steady = steady
        self._reading: asyncio.Task[None] | None = None
        self._asked_at = float("-inf")
        self._snapshot: Snapshot | None = None
        self._snapshot_at = 0.0
        self._error: str | None = "the database has not been asked yet"
        self._ending: set[tuple[str, bool]] = set()

    async def poll(self) -> Glance:
        """Return what the database says now or said less than `fresh` seconds ago; never raises."""
        if self._reading is None and self._steady() - self._asked_at >= self._fresh:
            self._asked_at = self._steady()
            self._reading = asyncio.create_task(self._read())
        if self._reading is not None:
            left = self._asked_at + self._patience - self._steady()
            await asyncio.wait({self._reading}, timeout=max(0.0, left))
        return self._glance()

    @property
    def refused(self) -> Mapping[str, Refusal]:
        """Return the plugins that the database did not take, as it last said."""
        return {} if self._snapshot is None else self._snapshot.refused

    async def close(self) -> None:
        """Give up a query that is under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})

    def _glance(self) -> Glance:
        error, now = self._error, None
        if self._reading is not None:
            waited = self._steady() - self._asked_at
            error = f"the database has not answered for {waited:.0f} s"
        if self._snapshot is not None:
            now = self._snapshot.now + timedelta(seconds=self._steady() - self._snapshot_at)
        return Glance(snapshot=self._snapshot, now=now, error=error)

    async def _read(self) -> None:
        asked_at = self._asked_at
        try:
            self._snapshot, self._snapshot_at = await snapshot(self._database), asked_at
            self._error = None
            self._log_ending(self._snapshot)
        except SerenoError as error:
            self._error = str(error)
        except Exception as error:  # a reader must get an answer, whatever we got wrong
            _log.exception("the state of jobs cannot be read")
            self._error = f"the state of jobs cannot be read: {type(error).__name__}"
        finally:
            self._reading = None

    def _log_ending(self, found: Snapshot) -> None:
        """Log numbers that come to their end, once, and once more when they have."""
        for numbers in found.ending:
            if (key := (numbers.number, numbers.over)) not in self._ending:
                self._ending.add(key)
                _log.error("numbers come to their end", extra={"error": numbers.sentence})
