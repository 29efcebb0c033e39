"""Reads and writes runs: claims, outcomes, chains, progress, losses."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from sereno.model.errors import LeaseLostError, RunSuperseded
from sereno.model.ledger import Claim, Queued
from sereno.model.run import (
    LogLine,
    Outcome,
    ProgressUpdate,
    RunState,
    RunWarning,
    Verdict,
)
from sereno.model.stored_json import Unreadable, json_object, unreadable
from sereno.model.text import shortened
from sereno.store.chained_runs import queue_chained
from sereno.store.errors import translated
from sereno.store.keys import LOCK_CLASS
from sereno.store.messages import keep_messages
from sereno.store.pool import Database
from sereno.store.queue import queued
from sereno.store.sql import sql

_MAX_REASON = 1_000


async def claim(
    db: Database,
    term: int,
    node: UUID,
    runs: Sequence[int],
    *,
    handed: bool = False,
) -> list[Claim]:
    """Make `runs` this node's, where they are still queued; raises LeaseLostError.

    `handed`: they were handed to this node under `term`; else those are left that any node was.
    """
    rows = await _claimed(db, "runs_claim", len(runs), term, node, list(runs), handed)
    return [claim_of(r, r["verdict"], r["reason"], handed) for r in rows]


async def claim_first(
    db: Database, term: int, node: UUID, jobs: Sequence[str], keys: Sequence[str]
) -> tuple[Queued, Claim] | None:
    """Make the first run that is ready this node's, by one statement; raises LeaseLostError.

    `jobs`, `keys` as in `queue.ready`. Returns None when there is none, and when the first run's
    schedule has policies of its own, which may say that it has to wait.
    """
    rows = await _claimed(db, "queue_claim_first", None, term, node, list(jobs), list(keys))
    return (queued(rows[0]), claim_of(rows[0])) if rows else None


async def _claimed(
    db: Database, name: str, count: int | None, term: int, node: UUID, *which: object
) -> list[asyncpg.Record]:
    async with db.connection() if count is None else db.connection_for(count) as connection:
        rows = await connection.fetch(sql(name), term, node, *which)
        if not rows and await connection.fetchval(sql("fence"), term) is None:
            raise LeaseLostError(f"term {term} is over: its queue is another node's")
    return list(rows)


def claim_of(
    row: asyncpg.Record,
    verdict: Verdict | None = None,
    reason: str | None = None,
    handed: bool = False,
) -> Claim:
    """Return what a claimed row says; `verdict`, `reason`: of its slot, where it waited for it."""
    # Thousands are claimed at once: each pays for what nearly none has only where it is so.
    params, policies, upstream = row["params"], row["policies"], row["upstream"]
    upstream, saved, fault = {} if upstream is None else upstream, row["checkpoint"], None
    if not type(params) is type(policies) is type(upstream) is dict or type(saved) is Unreadable:
        params, policies, upstream = map(json_object, (params, policies, upstream))
        fault = unreadable(params=params, policies=policies, upstream=upstream, checkpoint=saved)
    return Claim(
        run_id=row["id"],
        job=row["job"],
        attempt=row["attempt"],
        token=row["token"],
        params=params,
        policies=policies,
        slot=row["slot"],
        upstream=upstream,
        saved=saved,
        trace_context=row["trace_context"],
        cause=row["cause"],
        schedule=row["schedule"],
        verdict=verdict,
        reason=reason,
        snoozes=row["snoozes"] or 0,
        snoozed_since=row["snoozed_since"],
        fault=fault,
        handed=handed,
    )


async def expire(db: Database, term: int, runs: Sequence[int]) -> list[asyncpg.Record]:
    """End those of `runs` that have waited for too long to begin; raises LeaseLostError.

    Returns id, job, error, schedule, slot of those, and the reason for which that was missed.
    """
    async with db.connection() as connection:
        rows = await connection.fetch(sql("runs_expire"), term, list(runs))
        if not rows and await connection.fetchval(sql("fence"), term) is None:
            raise LeaseLostError(f"term {term} is over: its queue is another node's")
    return list(rows)


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What became of outcomes, by their attempts' tokens. `ours`: the outcome is kept. `held`: the
    run is still this node's, but a job's open transaction holds its row: to be written later. The
    rest is not this node's any more."""

    ours: frozenset[UUID]
    held: frozenset[UUID] = frozenset()


