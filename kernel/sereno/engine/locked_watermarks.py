"""Keeps apart the schedules whose watermark another session has locked: the others fire."""

import logging
import math
from collections.abc import Sequence

from sereno.engine.clock import steady
from sereno.model.errors import StoreLockedError
from sereno.model.ledger import Entry, Settlement
from sereno.store import holder, ledger
from sereno.store.pool import Database

log = logging.getLogger("sereno.leader")

AGAIN = 1.0
"""Seconds between polls of whether they are still locked."""

_NAMED = 10


class LockedWatermarks:
    """The schedules of one term that wait for a lock."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._schedules: set[int] = set()
        self._next = 0.0

    def __contains__(self, schedule_id: int) -> bool:
        return schedule_id in self._schedules

    def pause(self) -> float:
        """Return the seconds until the next poll."""
        return self._next - steady() if self._schedules else math.inf

    async def apart(self, settlements: Sequence[Settlement]) -> list[Settlement]:
        """Return those of `settlements` that can be written, and keep the others' schedules.

        Raises StoreLockedError when no watermark is locked: then something else is.
        """
        numbers = {s.entry.schedule_id for s in settlements}
        locked = numbers - await ledger.free(self._db, numbers)
        if not locked:
            raise StoreLockedError("a lock is in the way of settling slots that is no watermark's")
        self._schedules |= locked
        self._next = steady() + AGAIN
        names = sorted(s.entry.name for s in settlements if s.entry.schedule_id in locked)
        log.warning(
            "schedules wait: another session keeps them locked",
            extra={
                "schedules": names[:_NAMED],
                "count": len(names),
                "sessions": await holder.users(self._db),
            },
        )
        return [s for s in settlements if s.entry.schedule_id not in locked]

    async def let_go(self) -> list[Entry]:
        """Return what is to come of those that are locked no longer."""
        self._next = steady() + AGAIN
        free = await ledger.free(self._db, self._schedules)
        entries = await ledger.agenda_of(self._db, sorted(free)) if free else []
        self._schedules -= free
        return entries
