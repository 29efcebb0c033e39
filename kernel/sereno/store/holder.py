"""Asks who holds a lock that nodes go by: anyone who may connect can take it."""

from datetime import datetime, timedelta

from sereno.store.backend import Backend, backend, named
from sereno.store.keys import LEADER_LOCK, LOCK_CLASS
from sereno.store.pool import Database

_OF_LATE = timedelta(seconds=5)


async def lock_holder(db: Database, number: int) -> Backend | None:
    """Return who holds the leader's lock, or the presence lock of this number."""
    row = await db.fetchrow("lock_holder", LOCK_CLASS, number)
    return None if row is None else backend(row)


async def stranger(db: Database) -> Backend | None:
    """Return who holds the leader's lock and is no node."""
    row = await db.fetchrow("lock_holder", LOCK_CLASS, LEADER_LOCK)
    return None if row is None or row["node"] else backend(row)


async def doubtful_holder(
    db: Database, *, held: bool, beat_at: datetime | None, now: datetime
) -> Backend | None:
    """Return who holds the leader's lock, unless it is a node (`held`) that has beaten of late."""
    if held and beat_at is not None and now - beat_at < _OF_LATE:
        return None
    return await lock_holder(db, LEADER_LOCK)


async def users(db: Database) -> str:
    """Return who else works on our tables, whoever has for longest first, as a part of a sentence;
    empty when there is nobody."""
    rows = await db.fetch("schema_users", "sereno")
    return named([r for r in rows if not (r["application"] or "").startswith("sereno ")], 3)
