"""Attempts that hold what is not theirs any more: a place after their end, or their node's loop."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import asyncpg
import msgspec

from sereno.store.connection import connect
from sereno.store.errors import translated
from sereno.store.keys import LOCK_CLASS
from sereno.store.own_sockets import unshare
from sereno.store.pool import Database, file_of
from sereno.store.sql import sql

Kind = Literal["overstays", "blocks"]

_PATIENCE = 2.0


class Straggler(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt whose function works on after it was left behind. `label`: its node's."""

    token: UUID
    run_id: int
    job: str
    attempt: int
    schedule_id: int | None
    concurrency_key: str | None
    executor: str
    node: UUID
    label: str
    since: datetime
    now: datetime


async def note(
    db: Database, run_id: int, token: UUID, kind: Kind, executor: str, node: UUID
) -> None:
    """Keep that an attempt is a straggler from now on."""
    await db.execute("straggler_note", run_id, token, kind, executor, node, 0.0)


async def forget(db: Database, token: UUID, kind: Kind) -> None:
    """Hear that it is one no more."""
    await db.execute("straggler_forget", token, kind)


async def overstaying(db: Database) -> Sequence[Straggler]:
    """Return all that keep a place and whose node is there, the oldest first."""
    return [one for one, _ in await _found(db, absent=False)]


async def keeping(db: Database) -> list[tuple[Straggler, bool]]:
    """Return all that keep a place, the oldest first, each with whether its node is there."""
    return await _found(db, absent=True)


async def _found(db: Database, *, absent: bool) -> list[tuple[Straggler, bool]]:
    rows = [dict(row) for row in await db.fetch("stragglers", LOCK_CLASS, absent)]
    return [
        (Straggler(**row), present) for row in rows if (present := row.pop("present")) or absent
    ]


async def clear(db: Database) -> None:
    """Forget those whose nodes are gone."""
    await db.execute("straggler_clear", LOCK_CLASS)


async def blocking(db: Database, node: UUID) -> dict[UUID, tuple[int, str, float]]:
    """Return what has held the loop of `node`, by token: run, job, for how many seconds."""
    rows = await db.fetch("straggler_blocks", node)
    return {r["token"]: (r["run_id"], r["job"], r["seconds"]) for r in rows}


class Note:
    """A connection beside the pool, for a thread while the loop of the pool is blocked."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: asyncpg.Connection | None = None

    async def blocks(self, run_id: int, token: UUID, node: UUID, seconds: float) -> None:
        """Keep for how long an attempt has held the loop so far."""
        await self._execute("straggler_note", run_id, token, "blocks", "async", node, seconds)

    async def over(self, token: UUID) -> None:
        """Forget it: the loop goes on."""
        await self._execute("straggler_forget", token, "blocks")
        await self.close()

    async def close(self) -> None:
        """Drop the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _execute(self, name: str, *args: object) -> None:
        with translated():
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await connect(
                        self._dsn, timeout=_PATIENCE, statement_cache_size=0
                    )
                    unshare(self._connection, file_of)
                await self._connection.execute(sql(name), *args, timeout=_PATIENCE)
            except BaseException:
                await self.close()
                raise
