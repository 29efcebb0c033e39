"""Makes this node stand for the lead, lead, and stand again.

    away ──session──► standing ──lock granted, term begun──► leading
     ▲                  │  ▲                                   │
     └── any error ─────┘  └─ hand-over ◄── leave(), the pool ─┤
     └──────────────── any doubt: the session is terminated ───┘

Invariants: a node acts as leader only while its trust holds; whatever it writes carries the term;
any error of the session means that the lock is lost; the presence lock is held in every state but
`away`. An error of the pool alone, as of a pooler that is gone, costs the lead and not the session:
nobody takes this node's runs, and it stands again once the pool answers.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import NoReturn

import msgspec

from sereno.engine import history
from sereno.engine.aside import Aside
from sereno.engine.assignments import Assignments
from sereno.engine.backoff import Backoff
from sereno.engine.clock import steady
from sereno.engine.dispatcher import CANCEL_EVERY, Dispatcher
from sereno.engine.firing_loop import FiringLoop
from sereno.engine.hand_overs import HandOvers
from sereno.engine.heartbeat import Heartbeat, log_trust
from sereno.engine.node_context import NodeContext
from sereno.engine.occupancy import Occupancy
from sereno.engine.orders import Orders
from sereno.engine.placement import Placement
from sereno.engine.runner import Runner
from sereno.engine.scheduler import Scheduler
from sereno.engine.stranger_watch import StrangerWatch
from sereno.engine.term import Term
from sereno.engine.trust import Trust
from sereno.engine.wakeup import Wakeup
from sereno.model.errors import PoolerError, SerenoError, StoreError, StoreUnavailableError
from sereno.model.events import LeaderChanged
from sereno.model.job import Job
from sereno.model.run import Outcome
from sereno.store import hand_overs, runs
from sereno.store.catalogue import DeclaredJob, NamedSchedule, register
from sereno.store.errors import answered
from sereno.store.holder import lock_holder
from sereno.store.session import NodeIdentity, NodeSession
from sereno.store.shared_plans import register_shared
from sereno.store.timeline import Timeline

log = logging.getLogger("sereno.leader")

POLL = 0.236
"""Seconds between a follower's tries for the lock, spread by a 24th: at most 250 ms apart."""

_SETTLED = 10.0
"""Seconds after which a session counts as good: the next loss begins with the shortest wait."""

_CONNECT_EVERY = 0.3
"""Seconds, at the longest, between tries to connect while the database is away: whoever leads next
does so within a second of its return, however long it was away. A refused connection costs little;
a lead that is taken and lost over and over, as of a database that is full, waits longer."""

_BEHIND_A_POOLER = 10.0
"""Seconds between tries of a node that may not lead until its configuration is another."""

_PRESENCE_AGAIN = 0.05
"""Seconds between tries for the presence lock, which an ended session of this node lets go soon."""

_PRESENCE_PATIENCE = 1.0
"""Seconds after which who holds it is named: that is no session of this node."""

_UNAWARE = 0.4
"""Seconds that a deposed leader has to learn of it, when it lives and its lease was not over: its
backend was terminated. It could write nothing in any case."""

_AFTER_A_FAULT = 2.0
"""Seconds after which a node stands again that could not lead for a fault of the kernel."""


