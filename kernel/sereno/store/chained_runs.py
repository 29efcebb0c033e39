"""Queues what is chained after runs, in the transaction that says how they ended."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from sereno.store.sql import sql


async def queue_chained(
    connection: asyncpg.Connection,
    rows: Sequence[asyncpg.Record],
    chains: Mapping[str, Sequence[tuple[str, tuple[str, ...]]]],
    traces: Mapping[UUID | None, str | None],
) -> None:
    """Queue what is chained after those of `rows` (id, token, job, state) that succeeded.

    `traces`: by token, below which span it goes on.
    """
    singles: list[tuple[str, int, str | None]] = []
    joins: list[tuple[str, int, str]] = []
    below = {row["id"]: traces[row["token"]] for row in rows}
    for row in rows:
        if row["state"] != "succeeded":
            continue
        for downstream, upstreams in chains.get(row["job"], ()):
            if len(upstreams) == 1:
                singles.append((downstream, row["id"], below[row["id"]]))
            else:
                joins.append((downstream, row["id"], row["job"]))
    if singles:
        columns = [list(c) for c in zip(*singles, strict=True)]
        others = await connection.fetch(sql("chain_single"), *columns)
        joins += [(r["job"], r["run_id"], r["upstream"]) for r in others]
    for downstream, run_id, upstream in sorted(joins):
        await connection.fetchval(sql("chain_turn"), downstream)
        await connection.execute(sql("chain_arrive"), downstream, run_id, below[run_id])
        await connection.fetch(sql("chain_complete"), downstream, upstream)
