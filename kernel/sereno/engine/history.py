"""Ends what may have run in a history that the database has forgotten, lest it run twice.

The leader's session finds out before its term begins that the database is on another history, and
run and term numbers go on far ahead then: those that the lost commits had given out may be in logs
and in other systems. What must not run twice (``on_lost="fail"``) and was due by then is settled
`lost` or `missed`, for it may have run; whatever else was due runs, perhaps again: at least once,
as ever.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta

from sereno.engine.clock import steady
from sereno.engine.term import Term
from sereno.model.events import RunFinished
from sereno.store import timeline as store
from sereno.store.timeline import Entered, Timeline

log = logging.getLogger("sereno.leader")

_BATCH = 2_000

_PATIENCE = 5.0
"""Seconds for which a new leader waits for who holds rows of runs that it has to end."""

_POLL_AGAIN = 0.1


def log_entered(entered: Entered, term: int) -> None:
    """Log what a new leader has found."""
    found = entered.timeline
    if entered.changed:
        log.warning(
            "the database goes on from another state than the last leader left: run and term "
            "numbers went far ahead, and what must not run twice is not begun again",
            extra={
                "term": term,
                "system": found.system,
                "timeline": found.timeline,
                "due_until": str(found.doubtful_until),
                "numbers": entered.numbers,
            },
        )
    else:
        log_numbers(entered.numbers)


def log_numbers(numbers: Mapping[str, int]) -> None:
    """Log which sequences were set right, if any."""
    if numbers:
        log.warning(
            "sequences were behind their rows and are set right, as after a logical switch-over",
            extra={"numbers": numbers},
        )


async def settle_doubtful(term: Term, timeline: Timeline) -> None:
    """End the queued runs that may have run before, unless an earlier leader has.

    Raises LeaseLostError and StoreError.
    """
    doubt = timeline.doubt
    if doubt is None or timeline.settled_at is not None:
        return
    end = steady() + _PATIENCE
    while True:
        gone, left = await store.lose_doubtful(term.db, term.number, timeline, _BATCH)
        for row in gone:
            log.warning("a run may have run already", extra={"run": row["id"], "job": row["job"]})
            term.publish(
                RunFinished(
                    run_id=row["id"],
                    job=row["job"],
                    attempt=row["attempt"],
                    slot=row["slot"],
                    state="lost",
                    duration=timedelta(0),
                    error=doubt.reason,
                )
            )
        if not left:
            return
        if not gone:
            if steady() > end:
                log.error("others hold runs that may have run already", extra={"runs": left})
                return
            await asyncio.sleep(_POLL_AGAIN)
