"""Reads how all jobs are, by one statement, however many runs are kept."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Meta

from sereno.model.bounds import FIRST_INSTANT, LAST_INSTANT, LONGEST
from sereno.store.backend import Backend
from sereno.store.holder import doubtful_holder
from sereno.store.keys import LEADER_LOCK, LOCK_CLASS
from sereno.store.numbers import EndingNumbers
from sereno.store.pool import Database
from sereno.store.refusals import Refusal, refusals

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
    run waits for its first attempt. `running_since`: start of the oldest run. `stalled`: runs
    at work that have said nothing for too long; `stalled_since`, `stalled_run`: of the one that has
    for the longest time.
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
    expired: int
    late: int
    coalesced: int
    skipped: int
    missed: int
    warnings: int
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
    stalled: int = 0
    stalled_since: Instant | None = None
    stalled_run: int | None = None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What the database said at `now` (its own time). `led`: a node holds the leader's lock.

    `holder`: who holds it, asked where that is no node, or one that has not beaten of late.
    `changed_at`: when schedules or declarations last changed; `history_at`: when the database was
    last found to have gone on from an older state, None when never. `refused`: plugins that it did
    not take of what was registered last; `ending`: numbers that come to their end.
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
    refused: Mapping[str, Refusal] = {}
    ending: Sequence[EndingNumbers] = ()


async def snapshot(db: Database) -> Snapshot:
    """Return what the database says now."""
    (row,) = await db.fetch("watch_jobs", LOCK_CLASS, LEADER_LOCK)
    led, beat_at, now = row["led"], row["beat_at"], row["now"]
    return _snapshot(row, await doubtful_holder(db, held=led, beat_at=beat_at, now=now))


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
        refused=refusals(row["refused"]),
        ending=msgspec.json.decode(row["ending"], type=list[EndingNumbers]),
    )
