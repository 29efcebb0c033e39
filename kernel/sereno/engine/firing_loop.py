"""What a leader does, from taking the lead to losing it: the firing loop.

One loop does it all in turn: heartbeat, slots, queue, losses. So a loop that hangs stops beating,
and loses the lead.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from sereno.engine.clock import Clock, steady
from sereno.engine.dispatcher import Dispatcher
from sereno.engine.drift_watch import DriftWatch
from sereno.engine.patience import AGAIN, Patience
from sereno.engine.scheduler import Scheduler
from sereno.engine.status import Status
from sereno.engine.trust import Trust
from sereno.engine.wakeup import Wakeup
from sereno.model.errors import LeaseLostError
from sereno.store import catalogue
from sereno.store.catalogue import DeclaredJob, NamedSchedule
from sereno.store.pool import Database
from sereno.store.session import NodeIdentity, NodeSession

log = logging.getLogger("sereno.leader")


class FiringLoop:
    """One term of this node. `lease`: seconds; `alive` is called at every turn; `before` is done
    before anything begins."""

    def __init__(
        self,
        db: Database,
        session: NodeSession,
        node: NodeIdentity,
        term: int,
        clock: Clock,
        trust: Trust,
        status: Status,
        wakeup: Wakeup,
        scheduler: Scheduler,
        dispatcher: Dispatcher,
        *,
        lease: float,
        alive: Callable[[], None],
        before: Callable[[], Coroutine[Any, Any, object]],
    ) -> None:
        self._db = db
        self._session = session
        self._node = node
        self._term = term
        self._clock = clock
        self._trust = trust
        self._status = status
        self._wakeup = wakeup
        self._scheduler = scheduler
        self._dispatcher = dispatcher
        self._drift_watch = DriftWatch(db, term, scheduler.reread)
        self._patience = Patience(db)
        self._lease = lease
        self._beat_every = lease / 3
        self._alive = alive
        self._before = before
        self._next_beat = steady() + self._beat_every
        self._turns: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(
        self,
        jobs: Sequence[DeclaredJob],
        declared: Iterable[NamedSchedule],
        leaving: asyncio.Event,
    ) -> None:
        """Lead until `leaving` is set; the turn that is under way then goes on until `over`.

        Raises LeaseLostError or StoreError when the lead is lost before.
        """
        self._turns = asyncio.ensure_future(self._take_turns(jobs, declared, leaving))
        told = asyncio.ensure_future(leaving.wait())
        try:
            await asyncio.wait({self._turns, told}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._turns.cancel()
            raise
        finally:
            told.cancel()
        if self._turns.done():
            self._turns.result()

    async def over(self) -> None:
        """Wait for what was under way when the lead was given up: a hand-over waits for nothing.

        Whatever it still wrote, it wrote before the next term began.
        """
        await asyncio.wait({self._turns}, timeout=self._lease)
        self._turns.cancel()
        if self._turns.done() and not self._turns.cancelled():
            log.debug("the last turn is over", extra={"error": str(self._turns.exception())})

    async def _take_turns(
        self,
        jobs: Sequence[DeclaredJob],
        declared: Iterable[NamedSchedule],
        leaving: asyncio.Event,
    ) -> None:
        await self._at_the_beginning(self._before)
        await self._at_the_beginning(
            lambda: catalogue.register(self._db, self._term, jobs, declared, self._refused)
        )
        await self._at_the_beginning(self._dispatcher.load)
        while not leaving.is_set():
            self._alive()
            await self._check()
            await self._patience.have(lambda: self._scheduler.turn(self._check))
            await self._patience.have(lambda: self._dispatcher.turn(self._check))
            await self._patience.have(self._drift_watch.turn)
            self._status.store_up, self._status.store_error = True, None
            reasons = await self._wakeup.wait(self._pause())
            if "schedule" in reasons:
                self._scheduler.reread()
            self._dispatcher.hear(reasons)

    def _refused(self, plugins: Mapping[str, str]) -> None:
        """Hear which plugins the database does not take: this node's pages tell of them."""
        self._status.refused = dict(plugins)

    async def _at_the_beginning(self, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Do `work`, and beat meanwhile, as often as it takes while others keep a lock that it
        needs."""
        done = asyncio.Event()

        async def once() -> None:
            await work()
            done.set()

        while not done.is_set():
            await self._while_beating(self._patience.have(once))
            if not done.is_set():
                await self._while_beating(asyncio.sleep(AGAIN))

    async def _while_beating(self, work: Coroutine[Any, Any, object]) -> None:
        """Do `work`, and beat meanwhile: with many schedules it may take longer than the lease."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=max(0.0, self._next_beat - steady()))
                self._alive()
                await self._check()
            task.result()
        finally:
            task.add_done_callback(_swallow)  # the lead was lost meanwhile, which says enough
            task.cancel()

    async def _check(self) -> None:
        """Make sure that this node still leads, and beat when it is time."""
        self._make_sure()
        if steady() >= self._next_beat:
            sent = steady()
            now = await self._session.beat(self._node, self._term)
            received = steady()
            self._trust.extend(sent)
            tell_trust(self._trust, self._term)
            self._clock.observe(now, sent, received)
            self._status.clock_offset = self._clock.offset
            self._next_beat = sent + self._beat_every
            self._make_sure()

    def _make_sure(self) -> None:
        if not self._session.alive:
            raise LeaseLostError("the session that holds the leader's lock is gone")
        if not self._trust.holds(steady()):
            raise LeaseLostError("no heartbeat was answered in time, or the lead was given up")

    def _pause(self) -> float:
        """Return the seconds until something is due again."""
        own = self._next_beat - steady()
        waits = (own, self._scheduler.pause(), self._dispatcher.pause(), self._drift_watch.pause())
        return max(self._patience.rest(), min(own, *waits), 0.0)


def _swallow(task: asyncio.Task[object]) -> None:
    if not task.cancelled():
        task.exception()


def tell_trust(trust: Trust, term: int) -> None:
    """Log from when to when this node trusts itself, on a clock that all processes of a machine
    share: so that one can look whether two ever did at once."""
    log.debug("trusted", extra={"term": term, "since": steady(), "until": trust.until})