class Leader:
    """This node's part in the election, and the `Lead` of its runs. `dsn`: a direct connection, no
    pooler."""

    def __init__(
        self,
        dsn: str,
        context: NodeContext,
        jobs: Sequence[DeclaredJob],
        schedules: Iterable[NamedSchedule],
        occupancy: Occupancy,
        present: Callable[[], Awaitable[NodeIdentity]],
    ) -> None:
        """`present`: makes sure that the database has this node's row, which failovers forget."""
        self._dsn = dsn
        self._context = context
        self._db = context.db
        self._clock = context.clock
        self._status = status = context.status
        self._node = NodeIdentity(status.node, 0)
        self._declared = jobs
        self._schedules = schedules
        self._jobs: dict[str, Job] = {d.job.name: d.job for d in jobs}
        self._upstream = {name for job in self._jobs.values() for name in job.after}
        self._call_limit = max(0.3, context.lease / 3)
        self._present = present
        self._trust = Trust(context.lease)
        self._presence = Trust(context.lease)
        self.offer = context.offer
        self._offering = asyncio.Lock()
        self.assignments = Assignments(context, self)
        self.placement = Placement(occupancy)
        self._wakeup = Wakeup()
        self._occupancy = occupancy
        self._leaving = asyncio.Event()
        self._left = asyncio.Event()
        self.refused = asyncio.Event()
        status.pulse = steady()
        self._current: NodeSession | None = None
        self._next_cancel = 0.0
        self._aside = Aside(self._call_limit)
        self._strangers = StrangerWatch(self._db, self._aside)
        self._orders = Orders(self._db, self._call_limit, status, leads=context.leads)
        self._unable_until: float | None = None

    @property
    def leading(self) -> bool:
        """Return whether this node leads."""
        return self._status.leading

    @property
    def trusted_until(self) -> float | None:
        """Return the steady time until which this node may act as leader, None when it may not."""
        return self._trust.until if self._trust.holds(steady()) else None

    @property
    def present_until(self) -> float | None:
        """Return the steady time until which nobody may take this node's runs, None when somebody
        may: its presence lock outlasts what its session has said by a lease."""
        now = steady()
        holding = [trust.until for trust in (self._trust, self._presence) if trust.holds(now)]
        return max(holding, default=None)

    @property
    def supplied(self) -> bool:
        """Return whether what stands in line here takes the places that become free."""
        return self.assignments.lined and not self.leading

    def outcome_written(self, outcome: Outcome) -> None:
        """Take note that a place is free, and that a retry or a chained run may wait."""
        self._occupancy.ended(outcome)
        queued = outcome.state == "queued" or outcome.job in self._upstream
        self._wakeup.ring("run" if queued else "end")

    def attempt_over(self) -> None:
        """Take note that what stands in line here may find a place."""
        self.assignments.poll_lines()

    def place_freed(self) -> None:
        """Take note that a place is free though no outcome was written."""
        self._wakeup.ring("run")

    async def withdraw(self) -> None:
        """Be handed nothing more, and give back what has not begun; raises StoreError."""
        await self.assignments.close()
        async with self._offering:
            await hand_overs.withdraw(self._db, self._node.id)

    async def offer_places(self, places: Mapping[str, int | None]) -> None:
        """Be handed as much as `places` have room for from now on; raises StoreError.

        What was handed to this node and has not begun is given back where that is less.
        """
        async with self._offering:
            if self._leaving.is_set():
                return
            offer = msgspec.structs.replace(self.offer, places=places)
            if any(_fewer(n, self.offer.places[executor]) for executor, n in places.items()):
                self.assignments.forget_lines()
                await hand_overs.withdraw(self._db, self._node.id)
            await hand_overs.offer(self._db, self._node.id, offer)
            self.offer = self.placement.own = offer
        self._occupancy.resize({e: n for e, n in places.items() if n is not None})
        self._wakeup.ring("end")
        log.info("this node has other places", extra={"places": dict(places)})

    def _heard(self, message: str) -> None:
        self._orders.observe(message)
        if not self.assignments.put(message):
            self._wakeup.ring(message)

    async def leave(self) -> None:
        """Give the lead up, for good; returns once it is given up. The presence lock stays."""
        self._leaving.set()
        self._wakeup.ring("leave")
        await self._left.wait()

    async def stand(self, runner: Runner) -> None:
        """Stand for the lead, and lead, for ever; the database may come and go."""
        connecting, backoff = Backoff(longest=_CONNECT_EVERY), Backoff()
        while True:
            session = self._session()
            waits = connecting
            try:
                await session.open(self._heard, partial(self._lost, session))
                self._heard("order")
                connecting.reset()
                waits = backoff
                await self._hold(session, runner, backoff)
            except PoolerError as error:
                self._away(str(error))
                log.error("this node cannot lead", extra={"error": str(error)})
                rest = _BEHIND_A_POOLER
            except SerenoError as error:
                if answered(error):
                    self._status.heard = steady()
                # Said once, not at every try of what may be hours.
                level = logging.DEBUG if str(error) == self._status.store_error else logging.WARNING
                self._away(str(error))
                log.log(level, "the session is lost", extra={"error": str(error)})
                rest = waits.wait()
            except Exception as error:  # a fault of ours: the runs under way are not to die of it
                self._away(f"{type(error).__name__}: {error}")
                log.exception("a fault in what leads; this node stands again")
                rest = _AFTER_A_FAULT
            finally:
                session.terminate()  # before the rest: another is to lead meanwhile
            await self._rest(rest)

    def _session(self) -> NodeSession:
        return NodeSession(
            self._dsn,
            lease=self._context.lease,
            timeout=self._call_limit,
            application=f"sereno {self._node.id}",
        )

    def cut(self) -> None:
        """Drop the session from any thread: the loop is blocked and cannot."""
        self._absent()  # first: another node leads as soon as the server learns of it
        session = self._current
        if session is not None:
            session.cut()

    async def _hold(self, session: NodeSession, runner: Runner, backoff: Backoff) -> NoReturn:
        self._current = session
        since = steady()
        # A failover may have forgotten this node's row, and given its key to another.
        self._node = await self._present()
        await self._be_present(session)
        sent = steady()
        await session.watch()
        # While the session was lost, another may have taken our runs for a dead node's: what the
        # database does not name ours is stopped before this node takes part again. Attempts that
        # have not begun are left: each asks whether this node is trusted when it begins.
        await self._reconcile(runner)
        self._presence.begin(sent)
        self._status.heard = sent
        self._unable_until = None
        async with self._offering:
            if not self._leaving.is_set():
                await hand_overs.offer(self._db, self._node.id, self.offer)
        while not self._leaving.is_set():
            self._status.pulse = sent = steady()
            able = await self._able(runner)
            if not able or await self._orders.poll() or not self._context.leads:
                await session.watch()
                self._answered(sent)
                if not self._context.leads:
                    self.refused.set()
                if able:
                    self._in_reach()
                await self._idle(runner, POLL)
                continue
            granted, now = await session.try_lead()
            self._answered(sent)
            self._clock.observe(now, sent, steady())
            self._status.clock_offset = self._clock.offset
            if granted:
                self._trust.begin(sent)
                await self._lead(session, runner, since, backoff)
            else:
                self.refused.set()
                self._in_reach()
                backoff.reset()
                await self._strangers.poll()
                await self._idle(runner, POLL * (23 + 2 * random.random()) / 24)  # noqa: S311
        self._left.set()
        while True:  # draining: the presence lock says that our runs are not lost
            self._status.pulse = sent = steady()
            await session.watch()
            self._answered(sent)
            await self._idle(runner, self._call_limit)

    async def _able(self, runner: Runner) -> bool:
        """Tell whether the pool answers again, where it has cost this node the lead."""
        if self._unable_until is None:
            return True
        if steady() < self._unable_until:
            return False
        if await self._aside.ask(partial(self._reconcile, runner)) is None:
            return False
        self._unable_until = None
        return True

    async def _reconcile(self, runner: Runner) -> bool:
        """Stop what the database does not name ours, and see that what it does is attended to.

        Claims of what was handed to us may be on their way: what began since is not judged, nor
        what is owned and unknown while there may be any; it is seen later.
        """
        known = list(runner.attempts)
        waiting = self.assignments.busy
        owned = await runs.owned(self._db, self._node.id)
        tokens = {r["token"] for r in owned}
        runner.superseded(t for t in known if t not in tokens and not runner.begins(t))
        if not (waiting or self.assignments.busy):
            begun = set(runner.attempts).difference(known)
            runner.lose(r for r in runner.unattended(owned) if r["token"] not in begun)
        return True

    async def _be_present(self, session: NodeSession) -> None:
        """Take the presence lock. Raises StoreUnavailableError, and names who keeps it."""
        since = steady()
        while not await session.claim_presence(self._node):
            await self._wakeup.wait(_PRESENCE_AGAIN)
            if steady() - since < _PRESENCE_PATIENCE:
                continue
            holder = await lock_holder(self._db, self._node.key)
            if holder is not None:
                raise StoreUnavailableError(
                    f"the lock that says that this node is alive is held by {holder}, which is not "
                    f"this node; it takes no part until that session has ended: {holder.remedy}"
                )

    async def _idle(self, runner: Runner, seconds: float) -> None:
        """Wait, at the longest until the lead may be free, and poll what concerns our own runs."""
        end = steady() + seconds
        while (left := end - steady()) > 0:
            reasons = await self._wakeup.wait(left)
            due = steady() >= self._next_cancel
            if runner.attempts and (due or "cancel" in reasons):
                self._next_cancel = steady() + CANCEL_EVERY
                await self._aside.ask(runner.poll_cancellations)
            if reasons & {"handover", "leave", "lost", "order"}:
                return

    async def _lead(
        self, session: NodeSession, runner: Runner, since: float, backoff: Backoff
    ) -> None:
        await self._succeed(session)
        began = steady()
        # In this order: which history the database is on has to be known before a term begins, and
        # a term has to have begun before anything is decided under it.
        entered = await session.enter_timeline(self._node, self._status.term, self._db)
        number = await session.begin_term(self._node, self._db)
        history.log_entered(entered, number)
        term = self._context.term(number, self._node)
        firing_loop = self._firing_loop(term, session, runner, entered.timeline, since)
        self._status.leading, self._status.term = True, number
        self._status.leader_changes += 1
        log_trust(self._trust, number)
        log.info("leading", extra={"term": number})
        self._publish_change(number, True, "lock granted")
        reason = "lost"
        until = asyncio.Event()
        obeying = asyncio.ensure_future(self._orders.obey(self._leaving, until))
        try:
            try:
                await firing_loop.run(
                    [
                        self.assignments.settled,
                        partial(history.settle_doubtful, term, entered.timeline),
                        partial(register_shared, self._db, number, self._context.shared),
                        partial(register, self._db, number, self._declared, self._schedules),
                    ],
                    until,
                )
            except StoreError as error:
                if not session.alive:
                    raise
                self._unable(str(error), backoff)
            reason = "handed over"
            self._distrust()  # before the lock is let go: the next leader may act at once
            await session.hand_over(number, reason)
        finally:
            obeying.cancel()
            if steady() - began > _SETTLED:
                backoff.reset()
            self._distrust()
            self._status.leading = self._status.firing = False
            self._occupancy.clear()  # what was counted is another's to count now
            log.info("no longer leading", extra={"term": number, "reason": reason})
            self._publish_change(number, False, reason)
            await firing_loop.over()

    def _firing_loop(
        self,
        term: Term,
        session: NodeSession,
        runner: Runner,
        timeline: Timeline,
        since: float,
    ) -> FiringLoop:
        self.placement = Placement(self._occupancy, self.offer, self._node.id)
        handing = HandOvers(term, self._occupancy, self.placement)
        dispatcher = Dispatcher(
            term,
            runner,
            self._occupancy,
            self._jobs,
            lease=self._context.lease,
            session_since=since,
            hand_overs=handing,
        )
        scheduler = Scheduler(
            term,
            runner,
            self._occupancy,
            self._jobs,
            queued=dispatcher.wait,
            doubt=timeline.doubt,
            hand_overs=handing,
        )
        heartbeat = Heartbeat(term, session, self._trust, self._status)
        return FiringLoop(term, heartbeat, self._status, self._wakeup, scheduler, dispatcher)

    def _unable(self, error: str, backoff: Backoff) -> None:
        """Take note that the lead is given up, as nothing can be written through the pool."""
        self._status.store_up, self._status.store_error = False, error
        self._unable_until = steady() + backoff.wait()
        log.warning("the lead is given up: its statements fail", extra={"error": error})

    def _publish_change(self, term: int, leading: bool, reason: str) -> None:
        node = str(self._node.id)
        self._context.publish(LeaderChanged(node=node, term=term, leading=leading, reason=reason))

    async def _succeed(self, session: NodeSession) -> None:
        """Give a leader whose session was ended before its lease time to learn of it."""
        end = steady() + _UNAWARE
        while steady() < end and not self._leaving.is_set():
            if not await session.predecessor_unaware(self._node):
                return
            await asyncio.sleep(_UNAWARE / 20)

    def _lost(self, session: NodeSession) -> None:
        """Take note that the server has ended `session`, which may be an older one than ours."""
        if session is self._current:
            self._absent()
            self._wakeup.ring("lost")

    def _absent(self) -> None:
        """Take note that others may take this node for gone before long: begin nothing."""
        self._distrust()
        self._presence.end()

    def _distrust(self) -> None:
        self._trust.end()
        log.debug("trust ended", extra={"term": self._status.term, "at": steady()})

    def _in_reach(self) -> None:
        self._status.store_up, self._status.store_error = True, None

    def _answered(self, sent: float) -> None:
        """Take note that the server has answered what was sent then."""
        self._presence.extend(sent)
        self._status.heard = sent

    def _away(self, error: str) -> None:
        self._status.store_up, self._status.store_error = False, error
        self._trust.end()
        self._presence.end()
        if self._leaving.is_set():
            self._left.set()

    async def _rest(self, seconds: float) -> None:
        """Wait for the next try, and no longer than until this node is told to leave."""
        self._status.pulse = steady()
        if self._leaving.is_set():
            self._left.set()
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._leaving.wait()
                self._left.set()


def _fewer(places: int | None, before: int | None) -> bool:
    return places is not None and (before is None or places < before)
