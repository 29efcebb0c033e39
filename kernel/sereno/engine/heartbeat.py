"""Keeps the lead by a beat each third of the lease, and knows when it is lost.

States: trusted until the lease of the last good beat is over, less a margin; then lost, for good:
`check` raises, and what was read or planned before is not written. Invariants: trust counts from
when a beat was *sent*; a beat that is answered too late prolongs nothing.
"""

import logging
from contextlib import suppress

from sereno.engine.clock import steady
from sereno.engine.status import Status
from sereno.engine.term import Term
from sereno.engine.trust import Trust
from sereno.model.errors import LeaseLostError, StoreError
from sereno.store.session import NodeSession

log = logging.getLogger("sereno.leader")

_HAND_OVER = 0.1
"""Share of the lease, before trust ends, that a hand-over is given."""


class Heartbeat:
    """The beats of one term, over the session that holds the leader's lock."""

    def __init__(self, term: Term, session: NodeSession, trust: Trust, status: Status) -> None:
        self._term = term
        self._session = session
        self._trust = trust
        self._status = status
        # A third: one beat may be lost, or be late by a whole interval, and the lead is kept.
        self._every = status.lease.total_seconds() / 3
        self._next = steady() + self._every

    def pause(self) -> float:
        """Return the seconds until the next beat, negative when it is overdue."""
        return self._next - steady()

    def patience(self) -> float:
        """Return the seconds for which a turn may go on without a beat: the lead can be handed over
        in order then still, and the session kept."""
        return self._trust.until - steady() - _HAND_OVER * self._status.lease.total_seconds()

    async def keep_session(self) -> None:
        """Keep the session, and so the presence lock, though not the lead."""
        if self._session.alive:
            with suppress(StoreError):
                await self._session.watch()

    async def check(self) -> None:
        """Make sure that this node still leads, and beat when it is time; raises LeaseLostError."""
        self._make_sure()
        if self.pause() > 0:
            return
        sent = steady()
        now = await self._session.beat(self._term.node, self._term.number)
        received = steady()
        self._trust.extend(sent)
        self._status.heard = sent
        log_trust(self._trust, self._term.number)
        self._term.clock.observe(now, sent, received)
        self._status.clock_offset = self._term.clock.offset
        self._next = sent + self._every
        self._make_sure()  # the answer may have come when trust was over already

    def _make_sure(self) -> None:
        if not self._session.alive:
            raise LeaseLostError("the session that holds the leader's lock is gone")
        if not self._trust.holds(steady()):
            raise LeaseLostError("no heartbeat was answered in time, or the lead was given up")


def log_trust(trust: Trust, term: int) -> None:
    """Log from when to when this node trusts itself, on a clock that all processes of a machine
    share: so that one can look whether two ever did at once."""
    log.debug("trusted", extra={"term": term, "since": steady(), "until": trust.until})
