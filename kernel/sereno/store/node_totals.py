"""What each node has ended, by job: of the newest runs, so that it costs the same for ever."""

from uuid import UUID

import msgspec

from sereno.store.pool import Database

_LOOKED_AT = 25_000
"""Runs: as many as a page of a search reads at most."""


class NodeTotal(msgspec.Struct, frozen=True, kw_only=True):
    """Runs of a job that a node has ended. `failed`: for good, timed out or lost included."""

    node: UUID
    job: str
    succeeded: int
    failed: int
    cancelled: int
    mean_seconds: float


async def node_totals(db: Database) -> list[NodeTotal]:
    """Return what each node has ended of the newest 25,000 runs, by job and node."""
    return [NodeTotal(**row) for row in await db.fetch("view_node_totals", _LOOKED_AT)]
