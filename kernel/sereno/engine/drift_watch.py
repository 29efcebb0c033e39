"""Logs when a deploy has moved slots that are to come, a few schedules at a time between ticks.

States of the walk: hasty, over those schedules alone whose kept slots other code has computed
(none, where this code is as the last leader's); then at leisure, over all, to keep what is to come
for the next deploy to be compared with; then at rest, for an hour. Invariant: the walk takes a
fixed share of a core, however many schedules there are.
"""

import logging
from collections.abc import Callable

from sereno.engine.clock import steady
from sereno.engine.drift import notice
from sereno.engine.term import Term
from sereno.model.errors import LeaseLostError, SerenoError, StoreUnavailableError
from sereno.store.drift import FIRST, Step

log = logging.getLogger("sereno.leader")

AT_ONCE = 10
"""Schedules in one tick: some milliseconds of arithmetic, in which nothing else can be begun."""

REST = 49.0
"""How much longer a rest is than the tick before it, while slots may have moved: the walk takes 2 %
of a core, however many schedules there are."""

LEISURE = 999.0
"""The same of what is kept for the next deploy: 0.1 % of a core."""

EVERY = 3600.0
"""Seconds between the end of such a walk and the next."""


class DriftWatch:
    """The look ahead of one term. `moved`: called when schedules are to be read again."""

    def __init__(self, term: Term, moved: Callable[[], None]) -> None:
        self._term = term
        self._moved = moved
        self._next = 0.0
        self._step = FIRST
        self._only_kept = True

    def pause(self) -> float:
        """Return the seconds until there is something to do."""
        return self._next - steady()

    async def tick(self) -> None:
        """Check some schedules, if it is time."""
        began = steady()
        if began < self._next:
            return
        self._next = began + EVERY
        try:
            found, step = await notice(
                self._term.db, self._term.number, AT_ONCE, self._step, only_kept=self._only_kept
            )
        except (LeaseLostError, StoreUnavailableError):
            raise
        except SerenoError as error:  # a look ahead is not worth the lead
            log.error("what is to come cannot be foreseen", extra={"error": str(error)})
            return
        self._rest(began, step)
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

    def _rest(self, began: float, step: Step | None) -> None:
        """Put the next tick off, after one that `began` then and came to `step`."""
        ended = steady()
        rest = (REST if self._only_kept else LEISURE) * (ended - began)
        if step is None and not self._only_kept:
            rest = EVERY
        self._next = ended + rest
        self._step = step or FIRST
        self._only_kept = self._only_kept and step is not None
