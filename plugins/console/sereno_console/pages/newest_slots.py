"""Finds the newest slots of a job for a strip of them: one look at hardly more than is shown."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sereno import Client, SlotView

STRIP = 60
_BACK = timedelta(days=14)
_MOST = 10_000
_TICK = timedelta(microseconds=1)


async def newest_slots(
    sereno: Client, job: str, until: datetime, since: datetime | None = None
) -> list[SlotView]:
    """Return what became of the newest slots to `until`, the oldest of them first.

    `since`: from where on there are enough, None where fewer are known of two weeks.
    """
    first = until - _BACK if since is None else since
    return (await sereno.slots(job, first, until, limit=_MOST))[-STRIP:]


def enough_since(slots: Iterable[datetime]) -> datetime | None:
    """Return since when a strip's slots were due, of those that are known, the newest first; None
    where there are fewer."""
    due = list(slots)[:STRIP]
    return due[-1] if len(due) == STRIP else None
