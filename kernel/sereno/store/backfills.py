"""Back-fills: runs for slots of the past, each order a row that the leader carries out few at a
time.

States: queued, running (from its first step on), then done, cancelled or failed. A step looks which
of its runs are over, and queues as many more as may be under way at once, the oldest slots first;
what it queues, and the place behind which the next step goes on, is one transaction that takes the
term and the order's row at the place from which was looked. Invariant: a slot is filled once,
whoever asks (`sereno.backfilled` holds its key), but on purpose (`again`).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from sereno.model.concurrency import concurrency_key
from sereno.model.errors import (
    DeclarationError,
    LeaseLostError,
    NotFoundError,
    SerenoError,
    StoreUnavailableError,
)
from sereno.model.fault import message
from sereno.model.stored_json import json_object, unreadable
from sereno.model.suggestion import suggested
from sereno.settings import redact
from sereno.store import runs
from sereno.store.backfill_slots import ChosenSlot, Span, slots_to_fill
from sereno.store.bulk_queue import OpenBackfill
from sereno.store.bulks import BulkState
from sereno.store.pool import Database
from sereno.store.sql import sql

LOOKED_AT = 1_000
"""Slots that are looked at for one step, where those that are to run may be rare."""

_MAX_ERROR = 1_000
_LOWEST = -32768


class BackfillView(msgspec.Struct, frozen=True, kw_only=True):
    """A back-fill as it stands: of the slots of `schedule` in [since, until).

    `expected`: of how many slots it was when it was asked for. `queued`: for so many it has queued
    a run by now; of these `pending` are not over, `succeeded` and `failed` are. `left_out`: slots
    that had a run already, or were not meant. `error`: the first that is to be told.
    """

    id: int
    schedule: str
    job: str
    since: datetime
    until: datetime
    missed_only: bool
    again: bool
    parallel: int
    reason: str
    requested_by: str
    expected: int
    state: BulkState
    created_at: datetime
    queued: int
    succeeded: int
    failed: int
    left_out: int
    pending: int
    error: str | None = None
    cancelled_by: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def over(self) -> bool:
        """Tell whether it goes no further."""
        return self.state not in ("queued", "running")


class ScheduleToFill(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule that may be filled. `now`: by the database's clock."""

    id: int
    name: str
    job: str
    now: datetime


async def schedule_to_fill(db: Database, name: str) -> ScheduleToFill:
    """Return the schedule `name`, or the one schedule of the job of that name; raises
    NotFoundError, and DeclarationError for what cannot be filled."""
    rows = await db.fetch("backfill_schedules", name)
    own = [r for r in rows if r["name"] == name and r["state"] != "orphaned"]
    alive = own or [r for r in rows if r["state"] != "orphaned"] or rows
    if not alive:
        if await db.fetchval("job_policies", name) is not None:
            raise DeclarationError(
                f"backfill: job '{name}' has no schedule, so nothing of it is due; "
                f"`sereno trigger {name}` runs it"
            )
        near = await db.fetchval("schedule_like", name)
        raise NotFoundError(
            f"there is no schedule, nor a job with schedules, named '{name}'{suggested(near)}"
        )
    if len(alive) > 1:
        names = ", ".join(r["name"] for r in alive[:10]) + (", ..." if len(alive) > 10 else "")
        raise DeclarationError(
            f"backfill: job '{name}' has {len(alive)} schedules, name one of them: {names}"
        )
    row = alive[0]
    if row["state"] == "orphaned" or not row["present"]:
        raise DeclarationError(
            f"backfill: the job '{row['job']}' of schedule '{row['name']}' is not declared by the"
            " replica that led last, and nothing would run; `sereno plugins` there tells why"
        )
    if json_object(row["declared"]).get("enabled", True) is False:
        raise DeclarationError(
            f"backfill: schedule '{row['name']}' is disabled by the configuration (enabled ="
            " false); enable it first"
        )
    if row["one_off"]:
        job = row["job"]
        raise DeclarationError(
            f"backfill: schedule '{row['name']}' is one-off and has no slots but one; "
            f"`sereno trigger {job}` runs its job"
        )
    return ScheduleToFill(id=row["id"], name=row["name"], job=row["job"], now=row["now"])


async def make(
    db: Database,
    schedule: ScheduleToFill,
    span: Span,
    *,
    parallel: int,
    reason: str,
    by: str,
    expected: int,
) -> int:
    """Note a back-fill, and wake the leader; return its number."""
    found = await db.fetchval(
        "backfill_make",
        *(schedule.id, schedule.name, schedule.job, span.since, span.until),
        *(span.missed_only, span.again, parallel, reason, by, expected),
    )
    return int(found)


async def view(db: Database, number: int) -> BackfillView:
    """Return a back-fill as it stands; raises NotFoundError."""
    row = await db.fetchrow("view_backfill", number)
    if row is None:
        raise NotFoundError(f"there is no back-fill {number}; `sereno backfills` lists them")
    return _view(row)


