"""Reads what is due and writes what became of it."""

import logging
from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, cast
from uuid import UUID

import asyncpg

from sereno.model.bounds import FIRST_INSTANT, LAST_INSTANT
from sereno.model.errors import LeaseLostError, StoreError
from sereno.model.ledger import Entry, NewRun, OpenRange, ScheduleVersion, Settlement
from sereno.model.run import Verdict
from sereno.model.stored_json import json_object
from sereno.store.pool import Database
from sereno.store.sql import sql

log = logging.getLogger("sereno.leader")

Made = dict[tuple[int, datetime], tuple[int, UUID | None, str | None]]
"""The runs that a settlement made, by schedule and slot: the id, the token of what starts, and what
is said of it when it is late."""


async def agenda(db: Database, horizon: datetime, limit: int) -> list[Entry]:
    """Return at most `limit` schedules that have their instant up to `horizon`, soonest first."""
    return entries_of(await db.fetch("agenda", horizon, limit))


async def agenda_of(db: Database, schedules: Sequence[int]) -> list[Entry]:
    """Return those of `schedules` that have anything to come."""
    return entries_of(await db.fetch("agenda_of", list(schedules)))


async def settle(
    db: Database, term: int, node: UUID, settlements: Sequence[Settlement]
) -> tuple[set[int], Made]:
    """Write `settlements` in one statement, each whole or not at all, under `term`.

    Returns the schedules that were settled (the others have changed meanwhile: read them again) and
    the runs that were made. Raises LeaseLostError when the term has moved on: then nothing was
    written.
    """
    async with db.connection() as connection:
        rows = await connection.fetch(sql("settle"), term, node, *_columns(settlements))
        if not rows and await connection.fetchval(sql("fence"), term) is None:
            raise LeaseLostError(f"term {term} is over: its slots are another node's to settle")
    made = {
        (r["schedule_id"], r["slot"]): (r["run_id"], r["token"], r["late"])
        for r in rows
        if r["run_id"] is not None
    }
    return {r["schedule_id"] for r in rows}, made


async def free(db: Database, schedules: Collection[int]) -> set[int]:
    """Return those of `schedules` whose watermark nobody keeps locked."""
    rows = await db.fetch("watermarks_free", list(schedules))
    return {row["schedule_id"] for row in rows}


def _columns(settlements: Sequence[Settlement]) -> list[list[Any]]:
    marks, slots, runs, ranges = [], [], [], []
    for s in settlements:
        entry = s.entry
        number, job = entry.schedule_id, entry.job
        started = {r.slot: _run(r) for r in s.runs}
        last: tuple[Any, ...] = _NO_SLOT
        if s.slots:
            v = s.slots[-1]
            last = (v.slot, v.verdict, v.reason, *started.pop(v.slot, _NO_RUN))
        marks.append(
            (
                number,
                entry.settled_to,
                s.settled_to,
                s.next_slot,
                s.wake_at,
                entry.version,
                job,
                s.open and s.open.first,
                s.open and f"{s.open.verdict} {s.open.reason}",
                *last,
            )
        )
        slots += [(number, v.slot, v.verdict, v.reason) for v in s.slots[:-1]]
        runs += [(number, slot, *run) for slot, run in started.items()]
        ranges += [(number, r.first, r.last, r.slots, r.verdict, r.reason) for r in s.ranges]
    return [
        *_transposed(marks, 19),
        *_transposed(slots, 4),
        *_transposed(runs, 9),
        *_transposed(ranges, 6),
    ]


_NO_RUN = (None,) * 7
_NO_SLOT = (None, None, None, *_NO_RUN)


def _run(run: NewRun) -> tuple[Any, ...]:
    return (
        *(run.start, run.params, run.policies, run.priority, run.concurrency_key),
        *(run.on_time_until, run.start_by),
    )


def _transposed(rows: list[Any], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


def entries_of(rows: list[asyncpg.Record]) -> list[Entry]:
    """Return what `rows` hold, without the schedules whose rows cannot be read: each is told, and
    costs no other its slots."""
    found = []
    for _, group in groupby(rows, key=lambda r: r["id"]):
        versions = list(group)
        try:
            found.append(_entry(versions))
        except Exception as error:
            log.error(
                "a schedule cannot be read",
                extra={"schedule": versions[0]["name"], "error": str(error)},
            )
    return found


def _entry(rows: list[asyncpg.Record]) -> Entry:
    row = rows[0]
    if not FIRST_INSTANT < row["settled_to"] < LAST_INSTANT:
        raise StoreError("its settled_to is out of range: no slot of it can be told from another")
    return Entry(
        schedule_id=row["id"],
        name=row["name"],
        job=row["job"],
        versions=tuple(version_of(r) for r in rows),
        settled_to=row["settled_to"],
        next_slot=row["next_slot"],
        wake_at=row["wake_at"],
        version=row["version"],
        open=_opened(row),
        paused_until=row["paused_until"],
    )


def _opened(row: asyncpg.Record) -> OpenRange | None:
    """Return the range that may grow; none where it cannot be told: then a new one begins."""
    verdict, space, reason = (row["open_what"] or "").partition(" ")
    if row["open_first"] is None or not space:
        return None
    return OpenRange(first=row["open_first"], verdict=cast(Verdict, verdict), reason=reason)


def version_of(row: asyncpg.Record) -> ScheduleVersion:
    """Return the version of a schedule that `row` holds, its number as ``v_version``."""
    return ScheduleVersion(
        version=row["v_version"],
        valid_from=row["valid_from"],
        state=row["state"],
        trigger=row["trigger"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        jitter=row["jitter"],
        params=json_object(row["params"]),
        policies=json_object(row["policies"]),
    )