async def write_outcomes(
    db: Database,
    node: UUID,
    outcomes: Sequence[Outcome],
    chains: Mapping[str, Sequence[tuple[str, tuple[str, ...]]]],
    secret: Collection[str] = (),
) -> Written:
    """Write how attempts ended, and queue what is chained after them, all in one transaction.

    `chains`: by upstream job, its downstream jobs, each with all of its upstreams, as this node's
    code has them; where the leader has registered others since, those hold. An outcome that
    is written already, by a call of which nobody saw the answer, counts as this node's. `secret`:
    jobs with secret params, which are emptied when the run is over.
    """
    chained = any(o.state == "succeeded" and o.job in chains for o in outcomes)
    words = [o.words for o in outcomes if o.words is not None]
    said = [o for o in outcomes if o.lines]
    warned = [o for o in outcomes if o.warnings]
    telling = [o for o in outcomes if o.messages]
    again = [o for o in outcomes if o.state == "queued" and o.trace_context and not o.released]
    if not (chained or words or said or warned or telling or again):
        async with db.connection_for(len(outcomes)) as connection:
            rows = await connection.fetch(sql("outcomes_write"), node, *_columns(outcomes, secret))
    else:
        async with db.connection_for(len(outcomes)) as connection, connection.transaction():
            if words:
                await _progress(connection, node, words)
            rows = await connection.fetch(sql("outcomes_write"), node, *_columns(outcomes, secret))
            if chained:
                await queue_chained(
                    connection, rows, chains, {o.token: o.trace_context for o in outcomes}
                )
            done = {r["token"] for r in rows}
            if again := [o for o in again if o.token in done]:
                traces = [[o.run_id for o in again], [o.trace_context for o in again]]
                await connection.execute(sql("trace_keep"), *traces)
            if said := [o for o in said if o.token in done]:
                lines = [(o.run_id, o.attempt, o.token, o.first_line, o.lines) for o in said]
                await _lines(connection, None, lines)
            if warned := [o for o in warned if o.token in done]:
                warnings = [(o.run_id, o.attempt, o.token, o.warnings) for o in warned]
                await _warnings(connection, None, warnings)
            if telling := [o for o in telling if o.token in done]:
                messages = [(o.run_id, o.attempt, o.token, o.messages) for o in telling]
                await keep_messages(connection, None, messages)
    ours = frozenset(r["token"] for r in rows)
    left = [o for o in outcomes if o.token not in ours]
    return Written(ours=ours) if not left else await _left(db, node, left, ours)


def _columns(outcomes: Sequence[Outcome], secret: Collection[str]) -> list[Any]:
    return [
        [o.run_id for o in outcomes],
        [o.token for o in outcomes],
        [o.started_at for o in outcomes],
        [o.finished_at for o in outcomes],
        *_shared([o.state for o in outcomes]),
        *_shared([o.result for o in outcomes]),
        _sparse([o.error for o in outcomes]),
        _sparse([o.traceback for o in outcomes]),
        _sparse([o.retry_at for o in outcomes]),
        _sparse([None if o.begun else True for o in outcomes]),
        _sparse([o.became for o in outcomes]),
        _sparse([o.job in secret or None for o in outcomes]) if secret else None,
    ]


def _sparse(column: list[Any]) -> list[Any] | None:
    """Return None for a column without values: the driver looks at each element of an array."""
    return column if any(value is not None for value in column) else None


def _shared(column: list[Any]) -> tuple[list[Any] | None, Any]:
    """Return None and the value that all of a column are, or the column and None.

    By identity: to compare a thousand results would cost more than to send them.
    """
    first = column[0]
    return (None, first) if all(value is first for value in column) else (column, None)


async def _left(
    db: Database, node: UUID, outcomes: Sequence[Outcome], ours: frozenset[UUID]
) -> Written:
    """Tell outcomes that are held up from those that are written already and those too late."""
    rows = await db.fetch(
        "outcomes_left",
        node,
        [o.run_id for o in outcomes],
        [o.token for o in outcomes],
        [o.state for o in outcomes],
        [o.finished_at for o in outcomes],
        [o.retry_at for o in outcomes],
    )
    return Written(
        ours=ours | {r["token"] for r in rows if not r["held"]},
        held=frozenset(r["token"] for r in rows if r["held"]),
    )


Lines = tuple[int, int, UUID, int, Sequence[LogLine]]
"""Run, attempt, token, the number of the first line, the lines."""


async def write_lines(db: Database, node: UUID, lines: Sequence[Lines]) -> None:
    """Keep log lines of attempts that are still this node's."""
    async with db.connection() as connection:
        await _lines(connection, node, lines)


async def _lines(connection: asyncpg.Connection, node: UUID | None, lines: Sequence[Lines]) -> None:
    rows = [
        (
            *(run_id, attempt, None if node is None else token),
            *(first + n, line.at, line.level, line.logger, line.message),
        )
        for run_id, attempt, token, first, said in lines
        for n, line in enumerate(said)
    ]
    await connection.execute(sql("lines_write"), node, *[list(c) for c in zip(*rows, strict=True)])


Warnings = tuple[int, int, UUID, Sequence[RunWarning]]
"""Run, attempt, token, all that the attempt has warned of so far."""


