"""Reads the days of calendars, where a schedule that is written names one."""

from typing import Any

from sereno.store.sql import sql
from sereno.triggers.calendars import Calendars, names_calendars

__all__ = ["Calendars", "known", "of_texts"]


async def known(connection: Any) -> Calendars:
    """Return each calendar's days as they are now."""
    rows = await connection.fetch(sql("calendars"))
    return {row["name"]: tuple(row["days"] or row["declared"] or ()) for row in rows}


async def of_texts(connection: Any, *texts: str) -> Calendars:
    """Return them where one of these triggers may name one; the database is not asked else."""
    return await known(connection) if any(map(names_calendars, texts)) else {}
