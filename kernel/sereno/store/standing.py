"""Keeps what people ask of replicas: who is to lead, who is drained, and that all rest."""

from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from sereno.model.errors import ConflictError
from sereno.store.errors import translated
from sereno.store.pool import Database
from sereno.store.sql import sql


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of one node. `successor`: who is to lead, for seconds after it was asked for;
    `maintenance`: why nobody is to, None while somebody may."""

    draining: bool = False
    successor: UUID | None = None
    maintenance: str | None = None


class Maintenance(msgspec.Struct, frozen=True, kw_only=True):
    """A maintenance that is on. `until`: when it ends by itself."""

    reason: str
    begun_by: str
    begun_at: datetime
    now: datetime
    until: datetime | None = None


async def standing(db: Database, node: UUID) -> Standing:
    """Return what is asked of `node`."""
    row = await db.fetchrow("standing", node)
    return Standing(**dict(row)) if row is not None else Standing()


async def order(db: Database, node: UUID, verb: str, by: str) -> int:
    """Ask something of a node that is there; return the number of the order."""
    return int(await db.fetchval("node_order_make", node, verb, by))


async def refuse(db: Database, node: UUID) -> None:
    """Say that this node never leads, whoever asks it to."""
    await db.execute("node_order_refuse", node)


async def refused(db: Database, order: int) -> bool:
    """Return whether the node that an order was for has refused it."""
    return not await db.fetchval("node_order_stands", order)


async def maintenance(db: Database) -> Maintenance | None:
    """Return the maintenance that is on."""
    row = await db.fetchrow("maintenance_now")
    return None if row is None else Maintenance(**dict(row))


async def begin(db: Database, reason: str, by: str, until: datetime | None) -> None:
    """Begin a maintenance; raises ConflictError where one is on."""
    with translated():
        async with db.connection() as connection:
            try:
                row = await connection.fetchrow(sql("maintenance_begin"), reason, by, until)
            except asyncpg.UniqueViolationError:  # another began one in this very moment
                row = None
    if row is None:
        found = await maintenance(db)
        why = "" if found is None else f", since {found.begun_by} began it: {found.reason}"
        raise ConflictError(f"maintenance is on already{why}; `sereno maintenance off` ends it")


async def end(db: Database, by: str) -> None:
    """End the maintenance; raises ConflictError where none is on."""
    if await db.fetchrow("maintenance_end", by) is None:
        raise ConflictError("no maintenance is on, there is nothing to end")
