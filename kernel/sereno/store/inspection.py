"""Reads what a database server and a role are, as far as it may hinder replicas."""

import time
from datetime import UTC, datetime, timedelta

import msgspec

from sereno.store.connection import probe
from sereno.store.encoding import Encoding
from sereno.store.keys import LOCK_CLASS
from sereno.store.new_cluster import cluster_name
from sereno.store.pool import Database


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. `version`: as ``server_version_num``. `lacking`: tables of the kernel that
    the role may not write. `versions`, `nodes`: of replicas that are there. `behind`: run numbers
    are behind their rows. `clock_offset`: by how much the server's clock is ahead of ours;
    `pooled`, `leader_pooled`: a pooler is between, on which way. `cluster`: its name, empty where
    nobody has given it one. `isolation`: whose transactions here are at another level than READ
    COMMITTED unless they say otherwise."""

    version: int
    encoding: str
    connections: int
    standby: bool
    role: str
    owner: bool
    lacking: tuple[str, ...]
    versions: tuple[str, ...]
    nodes: int
    behind: bool
    clock_offset: timedelta
    pooled: bool
    leader_pooled: bool
    database_limit: int | None = None
    role_limit: int | None = None
    cluster: str = ""
    isolation: tuple[str, ...] = ()

    @property
    def room(self) -> int:
        """Return for how many connections there is room."""
        return min(n for n in (self.connections, self.database_limit, self.role_limit) if n)

    @property
    def letters(self) -> str | None:
        """Say what becomes of letters that the encoding lacks; None where it has all."""
        encoding = Encoding(self.encoding)
        return None if encoding.utf8 else encoding.remedy


async def inspect(db: Database, leader_dsn: str | None) -> Inspection | None:
    """Return what is found; None where there is no schema yet. Raises StoreError."""
    sent, at = time.monotonic(), time.time()
    row = await db.fetchrow("inspection", LOCK_CLASS)
    if row is None:
        return None
    half = (time.monotonic() - sent) / 2
    facts = dict(row)
    ours = datetime.fromtimestamp(at + half, UTC)
    offset = facts.pop("now") - ours
    if await db.fetchval("cluster_known"):  # a schema of the version before has no name
        facts["cluster"] = await cluster_name(db)
    pooled = db.pooled
    direct = None if leader_dsn is None else await probe(leader_dsn, 5.0)
    leader_pooled = pooled if direct is None else direct.pooled
    for name in ("lacking", "versions", "isolation"):
        facts[name] = tuple(facts[name])
    return Inspection(**facts, clock_offset=offset, pooled=pooled, leader_pooled=leader_pooled)


async def usual_durations(db: Database) -> dict[str, timedelta]:
    """Return how long runs of a job usually take, of jobs that have run."""
    return {row["job"]: row["lasts"] for row in await db.fetch("durations_usual")}
