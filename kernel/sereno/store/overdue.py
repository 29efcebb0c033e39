"""Marks jobs as overdue, so that of all nodes exactly one tells of it, and one that it is over."""

from sereno.store.keys import LEADER_LOCK, LOCK_CLASS
from sereno.store.pool import Database


async def mark(db: Database, job: str, severity: str) -> bool:
    """Mark `job`; tell whether it was not marked before. Raises StoreError."""
    return await db.fetchval("overdue_mark", job, severity) is not None


async def unmark(db: Database, job: str) -> bool:
    """Take the mark of `job` away; tell whether it was there. Raises StoreError."""
    return await db.fetchval("overdue_unmark", job) is not None


async def marked(db: Database) -> set[str]:
    """Return the jobs that are marked. Raises StoreError."""
    return {row["job"] for row in await db.fetch("overdue_marked")}


async def led(db: Database) -> bool:
    """Tell whether any node leads."""
    return bool(await db.fetchval("leader_held", LOCK_CLASS, LEADER_LOCK))
