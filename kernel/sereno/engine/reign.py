"""What a leader does, from taking the lead to losing it: the firing loop.

One loop does it all in turn: heartbeat, slots, queue, losses. So a loop that hangs stops beating,
and loses the lead.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from sereno.engine.clock import Clock, steady
from sereno.engine.firing import Firing
from sereno.engine.intake import Intake
from sereno.engine.status import Status
from sereno.engine.trust import Trust
from sereno.engine.wakeup import Wakeup
from sereno.model.errors import LeaseLostError
from sereno.store import catalogue
from sereno.store.catalogue import DeclaredJob, NamedSchedule
from sereno.store.pool import Database
from sereno.store.session import Node, NodeSession

log = logging.getLogger("sereno.leader")


class Reign:
    """One term of this node. `lease`: seconds; `alive` is called at every turn."""

    def __init__(
        self,
        db: Database,
        session: NodeSession,
        node: Node,
        term: int,
        clock: Clock,
        trust: Trust,
        status: Status,
        wakeup: Wakeup,
        firing: Firing,
        intake: Intake,
        *,
        lease: float,
        alive: Callable[[], None],
    ) -> None:
        self._db = db
        self._session = session
        self._node = node
        self._term = term
        self._clock = clock
        self._trust = trust
        self._status = status
        self._wakeup = wakeup
        self._firing = firing
        self._intake = intake
        self._beat_every = lease / 3
        self._alive = alive
        self._next_beat = steady() + self._beat_every

    async def rule(
        self,
        jobs: Sequence[DeclaredJob],
        declared: Sequence[NamedSchedule],
        leaving: asyncio.Event,
    ) -> None:
        """Lead until `leaving` is set.

        Raises LeaseLostError or StoreError when the lead is lost before.
        """
        await self._begin(jobs, declared, leaving)
        while not leaving.is_set():
            self._alive()
            await self._check()
            await self._firing.turn(self._check)
            await self._intake.turn(self._check)
            reasons = await self._wakeup.wait(self._pause())
            if "schedule" in reasons:
                self._firing.reread()
            self._intake.hear(reasons)

    async def _begin(
        self,
        jobs: Sequence[DeclaredJob],
        declared: Sequence[NamedSchedule],
        leaving: asyncio.Event,
    ) -> None:
        """Register what is declared and learn what runs; a node that is to leave does not stay for
        it."""

        async def begin() -> None:
            await catalogue.register(self._db, self._term, jobs, declared)
            await self._intake.load()

        beginning = asyncio.ensure_future(begin())
        told = asyncio.ensure_future(leaving.wait())
        try:
            await asyncio.wait({beginning, told}, return_when=asyncio.FIRST_COMPLETED)
            if beginning.done():
                beginning.result()
        finally:
            beginning.cancel()
            told.cancel()

    async def _check(self) -> None:
        """Beat when it is time, and make sure that this node still leads."""
        if not self._session.alive:
            raise LeaseLostError("the session that holds the leader's lock is gone")
        if steady() >= self._next_beat:
            sent = steady()
            now = await self._session.beat(self._node, self._term)
            received = steady()
            self._trust.extend(sent)
            tell_trust(self._trust, self._term)
            self._clock.observe(now, sent, received)
            self._status.clock_offset = self._clock.offset
            self._next_beat = sent + self._beat_every
        if not self._trust.holds(steady()):
            raise LeaseLostError("no heartbeat was answered in time")

    def _pause(self) -> float:
        """Return the seconds until something is due again."""
        waits = (self._next_beat - steady(), self._firing.pause(), self._intake.pause())
        return max(0.0, min(waits))


def tell_trust(trust: Trust, term: int) -> None:
    """Log from when to when this node trusts itself, on a clock that all processes of a machine
    share: so that one can look whether two ever did at once."""
    log.debug("trusted", extra={"term": term, "since": steady(), "until": trust.until})
