"""The lead of a kernel in a test: it settles all that is due at an instant, and waits for its runs.

The real scheduler, dispatcher and runner do the work, under a term of a real session. What a node
does by itself as time passes (heartbeats, polls) is left out: the test says when something is done.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec

from sereno.app.declarations import DeclaredSchedules, declared_jobs
from sereno.app.node import Node
from sereno.engine.clock import steady
from sereno.engine.dispatcher import Dispatcher
from sereno.engine.hand_overs import HandOvers
from sereno.engine.placement import Placement
from sereno.engine.runner import Runner
from sereno.engine.scheduler import Scheduler
from sereno.engine.stragglers import Stragglers
from sereno.engine.term import Term
from sereno.engine.wakeup import Wakeup
from sereno.model.errors import ConfigurationError
from sereno.model.run import Outcome
from sereno.store.catalogue import register
from sereno.store.session import NodeSession
from sereno.store.shared_plans import register_shared
from sereno.testing.run_job import EVEN

_LEASE = 3_600.0
"""Seconds for which the server bears with a silent session: a debugger may hold the test up."""

_CALL_LIMIT = 30.0
_AT_ONCE = timedelta(0)

_SEEN_EVERY = 0.05
"""Seconds between looks at what jobs under way may wait for."""


class OwnLead:
    """The `Lead` of a test's runs, and all that a leader does for them."""

    leading = True

    def __init__(self, node: Node, term: Term, wakeup: Wakeup) -> None:
        executors, self._occupancy = node.places()
        self._wakeup = wakeup
        self._written: Counter[str] = Counter()
        self._stragglers = Stragglers(node.db, node.status, self._occupancy, self.place_freed)
        jobs = node.registry.jobs
        context = msgspec.structs.replace(node.context(), chance=lambda: EVEN)
        self._runner = Runner(
            context, jobs, node.registry.given_to, executors, self._stragglers, self
        )
        node.status.at_work = self._runner.at_work
        placement = Placement(self._occupancy, context.offer, node.status.node)
        common = (term, self._runner, self._occupancy, jobs)
        handing = HandOvers(term, self._occupancy, placement)
        self._dispatcher = Dispatcher(
            *common, lease=_LEASE, session_since=steady(), hand_overs=handing
        )
        self._scheduler = Scheduler(*common, queued=self._dispatcher.wait, hand_overs=handing)
        self._work: list[asyncio.Future[None]] = []

    @property
    def trusted_until(self) -> float:
        """Return a time that does not come: nobody else leads in this test."""
        return steady() + _LEASE

    @property
    def present_until(self) -> float:
        """Return the same: nobody takes its runs."""
        return self.trusted_until

    @property
    def supplied(self) -> bool:
        """Return that nothing stands in line here."""
        return False

    @property
    def written(self) -> int:
        """Return how many attempts have ended, and are in the database."""
        return self._written.total()

    def outcome_written(self, outcome: Outcome) -> None:
        """Take note that a place is free."""
        self._written[outcome.job] += 1
        self._occupancy.ended(outcome)
        self._wakeup.ring("run")

    def attempt_over(self) -> None:
        """Nothing stands in line here."""

    def place_freed(self) -> None:
        """Take note that a place is free though no outcome was written."""
        self._wakeup.ring("run")

    async def begin(self) -> None:
        """Learn of what is there, and have outcomes written from now on."""
        await self._dispatcher.load()
        works = (self._runner.work(), self._stragglers.work())
        self._work = [asyncio.ensure_future(work) for work in works]

    async def settle(self, limit: float) -> None:
        """Do all that is due now, until no run is under way.

        Raises TimeoutError, which names the runs, when that takes more than `limit` real seconds.
        """
        end = steady() + limit
        before = self._written.copy()
        while True:
            seen = self.written
            await self._tick(end)
            if not self._runner.busy and seen == self.written:
                return
            if steady() >= end:
                raise TimeoutError(self._unended(limit, before))
            if self._runner.busy:
                await self._wakeup.wait(_SEEN_EVERY)
            for work in self._work:
                if work.done():
                    work.result()  # a fault of ours: nothing of this ever returns

    async def _tick(self, end: float) -> None:
        self._scheduler.reread()
        while True:
            await self._scheduler.tick(_nobody)
            if self._scheduler.pause() > 0 or steady() >= end:
                break
        self._dispatcher.observe({"over", "cancel"} if self._runner.busy else {"over"})
        await self._dispatcher.tick(_nobody)

    def _unended(self, limit: float, before: Counter[str]) -> str:
        left = [str(a) for a in self._runner.attempts.values() if a.began is not None]
        if left:
            more = f" and {len(left) - 5} more" if len(left) > 5 else ""
            return (
                f"{', '.join(left[:5])}{more}: not ended within {limit:g} s of real time. A job's "
                "own sleep is not shortened by the test's clock: end the run, or give "
                "Kernel(limit=...) more"
            )
        found = (self._written - before).most_common(3)
        told = ", ".join(f"job '{job}' {times} times" for job, times in found)
        return (
            f"after {limit:g} s of real time more is still due at this instant; ended by now: "
            f"{told or 'nothing'}. A job that enqueues itself with no delay never comes to an end; "
            "where there is just much to do, give Kernel(limit=...) more"
        )

    async def end(self) -> None:
        """Stop what is under way; its outcome is written."""
        forced = asyncio.Event()
        forced.set()
        async with asyncio.timeout(_CALL_LIMIT):
            await self._runner.drain(_AT_ONCE, forced)
        for work in self._work:
            work.cancel()
        if self._work:
            await asyncio.wait(self._work)


@asynccontextmanager
async def leading(node: Node, database_url: str) -> AsyncIterator[OwnLead]:
    """Have `node` lead. Raises ConfigurationError where another one does."""
    status, wakeup = node.status, Wakeup()
    session = NodeSession(
        database_url, lease=_LEASE, timeout=_CALL_LIMIT, application=f"sereno {status.node}"
    )
    await session.open(wakeup.ring, lambda: None)
    try:
        identity = await node.present()
        await session.claim_presence(identity)
        granted, _ = await session.try_lead()
        if not granted:
            raise ConfigurationError(
                "another Kernel, or a replica, leads on this test's database: leave it first "
                "(`async with`), or give each its own by the fixture sereno_database"
            )
        number = await session.begin_term(identity, node.db)
        status.leading, status.term = True, number
        schedules = DeclaredSchedules(node.registry)
        await register_shared(node.db, number, node.settings.shared)
        await register(node.db, number, declared_jobs(node.registry), schedules)
        lead = OwnLead(node, node.context().term(number, identity), wakeup)
        async with node.executing():
            await lead.begin()
            try:
                yield lead
            finally:
                status.leading = False
                await lead.end()
            await session.hand_over(number, "handed over")
            await node.db.execute("node_leave", status.node)
    finally:
        session.terminate()


async def _nobody() -> None:
    """Have nobody between two batches."""