async def newest(db: Database, limit: int, before: int | None) -> list[BackfillView]:
    """Return at most `limit` back-fills, the newest first, older than `before` where given."""
    return [_view(row) for row in await db.fetch("view_backfills", limit, before)]


async def stop(db: Database, number: int, by: str) -> None:
    """Have a back-fill queue no more, and cancel those of its runs that wait."""
    for row in await db.fetch("backfill_stop", number, by):
        reason = f"back-fill {number} was cancelled"
        await db.fetchval("cancel_request", row["id"], by, reason)


async def carry_on(db: Database, term: int, order: OpenBackfill) -> bool:
    """Do the next step of a back-fill under `term`, and end it after its last; tell whether there
    was anything to do.

    One whose slots cannot be computed any more is `failed`. Raises LeaseLostError, and StoreError
    when nothing of the step was done.
    """
    states = await runs.states(db, order.pending) if order.pending else {}
    pending = [r for r in order.pending if states.get(r) in ("queued", "running")]
    over = [states.get(r) for r in order.pending if r not in pending]
    room = order.parallel - len(pending)
    at_end = order.place >= order.until
    if not over and (room <= 0 or (at_end and pending)):
        return False
    chosen: list[ChosenSlot] = []
    place, left, error = None if at_end else order.place, 0, None
    policies: dict[str, Any] = {}
    if room > 0 and not at_end:
        try:
            _, found = await slots_to_fill(
                db, _span(order), order.place, most=room, looked=LOOKED_AT
            )
            chosen, place, left = found.chosen, found.place, found.left.total()
            policies = json_object(await db.fetchval("job_policies", order.job)) or {}
        except (StoreUnavailableError, LeaseLostError):
            raise
        except (SerenoError, ValueError, ArithmeticError) as fault:  # a trigger may be a plugin's
            error = message(fault, _MAX_ERROR)
    ended = (
        sum(1 for state in over if state == "succeeded"),
        sum(1 for state in over if state not in ("succeeded", None)),
    )
    await _write(
        db, term, order, _made(chosen, order, policies), pending, place, ended, left, error
    )
    return True


class _Made(msgspec.Struct, kw_only=True):
    """The columns of runs that are to be queued, and what refused to be one."""

    columns: list[list[Any]]
    refused: int = 0
    error: str | None = None


def _made(chosen: Sequence[ChosenSlot], order: OpenBackfill, job: dict[str, Any]) -> _Made:
    rows, made = [], _Made(columns=[])
    for c in chosen:
        try:
            rows.append(_row(c, order.schedule_id, job))
        except SerenoError as error:
            made.refused += 1
            made.error = made.error or message(error, _MAX_ERROR)
    made.columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(5)]
    return made


def _row(chosen: ChosenSlot, schedule_id: int, job: dict[str, Any]) -> tuple[Any, ...]:
    """Return slot, params, policies, priority and concurrency key of a run.

    It gives way to what is on time: by its priority, and it has the key that the slots of its
    schedule have, so that it overlaps with none where these may not.
    """
    version = chosen.version
    if fault := unreadable(params=version.params, policies=version.policies):
        raise DeclarationError(f"slot {chosen.slot:%Y-%m-%dT%H:%M:%SZ}: {fault}")
    policies = {**job, **version.policies}
    template = policies.get("concurrency_key")
    key = None if policies.get("overlap") == "allow" else f"schedule {schedule_id}"
    if template is not None:
        key = concurrency_key(template, version.params)
    priority = max(_LOWEST, policies.get("priority", 0) - 1)
    return (chosen.slot, version.params, version.policies, priority, key)


async def _write(
    db: Database,
    term: int,
    order: OpenBackfill,
    made: _Made,
    pending: list[int],
    place: datetime | None,
    ended: tuple[int, int],
    left: int,
    error: str | None,
) -> None:
    async with db.transaction() as connection:
        held = (term, order.id, order.place, order.pending)
        if await connection.fetchval(sql("backfill_hold"), *held) is None:
            if await connection.fetchval(sql("fence"), term) is None:
                raise LeaseLostError(f"term {term} is over: its back-fills are another node's")
            return  # it was cancelled meanwhile
        queued = []
        if made.columns[0]:
            queued = await connection.fetch(sql("backfill_queue"), order.id, *made.columns)
        left += len(made.columns[0]) - len(queued)
        await connection.execute(
            sql("backfill_move"),
            *(order.id, place, [*pending, *(r["id"] for r in queued)], len(queued)),
            *(ended[0], ended[1] + made.refused, left),
            *(error if error is not None else made.error, error is not None),
        )


def _span(order: OpenBackfill) -> Span:
    return Span(
        schedule_id=order.schedule_id,
        since=order.since,
        until=order.until,
        missed_only=order.missed_only,
        again=order.again,
    )


def _view(row: asyncpg.Record) -> BackfillView:
    facts = dict(row)
    spoken = ("reason", "requested_by", "error", "cancelled_by")
    facts |= {name: redact(facts[name]) for name in spoken if facts[name] is not None}
    return BackfillView(**facts)
