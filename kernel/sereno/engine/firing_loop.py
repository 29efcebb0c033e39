"""What a leader does, from taking the lead to losing it: the firing loop.

States: preparing (what was doubtful is ended, schedules are registered, runs are learned of, while
it beats); ticking; over. A tick does all that is due, one after another: heartbeat, slots, queue,
losses, and what is to come. Invariants: whatever hangs in a tick stops the beats too, so a leader
that does nothing loses the lead; between any two batches the trust is checked anew.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from sereno.engine.bulk_worker import BulkWorker
from sereno.engine.clock import steady
from sereno.engine.dispatcher import Dispatcher
from sereno.engine.drift_watch import DriftWatch
from sereno.engine.heartbeat import Heartbeat
from sereno.engine.patience import AGAIN, Patience
from sereno.engine.scheduler import Scheduler
from sereno.engine.status import Status
from sereno.engine.term import Term
from sereno.engine.wakeup import Wakeup
from sereno.model.errors import StoreUnavailableError

log = logging.getLogger("sereno.leader")

_Work = Callable[[], Coroutine[Any, Any, object]]


class FiringLoop:
    """One term of this node."""

    def __init__(
        self,
        term: Term,
        heartbeat: Heartbeat,
        status: Status,
        wakeup: Wakeup,
        scheduler: Scheduler,
        dispatcher: Dispatcher,
    ) -> None:
        self._heartbeat = heartbeat
        self._status = status
        self._wakeup = wakeup
        self._scheduler = scheduler
        self._dispatcher = dispatcher
        self._drift_watch = DriftWatch(term, scheduler.reread)
        self._bulk_worker = BulkWorker(term)
        self._patience = Patience(term.db, status)
        self._ticking: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, before: Sequence[_Work], leaving: asyncio.Event) -> None:
        """Lead until `leaving` is set; the tick that is under way then goes on until `over`.

        `before`: what is done before anything begins, one after another.
        Raises LeaseLostError or StoreError when the lead is lost before; StoreUnavailableError also
        where a turn has been under way for so long, as behind a pooler that hangs, that no beat
        could be sent: then the session may be good still.
        """
        self._ticking = asyncio.ensure_future(self._tick_until(before, leaving))
        left = asyncio.ensure_future(leaving.wait())
        try:
            while not (self._ticking.done() or left.done()):
                patience = self._heartbeat.patience()
                if patience <= 0:
                    raise StoreUnavailableError("the database has not answered for most of a lease")
                await asyncio.wait(
                    {self._ticking, left}, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                )
        except asyncio.CancelledError:
            self._ticking.cancel()
            raise
        finally:
            left.cancel()
        if self._ticking.done():
            self._ticking.result()

    async def over(self) -> None:
        """Wait for what was under way when the lead was given up: a hand-over waits for nothing.

        Whatever it still wrote, it wrote before the next term began. The session is kept meanwhile.
        """
        self._ticking.add_done_callback(_swallow)
        lease = self._status.lease.total_seconds()
        end = steady() + lease
        while not self._ticking.done() and (rest := end - steady()) > 0:
            await asyncio.wait({self._ticking}, timeout=min(rest, lease / 3))
            await self._heartbeat.keep_session()
        self._ticking.cancel()
        if self._ticking.done() and not self._ticking.cancelled():
            log.debug("the last turn is over", extra={"error": str(self._ticking.exception())})

    async def _tick_until(self, before: Sequence[_Work], leaving: asyncio.Event) -> None:
        for work in (*before, self._dispatcher.load):
            await self._at_the_beginning(work)
        self._status.firing = True
        with self._bulk_worker.working():
            await self._tick_on(leaving)

    async def _tick_on(self, leaving: asyncio.Event) -> None:
        while not leaving.is_set():
            self._status.pulse = steady()
            await self._heartbeat.check()
            await self._patience.run(lambda: self._scheduler.tick(self._heartbeat.check))
            await self._patience.run(lambda: self._dispatcher.tick(self._heartbeat.check))
            await self._patience.run(self._drift_watch.tick)
            self._status.store_up, self._status.store_error = True, None
            reasons = await self._wakeup.wait(self._pause())
            if "schedule" in reasons:
                self._scheduler.reread()
            if "bulk" in reasons:
                self._bulk_worker.wake()
            if "end" in reasons or any(reason.startswith("over") for reason in reasons):
                self._bulk_worker.run_over()
            self._dispatcher.observe(reasons)

    async def _at_the_beginning(self, work: _Work) -> None:
        """Do `work`, and beat meanwhile, as often as it takes while others keep a lock that it
        needs."""
        done = asyncio.Event()

        async def once() -> None:
            await work()
            done.set()

        while not done.is_set():
            await self._while_beating(self._patience.run(once))
            if not done.is_set():
                await self._while_beating(asyncio.sleep(AGAIN))

    async def _while_beating(self, work: Coroutine[Any, Any, object]) -> None:
        """Do `work`, and beat meanwhile: with many schedules it may take longer than the lease."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=max(0.0, self._heartbeat.pause()))
                self._status.pulse = steady()
                await self._heartbeat.check()
            task.result()
        finally:
            task.add_done_callback(_swallow)  # the lead was lost meanwhile, which says enough
            task.cancel()

    def _pause(self) -> float:
        """Return the seconds until something is due again."""
        own = self._heartbeat.pause()
        waits = (own, self._scheduler.pause(), self._dispatcher.pause(), self._drift_watch.pause())
        return max(self._patience.rest(), min(own, *waits), 0.0)


def _swallow(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()
