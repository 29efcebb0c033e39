"""Brings the calendars and blackouts of the settings into the database, when a term begins."""

from sereno.model.calendar import SharedPlans
from sereno.model.lazy import lazy
from sereno.store.pool import Database


async def register_shared(db: Database, term: int, shared: SharedPlans) -> None:
    """Make the database know them, and no others of the settings, under `term`.

    Where there are none, and were none, nothing more is asked. Raises LeaseLostError.
    """
    (kept,) = await db.fetch("shared_declared")
    if shared.calendars or kept["calendars"]:
        await lazy("sereno.store.calendars").register(db, term, shared.calendars)
    if shared.blackouts or kept["blackouts"]:
        await lazy("sereno.store.blackouts").register(db, term, shared.blackouts)
