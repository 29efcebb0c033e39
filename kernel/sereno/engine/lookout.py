"""Tells when a deploy has moved slots that are to come, little by little beside the firing."""

import logging
from collections.abc import Callable

from sereno.engine.clock import steady
from sereno.model.errors import LeaseLostError, SerenoError, StoreUnavailableError
from sereno.store import drift
from sereno.store.pool import Database

log = logging.getLogger("sereno.leader")

AT_ONCE = 10
"""Schedules in one turn: some milliseconds of arithmetic, in which nothing else can be begun."""

REST = 49.0
"""How much longer a rest is than the turn before it: the walk takes 2 % of a core, however many
schedules there are."""

EVERY = 3600.0
"""Seconds between the end of a walk over all schedules and the next."""


class Lookout:
    """The look ahead of one term. `moved`: called when schedules are to be read again."""

    def __init__(self, db: Database, term: int, moved: Callable[[], None]) -> None:
        self._db = db
        self._term = term
        self._moved = moved
        self._next = 0.0
        self._step = drift.FIRST

    def pause(self) -> float:
        """Return the seconds until there is something to do."""
        return self._next - steady()

    async def turn(self) -> None:
        """Look at some schedules, if it is time."""
        began = steady()
        if began < self._next:
            return
        self._next = began + EVERY
        try:
            found, step = await drift.notice(self._db, self._term, AT_ONCE, self._step)
        except (LeaseLostError, StoreUnavailableError):
            raise
        except SerenoError as error:  # a look ahead is not worth the lead
            log.error("what is to come cannot be foreseen", extra={"error": str(error)})
            return
        self._step = step or drift.FIRST
        ended = steady()
        self._next = ended + (EVERY if step is None else REST * (ended - began))
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
