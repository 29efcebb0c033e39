"""Keeps a node's row, whose key is the number of its presence lock: no two nodes have the same."""

from uuid import UUID

import msgspec

from sereno.model.errors import StoreError
from sereno.store.pool import Database

_TRIES = 100
"""Keys that others may take at the same moment, at the most."""


class NodeFacts(msgspec.Struct, frozen=True):
    """What others are told of a node. `migration`: the newest that its code knows, and
    `plugin_migrations` of each plugin's schema. `cluster`: which one it is to be of, see
    ``sereno new-cluster``."""

    id: UUID
    label: str
    pid: int
    version: str
    http: str | None
    migration: int
    plugin_migrations: dict[str, int] = {}
    cluster: str = ""


class Joined(msgspec.Struct, frozen=True):
    """A node's key. `numbers`: by column, sequences that were behind their rows and are no more."""

    key: int
    numbers: dict[str, int]


async def join(db: Database, facts: NodeFacts, key: int | None = None) -> Joined:
    """Make the node's row, or the same again where it is gone.

    `key`: what it had; where another node has that by now, it has a new one. Raises StoreError;
    ClusterError where the database is of another cluster.
    """
    numbers: dict[str, int] = {}
    for _ in range(_TRIES):
        found = await db.fetchval("node_join", *msgspec.structs.astuple(facts), key)
        if found is not None:
            return Joined(int(found), numbers)
        key = None
        numbers |= {r["number"]: r["became"] for r in await db.fetch("numbers_advance")}
    raise StoreError(f"node {facts.id} finds no key of its own for its presence lock")


async def seen(db: Database, facts: NodeFacts, key: int, clock_offset: float | None = None) -> None:
    """Say that the node is there; one whose row was pruned, as it slept, has the same again.

    `clock_offset`: seconds by which its clock is ahead of the database's.
    """
    await db.execute("node_seen", *msgspec.structs.astuple(facts), key, clock_offset)
