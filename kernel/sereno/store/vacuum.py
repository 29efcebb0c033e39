"""Reads what keeps PostgreSQL from cleaning up after us: the oldest transaction, and dead rows."""

import msgspec

from sereno.store.pool import Database


class Vacuum(msgspec.Struct, frozen=True, kw_only=True):
    """`oldest_seconds`: how old the oldest transaction is of those that hold rows back, as far as
    this role sees others' sessions. `dead_rows`: of the kernel's tables and those of plugins."""

    oldest_seconds: float
    dead_rows: int


async def vacuum(db: Database) -> Vacuum:
    """Return both; raises StoreError."""
    (row,) = await db.fetch("vacuum")
    return Vacuum(**dict(row))