async def write_warnings(db: Database, node: UUID, warnings: Sequence[Warnings]) -> None:
    """Keep and count warnings of attempts that are still this node's; again changes nothing."""
    async with db.connection() as connection:
        await _warnings(connection, node, warnings)


async def _warnings(
    connection: asyncpg.Connection, node: UUID | None, warnings: Sequence[Warnings]
) -> None:
    rows = [
        (run_id, attempt, token, one.number, one.message, one.times)
        for run_id, attempt, token, said in warnings
        for one in said
    ]
    columns = [list(c) for c in zip(*rows, strict=True)]
    await connection.execute(sql("warnings_write"), node, *columns)


async def notify_over(db: Database) -> None:
    """Wake the leader, when it is another node than the one whose runs ended."""
    await db.execute("runs_over")


async def write_progress(db: Database, node: UUID, words: Sequence[ProgressUpdate]) -> None:
    """Keep the newest progress and checkpoints of attempts that are still this node's."""
    async with db.connection() as connection:
        await _progress(connection, node, words)


async def _progress(
    connection: asyncpg.Connection, node: UUID, words: Sequence[ProgressUpdate]
) -> None:
    await connection.execute(
        sql("progress_write"),
        node,
        [w.run_id for w in words],
        [w.attempt for w in words],
        [w.token for w in words],
        [w.done for w in words],
        [w.total for w in words],
        [w.note for w in words],
        [w.checkpoint for w in words],
    )


async def fence(connection: Any, run_id: int, attempt: int, token: UUID, node: UUID) -> None:
    """Hold the run's row in `connection`'s transaction; raises RunSuperseded."""
    with translated():
        row = await connection.fetchrow(sql("run_fence"), run_id, attempt, node, token)
    if row is None:
        raise RunSuperseded(
            f"run {run_id}, attempt {attempt}: it is not this node's any more, as another has taken"
            " it over or the database has lost its claim; nothing may be written for it"
        )


async def active(db: Database) -> list[asyncpg.Record]:
    """Return id, token, job, state, node, attempt, losses, policies, schedule_id, concurrency_key,
    start_by, started_at of what runs or waits."""
    return await db.fetch("runs_active")


async def states(db: Database, runs: Sequence[int]) -> dict[int, RunState | None]:
    """Return the state of each of `runs`, None for those that are gone."""
    return {r["id"]: r["state"] for r in await db.fetch("runs_states", list(runs))}


async def cancel_requests(db: Database, node: UUID) -> list[asyncpg.Record]:
    """Return token, requested_by, reason of this node's attempts that are to stop."""
    return await db.fetch("cancel_requests", node)


async def request_cancel(
    db: Database, run_id: int, by: str, reason: str | None = None
) -> RunState | None:
    """End a queued run, ask a running one to stop; return the state it is in, None if unknown."""
    reason = None if reason is None else shortened(reason, _MAX_REASON)
    state: RunState | None = await db.fetchval("cancel_request", run_id, by, reason)
    return state


async def cancel(db: Database, term: int, runs: Sequence[int], by: str) -> None:
    """End those of `runs` that wait, ask those under way to stop, under `term`; raises
    LeaseLostError."""
    async with db.transaction() as connection:
        if await connection.fetchval(sql("fence"), term) is None:
            raise LeaseLostError(f"term {term} is over: its runs are another node's to cancel")
        for run_id in runs:
            await connection.fetchval(sql("cancel_request"), run_id, by, None)


class AbsentOwner(msgspec.Struct, frozen=True, kw_only=True):
    """A node that owns runs and lacks its presence lock. `sessions`: connections it still has."""

    node: UUID
    label: str
    sessions: int


async def absent_owners(db: Database) -> list[AbsentOwner]:
    """Return the nodes that own runs but lack their presence lock."""
    found = await db.fetch("absent_owners", LOCK_CLASS)
    return [AbsentOwner(node=r["id"], label=r["label"], sessions=r["sessions"]) for r in found]


async def owned(db: Database, node: UUID) -> list[asyncpg.Record]:
    """Return id, token, job, attempt, losses, policies, started_at of the runs that `node` owns."""
    return await db.fetch("runs_of", node)


async def lose(
    db: Database,
    term: int,
    node: UUID,
    runs: Sequence[tuple[int, int, UUID | None, bool]],
    error: str,
) -> list[asyncpg.Record]:
    """Take `runs` (id, attempt, token, again) from `node`; what is fenced is left for later.

    Returns id, job, attempt, state, schedule_id, slot, and how long they `lasted`, of those taken.
    """
    return await db.fetch(
        "runs_lose",
        term,
        node,
        [r[0] for r in runs],
        [r[1] for r in runs],
        [r[2] for r in runs],
        [r[3] for r in runs],
        error,
    )
