"""Stops whole chains, and tries them again from where they failed."""

from collections.abc import Sequence
from typing import Any

import msgspec

from sereno.model.bounds import LAST_INSTANT
from sereno.store.chain_walk import BAD, FanOutView, Walk, walk
from sereno.store.pool import Connection, Database
from sereno.store.queue import repeat_in
from sereno.store.sql import sql

_MOST = 200_000
_AT_ONCE = 1_000
_ROUNDS = 20
"""How often a chain is looked at again that goes on while it is stopped."""


class ChainStopped(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a wish that a whole chain stop. `cancelled`: how many runs waited and are
    over; `asked`: how many were under way, and are asked to stop. Nothing follows them."""

    run_id: int
    cancelled: int
    asked: int


class ChainRetried(msgspec.Struct, frozen=True, kw_only=True):
    """The runs that try a chain again from where it failed: each failed step by its repetition.
    `children`: how many of fan-outs are among them, beside `steps`."""

    run_id: int
    steps: dict[int, int]
    children: int


def _every(fan: FanOutView) -> int:
    return fan.total + fan.failed * fan.rounds + _AT_ONCE


async def stop(db: Database, run_id: int, by: str, reason: str | None) -> ChainStopped:
    """Cancel what waits and what runs of the chain of `run_id`, and what was to follow."""
    cancelled: set[int] = set()
    asked: set[int] = set()
    for _ in range(_ROUNDS):
        found = await walk(db.fetch, run_id, up=True, most=_MOST, children=_every)
        fans = [f.id for f in found.fan_outs.values() if not f.over]
        if fans:
            await db.execute("fan_outs_stop", fans, by)
        live = {n: r.state for n, r in found.runs.items() if r.state in ("queued", "running")}
        fresh = sorted(live.keys() - asked)
        if not fresh:
            break
        for at in range(0, len(fresh), _AT_ONCE):
            runs = fresh[at : at + _AT_ONCE]
            await db.execute("chain_stop", runs, by, reason)
            said = reason or "its whole chain is"
            await db.fetch("bulk_cancel", runs, by, said, LAST_INSTANT)
        after = {r["id"]: r["state"] for r in await db.fetch("chain_runs", fresh)}
        cancelled |= {n for n in fresh if after.get(n) == "cancelled"}
        asked |= {n for n in fresh if after.get(n) == "running"}
    return ChainStopped(run_id=run_id, cancelled=len(cancelled - asked), asked=len(asked))


async def retry(db: Database, run_id: int, by: str) -> ChainRetried:
    """Queue again what failed of the chain of `run_id`; what succeeded is not run again. All or
    none. Raises ParamsError for a step that cannot be repeated."""
    async with db.transaction() as connection:

        async def fetch(name: str, *args: Any) -> Sequence[Any]:
            return list(await connection.fetch(sql(name), *args))

        await fetch("chain_lock")
        found = await walk(fetch, run_id, up=True, most=_MOST, children=_every)
        failed = {n for n, r in found.runs.items() if r.state in BAD} - found.repeated
        children = 0
        for fan in found.fan_outs.values():
            children += await _retry_children(connection, fan, found, failed, by)
        steps = {}
        for run in sorted(failed):
            new = await repeat_in(connection, run, requested_by=f"{by}, run {run} again")
            if new is not None:
                steps[run] = new
                await connection.execute(sql("fan_outs_move"), run, new)
    return ChainRetried(run_id=run_id, steps=steps, children=children)


async def _retry_children(
    connection: Connection, fan: FanOutView, found: Walk, failed: set[int], by: str
) -> int:
    """Try the failed children of a fan-out again, whose join comes once more; take them, and that
    join, from `failed`."""
    own = sorted(n for n in failed if found.runs[n].fan_out == fan.id)
    failed.difference_update(own)
    joined = None if fan.join_run is None else found.runs.get(fan.join_run)
    if not own and fan.cancelled_by is not None and fan.ended >= fan.total:
        await connection.execute(sql("fan_out_resume"), fan.id)
        await connection.execute(sql("fan_out_join"), fan.id)
    if not own or (joined is not None and joined.state not in BAD):
        return 0  # what follows has gone on without them, as it was told to
    if joined is not None:
        failed.discard(joined.id)
    await connection.fetch(sql("fan_out_retry"), fan.id, own, by)
    return len(own)
