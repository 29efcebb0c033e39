"""The queue: runs that somebody asks for, and those whose instant has come."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from sereno.model.bounds import LAST_INSTANT, checked_json
from sereno.model.errors import ParamsError
from sereno.model.ledger import Queued
from sereno.model.run import RunState
from sereno.model.stored_json import json_object
from sereno.store.pool import Connection, Database, Record
from sereno.store.run_request import RunRequest, check_request
from sereno.store.sql import sql


async def enqueue(
    db: Database,
    job: str,
    params: Mapping[str, Any],
    *,
    requested_by: str,
    cause: str = "program",
    run_at: datetime | None = None,
    priority: int | None = None,
    unique_key: str | None = None,
    trace_context: str | None = None,
    start_by: timedelta | None = None,
) -> int:
    """Queue a run and return its id; raises NotFoundError, and ParamsError on unfit params."""
    check_request(job, run_at, priority)
    found = await db.fetchval(
        "enqueue",
        *(job, checked_json(dict(params), f"job '{job}': params")),
        *(run_at, priority, unique_key, requested_by, cause, trace_context, start_by),
    )
    return int(found)


async def repeat(
    db: Database, run_id: int, *, requested_by: str, params: Mapping[str, Any] | None = None
) -> int | None:
    """Queue a run again that is over, as a run of its own; return its id, None when it is not over.

    It carries slot, schedule, params, policies, upstream and trace of the first, and says of which
    run it is the repetition. `params`: those that ended with the run, being secret, given anew.
    Raises NotFoundError when its job is gone, ParamsError when that takes other params by now, when
    a secret one is missing, and when one is given that was kept.
    """
    async with db.transaction() as connection:
        return await repeat_in(connection, run_id, requested_by=requested_by, params=params)


async def repeat_in(
    connection: Connection,
    run_id: int,
    *,
    requested_by: str,
    params: Mapping[str, Any] | None = None,
) -> int | None:
    """Queue a run again, as `repeat` does, in the transaction of `connection`."""
    given = dict(params or {})
    emptied = await connection.fetchval(sql("run_emptied"), run_id) or []
    if missing := sorted(set(emptied).difference(given)):
        raise ParamsError(
            f"run {run_id} was given {', '.join(missing)}, which is secret and was not kept "
            f"when it was over; give it again: {' '.join(f'-p {name}=...' for name in missing)}"
        )
    if others := sorted(set(given).difference(emptied)):
        raise ParamsError(
            f"run {run_id}: param '{others[0]}' is kept, and given again as it was; "
            "`sereno trigger` queues a run with others"
        )
    if await connection.fetchrow(sql("run_repeatable"), run_id, given) is None:
        return None
    return int(await connection.fetchval(sql("run_repeat"), run_id, requested_by, given))


class Coming(msgspec.Struct, frozen=True, kw_only=True):
    """What waits in the queue. `run_at`: the next instant at which a run is due; `start_by`: the
    first by which one is to begin; `keyed`: one waits that has a concurrency key; `children`: one
    of a fan-out."""

    run_at: datetime | None
    start_by: datetime | None
    keyed: bool
    children: bool


class Requested(msgspec.Struct, frozen=True, kw_only=True):
    """A run that somebody asked for. `new`: it was queued for that; otherwise it is the one that
    holds the unique key already.

    `held_until`: until when it does, None where that is for as long as it is not over. `state`:
    None where somebody has deleted its row by hand.
    """

    run_id: int
    new: bool
    state: RunState | None
    run_at: datetime
    queued_at: datetime
    finished_at: datetime | None = None
    held_until: datetime | None = None


async def request(
    db: Database,
    asked: RunRequest,
    *,
    cause: str,
    delay: timedelta | None = None,
    alone: bool = False,
    place: str | None = None,
) -> Requested:
    """Queue a run, and tell whether it is a new one.

    `delay`: in the place of its instant; by the database's clock. `place`: the one host or node at
    which a run of a job that works at each is to. Raises as `enqueue`, and ParamsError when the
    instant is past, or when what holds the key does not run `alone`, or at that place.
    """
    run_at = asked.run_at
    async with db.transaction() as connection:
        now = await connection.fetchval(sql("database_now"))
        if delay is not None:
            run_at = _later(now, delay)
        elif run_at is not None and run_at <= now:
            raise ParamsError(
                f"job '{asked.job}': {run_at:%F %T} UTC is in the past, it is {now:%F %T} UTC; "
                "leave the instant out to run now"
            )
        text = await connection.fetchval(
            sql("request_within"),
            *(asked.job, asked.params, run_at, asked.priority, asked.unique_key),
            *(asked.requested_by, cause, asked.trace_context, asked.start_by, asked.unique_for),
            None if asked.unique_by is None else list(asked.unique_by),
        )
        found = requested(text)
        if asked.tags and found.new:
            await connection.execute(sql("run_tag"), found.run_id, list(asked.tags))
        if alone:
            await connection.fetchval(sql("run_alone"), found.run_id)
        if place is not None:
            await connection.fetchval(sql("run_at_place"), found.run_id, place)
    return found


def requested(text: str) -> Requested:
    """Return what ``sereno.request`` tells of a run, as JSON text."""
    return msgspec.json.decode(text, type=Requested)


def _later(now: datetime, delay: timedelta) -> datetime:
    if delay < LAST_INSTANT - now:
        return now + delay
    raise ParamsError(f"a delay of {delay.days:,} days ends after the year 9999")


async def coming(db: Database) -> Coming:
    """Return what else waits."""
    (row,) = await db.fetch("queue_next")
    return Coming(**dict(row))


async def expired(db: Database, limit: int) -> list[int]:
    """Return at most `limit` queued runs that are too late to begin."""
    return [row["id"] for row in await db.fetch("queue_expired", limit)]


async def ready(
    db: Database, limit: int, jobs: Sequence[str], excluded: Sequence[int]
) -> list[Queued]:
    """Return at most `limit` runs of `jobs` whose instant has come and that have no concurrency
    key, in their order.

    `excluded`: schedules of which no run may start now.
    """
    rows = await db.fetch("queue_ready", limit, list(jobs), list(excluded))
    return [queued(r) for r in rows]


async def ready_keyed(
    db: Database,
    limit: int,
    jobs: Sequence[str],
    keys: Sequence[str],
    excluded: Sequence[int],
    last: Mapping[int, int],
) -> list[Queued]:
    """Return at most `limit` runs of `jobs` that have a concurrency key and whose instant has come,
    in the order in which they are to start.

    `keys`: those that have no place; `last`: of each priority, whose turn was last.
    """
    rows = await db.fetch(
        "queue_ready_keyed",
        *(limit, list(jobs), list(keys), list(excluded), list(last), list(last.values())),
        min(limit, MOST_OF_A_TURN),
    )
    return [queued(r) for r in rows]


async def ready_children(
    db: Database, limit: int, jobs: Sequence[str], keys: Sequence[str], lowest: int
) -> list[Queued]:
    """Return at most `limit` children of fan-outs whose instant has come, in their order.

    `jobs`, `keys`: as in `ready_keyed`; `lowest`: the least priority.
    """
    rows = await db.fetch("queue_ready_children", limit, list(jobs), list(keys), lowest)
    return [queued(r) for r in rows]


MOST_OF_A_TURN = 10
"""Runs of one key that are read at once: the first of many, as they start one by one."""


def queued(row: Record) -> Queued:
    """Return what a row with id, job, schedule_id, concurrency_key and policies says of a run."""
    return Queued(
        run_id=row["id"],
        job=row["job"],
        schedule_id=row["schedule_id"],
        concurrency_key=row["concurrency_key"],
        policies=json_object(row["policies"]),
        start_by=row.get("start_by"),
        priority=row.get("priority") or 0,
        turn=row.get("turn"),
        child=row.get("child") or False,
    )
