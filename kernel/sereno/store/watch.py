"""What monitors read: one query for all jobs, once a second at most, however many runs are kept.

A look never fails and never takes longer than `patience`. While the database is away it shows the
newest snapshot there is, says that the database is away, and tells how far time has gone on since.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Meta

from sereno.model.bounds import FIRST_INSTANT, LAST_INSTANT, LONGEST
from sereno.model.errors import SerenoError
from sereno.store.backend import Backend
from sereno.store.holder import doubtful_holder
from sereno.store.keys import LEADER_LOCK, LOCK_CLASS
from sereno.store.pool import Database

_log = logging.getLogger(__name__)


_FIRST, _LAST = FIRST_INSTANT.timestamp(), LAST_INSTANT.timestamp()
_LONGEST = LONGEST.total_seconds()

Instant = Annotated[float, Meta(ge=_FIRST, le=_LAST)]
Seconds = Annotated[float, Meta(ge=-_LONGEST, le=_LONGEST)]


class JobFacts(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What the database knows of one job that is declared now; counts are since its first day.

    Instants are seconds since the epoch, durations seconds. `fresh_at`: its last success, or when
    it was declared. Once that is longer ago than `overdue_after`: `resumed_at`, since when a
    schedule of it is active, and `unmet_slot`, the first slot due since that has a verdict.
    `active`: one of its schedules is; `paused`: none is, and one is paused. `next_slot`: the first
    without a verdict; `due_by`: the soonest end of a grace. `queued_slot`: the oldest slot whose
    run waits for its first attempt. `running_since`: start of the oldest run.
    """

    name: str
    plugin: str
    severity: str
    after: list[str]
    overdue_after: Seconds | None
    grace: Seconds
    timeout: Seconds | None
    fresh_at: Instant
    succeeded: int
    failed: int
    timed_out: int
    cancelled: int
    lost: int
    retried: int
    late: int
    coalesced: int
    skipped: int
    missed: int
    last_success_at: Instant | None
    last_end_at: Instant | None
    last_state: str | None
    last_run: int | None
    last_duration: Seconds | None
    active: bool
    paused: bool
    next_slot: Instant | None
    due_by: Instant | None
    queued: int
    queued_slot: Instant | None
    running: int
    running_since: Instant | None
    resumed_at: Instant | None
    unmet_slot: Instant | None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What the database said at `now` (its own time). `led`: a node holds the leader's lock.

    `holder`: who holds it, asked where that is no node, or one that has not beaten of late.
    `changed_at`: when schedules or declarations last changed; `history_at`: when the database was
    last found to have gone on from an older state, None when never.
    """

    now: datetime
    term: int
    leader: UUID | None
    leader_label: str | None
    acquired_at: datetime | None
    beat_at: datetime | None
    led: bool
    changed_at: datetime | None
    jobs: Mapping[str, JobFacts]
    holder: Backend | None = None
    history_at: datetime | None = None


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


class Watch:
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

    async def look(self) -> Glance:
        """Return what the database says now or said less than `fresh` seconds ago; never raises."""
        if self._reading is None and self._steady() - self._asked_at >= self._fresh:
            self._asked_at = self._steady()
            self._reading = asyncio.create_task(self._read())
        if self._reading is not None:
            left = self._asked_at + self._patience - self._steady()
            await asyncio.wait({self._reading}, timeout=max(0.0, left))
        return self._glance()

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
            (row,) = await self._database.fetch("watch_jobs", LOCK_CLASS, LEADER_LOCK)
            led, beat_at, now = row["led"], row["beat_at"], row["now"]
            holder = await doubtful_holder(self._database, held=led, beat_at=beat_at, now=now)
            self._snapshot, self._snapshot_at = _snapshot(row, holder), asked_at
            self._error = None
        except SerenoError as error:
            self._error = str(error)
        except Exception as error:  # a reader must get an answer, whatever we got wrong
            _log.exception("the state of jobs cannot be read")
            self._error = f"the state of jobs cannot be read: {type(error).__name__}"
        finally:
            self._reading = None


_decode = msgspec.json.Decoder(list[JobFacts]).decode
_unread: set[str] = set()
"""Jobs of which it has been told that they cannot be read."""


def _facts(text: str) -> list[JobFacts]:
    """Return what `text`, a JSON list of jobs, says of each; one that cannot be read is left out,
    and told once."""
    try:
        return _decode(text)
    except msgspec.ValidationError:
        found = []
    for cells in msgspec.json.decode(text):
        try:
            found.append(msgspec.convert([_within(*c) for c in enumerate(cells)], JobFacts))
        except (msgspec.ValidationError, OverflowError) as error:
            if cells[0] not in _unread:
                _unread.add(cells[0])
                _log.error("a job cannot be read", extra={"job": cells[0], "error": str(error)})
    return found


_TIMES = frozenset(
    n for n, field in enumerate(msgspec.structs.fields(JobFacts)) if "float" in str(field.type)
)
"""The places of instants and durations."""


def _within(place: int, cell: Any) -> Any:
    """Return the cell at `place` as one that `JobFacts` takes: an instant or a duration, also an
    infinite one, within those that Python holds; a list without nulls."""
    if isinstance(cell, list):
        return [part for part in cell if part is not None]
    if place not in _TIMES or cell is None:
        return cell
    return max(_FIRST, min(_LAST, float(cell)))


def _snapshot(row: asyncpg.Record, holder: Backend | None) -> Snapshot:
    return Snapshot(
        now=row["now"],
        term=row["term"],
        leader=row["node"],
        leader_label=row["label"],
        acquired_at=row["acquired_at"],
        beat_at=row["beat_at"],
        led=row["led"],
        changed_at=row["changed_at"],
        jobs={job.name: job for job in _facts(row["jobs"])},
        holder=holder,
        history_at=row["history_at"],
    )
