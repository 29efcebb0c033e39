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
from sereno.store.pool import Database, Record
from sereno.store.run_request import check_request
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
) -> int:
    """Queue a run and return its id; raises NotFoundError, and ParamsError on unfit params."""
    check_request(job, run_at, priority)
    found = await db.fetchval(
        "enqueue",
        *(job, checked_json(dict(params), f"job '{job}': params")),
        *(run_at, priority, unique_key, requested_by, cause, trace_context),
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
    given = dict(params or {})
    async with db.transaction() as connection:
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


class Requested(msgspec.Struct, frozen=True, kw_only=True):
    """A run that somebody asked for. `new`: it was queued for that; otherwise it is the one that
    holds the `unique_key` already."""

    run_id: int
    new: bool
    state: RunState
    run_at: datetime


async def request(
    db: Database,
    job: str,
    params: Mapping[str, Any],
    *,
    requested_by: str,
    cause: str,
    run_at: datetime | None = None,
    delay: timedelta | None = None,
    priority: int | None = None,
    unique_key: str | None = None,
    trace_context: str | None = None,
) -> Requested:
    """Queue a run, and tell whether it is a new one.

    `run_at`, `delay`: one of them; by the database's clock. Raises as `enqueue`, and ParamsError
    when `run_at` is past.
    """
    check_request(job, run_at, priority)
    text = checked_json(dict(params), f"job '{job}': params")
    async with db.transaction() as connection:
        now = await connection.fetchval(sql("database_now"))
        if delay is not None:
            run_at = _later(now, delay)
        elif run_at is not None and run_at <= now:
            raise ParamsError(
                f"job '{job}': {run_at:%F %T} UTC is in the past, it is {now:%F %T} UTC; "
                "leave the instant out to run now"
            )
        found = await connection.fetchval(
            sql("enqueue"),
            job,
            text,
            run_at,
            priority,
            unique_key,
            requested_by,
            cause,
            trace_context,
        )
        row = await connection.fetchrow(sql("run_requested"), found)
    return Requested(run_id=found, **dict(row))


def _later(now: datetime, delay: timedelta) -> datetime:
    if delay < LAST_INSTANT - now:
        return now + delay
    raise ParamsError(f"a delay of {delay.days:,} days ends after the year 9999")


async def ready(
    db: Database, limit: int, jobs: Sequence[str], keys: Sequence[str], excluded: Sequence[int]
) -> list[Queued]:
    """Return at most `limit` runs of `jobs` whose instant has come, in their order.

    `keys`: concurrency keys in use; `excluded`: schedules of which no run may start now.
    """
    rows = await db.fetch("queue_ready", limit, list(jobs), list(keys), list(excluded))
    return [queued(r) for r in rows]


def queued(row: Record) -> Queued:
    """Return what a row with id, job, schedule_id, concurrency_key and policies says of a run."""
    return Queued(
        run_id=row["id"],
        job=row["job"],
        schedule_id=row["schedule_id"],
        concurrency_key=row["concurrency_key"],
        policies=json_object(row["policies"]),
        start_by=row.get("start_by"),
    )
