"""Starts what waits in the queue, stops what is cancelled, and looks after runs of other nodes.

States of a run as the leader counts it: waiting (a schedule's is in `Occupancy`, any other in its
row alone); admitted (it has its place, and no token yet); claimed (it has its attempt's token, and
the `Runner` has it); gone. Invariants: a run has its place before it is claimed, and gives it back
when the claim does not get it; a claim carries the term, so that no two leaders claim one run;
limits are counted in the leader's memory alone, as nobody else starts runs.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from itertools import chain
from uuid import UUID

from sereno.engine.clock import steady
from sereno.engine.occupancy import Occupancy, Occupant
from sereno.engine.reaper import Reaper
from sereno.engine.runner import Runner
from sereno.engine.term import Term
from sereno.model.events import SlotSettled
from sereno.model.job import Job
from sereno.model.ledger import Claim, Queued
from sereno.model.policies import Policies
from sereno.model.run import FINAL
from sereno.store import queue, runs

QUEUE_EVERY = 2.0
"""Seconds between polls of the queue: a notification brings one at once, this is for runs that were
written without one."""

FOREIGN_EVERY = 0.4
"""Seconds between polls of other nodes' runs, while there are any: to find a crash soon after the
second that it takes to be sure of it."""

EXPIRY_AGAIN = 0.05
"""Seconds between tries to end a run that has waited for too long."""

CANCEL_EVERY = 5.0
"""Seconds between polls of what is to be cancelled: a notification brings one at once."""

BATCH = 1000
"""Runs that are read at once: between two batches the heartbeat has its chance."""

CLAIMS = 250
"""Runs of a batch that are claimed at once: while they begin, the next ones are being claimed."""


class Dispatcher:
    """The queue of one term. `lease`: seconds; `session_since`: the steady time from which our
    session has lasted."""

    def __init__(
        self,
        term: Term,
        runner: Runner,
        occupancy: Occupancy,
        jobs: Mapping[str, Job],
        *,
        lease: float,
        session_since: float,
    ) -> None:
        self._term = term
        self._runner = runner
        self._stragglers = runner.stragglers
        self._occupancy = occupancy
        self._jobs = jobs
        self._reaper = Reaper(term, jobs, lease, session_since)
        self._limits = {
            n: j.policies.max_running for n, j in jobs.items() if j.policies.max_running
        }
        self._next_queue = self._next_foreign = self._next_cancel = self._next_expiry = 0.0
        self._queued_at: float | None = None
        self._waiting = False
        self._called = False

    def wait(self) -> None:
        """A run waits in the queue for its place: look when one becomes free."""
        self._waiting = True

    def observe(self, reasons: set[str]) -> None:
        """Take what has woken the loop as a reason to look at once."""
        if "run" in reasons or "over" in reasons or ("end" in reasons and self._waiting):
            self._next_queue = 0.0
            self._called = self._called or "run" in reasons
        if "over" in reasons:
            self._next_foreign = 0.0
        if "cancel" in reasons:
            self._next_cancel = 0.0

    def pause(self) -> float:
        """Return the seconds until something is due, negative when it is overdue."""
        waits = [self._next_queue, self._next_cancel, self._expiry()]
        if self._queued_at is not None:
            waits.append(self._queued_at)
        if self._has_foreign():
            waits.append(self._next_foreign)
        return min(waits) - steady()

    def _expiry(self) -> float:
        """Return the steady time at which a run that waits is too late to begin."""
        by = self._occupancy.expires()
        return (
            math.inf
            if by is None
            else max(self._next_expiry, steady() + self._term.clock.until(by))
        )

    async def tick(self, between: Callable[[], Awaitable[None]]) -> None:
        """Do all that is due; `between` is awaited after each batch."""
        now = steady()
        if now >= self._next_queue or (self._queued_at is not None and now >= self._queued_at):
            await self._start_queued(between)
        if self._has_foreign() and now >= self._next_foreign:
            await self._poll_foreign()
        if now >= self._next_cancel:
            await self._cancel_requested()
        if now >= self._expiry():
            await self._end_unbegun()

    async def load(self) -> None:
        """Read what runs and waits already, of this node and of others."""
        self._occupancy.clear()
        active = await runs.active(self._term.db)
        running = [r for r in active if r["state"] == "running" and r["node"] == self._term.node.id]
        self._runner.lose(self._runner.unattended(running))
        for row in active:
            mine = row["node"] == self._term.node.id
            self._occupancy.add(
                Occupant(
                    run_id=row["id"],
                    token=row["token"] if row["state"] == "running" else None,
                    job=row["job"],
                    schedule_id=row["schedule_id"],
                    key=row["concurrency_key"],
                    executor=self._executor(row["job"]),
                    running=row["state"] == "running",
                    foreign=row["state"] == "running" and not mine,
                    start_by=None if row["attempt"] else row["start_by"],
                )
            )

        await self._stragglers.load()

    async def _start_queued(self, between: Callable[[], Awaitable[None]]) -> None:
        self._next_queue = steady() + QUEUE_EVERY
        self._queued_at = None
        self._waiting = False
        if self._called:
            self._called = False
            await self._start_first()
        # Schedules whose runs were refused for policies of their own, which the statement does not
        # know: asked for anew without them, the queue gives what is behind.
        excluded: set[int] = set()
        while room := self._occupancy.room():
            limit = min(room, BATCH)
            found = await queue.ready(
                self._term.db, limit, self._startable(), self._occupancy.keys(), list(excluded)
            )
            chosen = [q.run_id for q in found if self._admit(q)]
            admitted = set(chosen)
            refused = {q.schedule_id for q in found if q.run_id not in admitted}
            self._waiting = self._waiting or len(chosen) < len(found)
            if chosen:
                await self._start(chosen)
                await between()
            elif not refused - excluded - {None} or len(found) < limit:
                break  # nobody is behind those that have to wait
            excluded |= {schedule for schedule in refused if schedule is not None}
        else:
            self._waiting = True
        following = await self._term.db.fetchval("queue_next")
        if following is not None:
            self._queued_at = steady() + max(0.0, self._term.clock.until(following))

    async def _start_first(self) -> None:
        """Start what has just been queued, which mostly is one run, by one round trip.

        To read what is ready and to claim it takes two: as many as it may be, this is left to them.
        """
        if self._occupancy.held():
            return  # it cannot be said in that statement whom they hold up
        jobs = self._startable()
        if not jobs or not self._occupancy.room():
            return
        first = await runs.claim_first(
            self._term.db, self._term.number, self._term.node.id, jobs, self._occupancy.keys()
        )
        if first is not None:
            run, claim = first
            self._occupy(run, self._executor(run.job), claim.token)
            self._runner.start(claim)
            await asyncio.sleep(0)  # it begins before this node asks for more

    def _startable(self) -> list[str]:
        """Return the jobs of which one more may start, by their own limit and their executor's."""
        full = set(self._occupancy.full_jobs(self._limits))
        open_ = self._occupancy.has_place
        found = [n for n, j in self._jobs.items() if n not in full and open_(j.policies.executor)]
        self._waiting = self._waiting or len(found) < len(self._jobs)
        return found

    def _admit(self, run: Queued) -> bool:
        policies = self._policies(run)
        if self._occupancy.repeats(run.run_id) or not self._occupancy.admits(
            run.job, policies.max_running, run.concurrency_key, policies.executor
        ):
            return False
        self._occupy(run, policies.executor)
        return True

    def _occupy(self, run: Queued, executor: str, token: UUID | None = None) -> None:
        """Note that a run from the queue starts; `token`: of its attempt, once it is claimed."""
        self._occupancy.add(
            Occupant(
                run_id=run.run_id,
                token=token,
                job=run.job,
                schedule_id=run.schedule_id,
                key=run.concurrency_key,
                executor=executor,
                start_by=run.start_by,
            )
        )

    def _policies(self, run: Queued) -> Policies:
        declared = self._jobs[run.job].policies
        try:
            return declared.changed(run.policies, f"run {run.run_id}")
        except Exception:  # whatever JSON its row holds
            return declared  # the runner says what is wrong with them

    async def _start(self, chosen: list[int]) -> None:
        """Claim `chosen` part by part, and start what was claimed while the next part is on its
        way."""
        parts = [chosen[n : n + CLAIMS] for n in range(0, len(chosen), CLAIMS)]
        coming: asyncio.Future[list[Claim]] | None
        coming = asyncio.ensure_future(self._claim(parts.pop(0)))
        try:
            while coming is not None:
                claims, coming = await coming, None
                if parts:
                    coming = asyncio.ensure_future(self._claim(parts.pop(0)))
                    await asyncio.sleep(0)  # it is sent before this node is busy
                for claim in claims:
                    self._occupancy.claimed(claim.run_id, claim.token)
                    self._runner.start(claim)
        finally:
            if coming is not None:
                coming.cancel()
            for run_id in chain.from_iterable(parts):
                self._unclaimed(run_id)

    async def _claim(self, chosen: list[int]) -> list[Claim]:
        # On any error too, what was not claimed gives its place back. A claim that was written, and
        # whose answer was lost, is found among what this node owns and does not know.
        claims: list[Claim] = []
        try:
            claims = await runs.claim(self._term.db, self._term.number, self._term.node.id, chosen)
            return claims
        finally:
            claimed = {c.run_id for c in claims}
            for run_id in chosen:
                if run_id not in claimed:
                    self._unclaimed(run_id)
            for claim in claims:
                self._publish_late(claim)

    def _unclaimed(self, run_id: int) -> None:
        """Take note that a run is not ours: it was cancelled, or it is too late to begin, and then
        `_end_unbegun` ends it."""
        old = self._occupancy.remove(run_id)
        if old is not None and old.start_by is not None:
            self._occupancy.add(old.waiting())

    def _publish_late(self, claim: Claim) -> None:
        if claim.verdict == "late" and claim.slot is not None:
            self._term.publish(
                SlotSettled(
                    job=claim.job,
                    schedule=claim.schedule or "",
                    slot=claim.slot,
                    verdict=claim.verdict,
                    reason=claim.reason or "",
                )
            )

    async def _end_unbegun(self) -> None:
        """End what has waited for too long to begin; by the database's own clock, which may be a
        little behind ours."""
        self._next_expiry = steady() + EXPIRY_AGAIN
        late = self._occupancy.expired(self._term.clock.now())
        if not late:
            return
        ended = await runs.expire(self._term.db, self._term.number, late)
        for row in ended:
            self._left(row["id"], "cancelled")
            if row["reason"] is not None:
                self._term.publish(
                    SlotSettled(
                        job=row["job"],
                        schedule=row["schedule"] or "",
                        slot=row["slot"],
                        verdict="missed",
                        reason=row["reason"],
                    )
                )
        # Those that were not ended are too early by the database's clock, or were claimed or
        # cancelled by another statement meanwhile: then they no longer wait.
        left = set(late).difference(r["id"] for r in ended)
        for run_id, state in (await runs.states(self._term.db, list(left)) if left else {}).items():
            if state != "queued":
                self._left(run_id, state)

    async def _poll_foreign(self) -> None:
        """Poll which runs of other nodes have ended, and take those whose node is gone."""
        self._next_foreign = steady() + FOREIGN_EVERY
        for run_id, became, _ in await self._reaper.poll():
            self._left(run_id, became)
        states = await runs.states(self._term.db, self._occupancy.foreign())
        for run_id, state in states.items():
            if state != "running":
                self._left(run_id, state)
        await self._stragglers.poll()

    def _has_foreign(self) -> bool:
        return bool(
            self._occupancy.foreign() or self._occupancy.held() - self._stragglers.mine.keys()
        )

    def _left(self, run_id: int, state: str | None) -> None:
        """Take note that a run has left the node that owned it, for good or for the queue."""
        old = self._occupancy.remove(run_id)
        if state == "queued" and old is not None and old.schedule_id is not None:
            self._occupancy.add(old.waiting())
        self._next_queue = 0.0

    async def _cancel_requested(self) -> None:
        """Stop runs under way, and forget those that were cancelled while they waited."""
        self._next_cancel = steady() + CANCEL_EVERY
        await self._runner.poll_cancellations()
        waiting = self._occupancy.waiting()
        states = await runs.states(self._term.db, waiting) if waiting else {}
        for run_id, state in states.items():
            if state is None or state in FINAL:
                self._left(run_id, state)

    def _executor(self, job: str) -> str:
        declared = self._jobs.get(job)
        return "async" if declared is None else declared.policies.executor
