"""Tells when a deploy has moved slots that are to come, little by little beside the firing."""

import logging
from collections.abc import Callable

from sereno.engine.clock import steady
from sereno.model.errors import LeaseLostError, SerenoError, StoreUnavailableError
from sereno.store import drift
from sereno.store.pool import Database

log = logging.getLogger("sereno.leader")

AT_ONCE = 50
"""Schedules in one turn: some milliseconds of arithmetic."""

EVERY = 3600.0


class Lookout:
    """The look ahead of one term. `moved`: called when schedules are to be read again."""

    def __init__(self, db: Database, term: int, moved: Callable[[], None]) -> None:
        self._db = db
        self._term = term
        self._moved = moved
        self._next = 0.0

    def pause(self) -> float:
        """Return the seconds until there is something to do."""
        return self._next - steady()

    async def turn(self) -> None:
        """Look at some schedules, if it is time."""
        if steady() < self._next:
            return
        self._next = steady() + EVERY
        try:
            found, more = await drift.notice(self._db, self._term, AT_ONCE)
        except (LeaseLostError, StoreUnavailableError):
            raise
        except SerenoError as error:  # a look ahead is not worth the lead
            log.error("what is to come cannot be foreseen", extra={"error": str(error)})
            return
        if more:
            self._next = 0.0
        for one in found:
            log.warning(
                "slots that are to come have moved",
                extra={
                    "schedule": one.schedule,
                    "because": one.because,
                    "before": [s.isoformat() for s in one.before],
                    "after": [s.isoformat() for s in one.after],
                },
            )
        if found:
            self._moved()
