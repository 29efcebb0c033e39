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
from datetime import datetime
from itertools import chain
from uuid import UUID

from sereno.engine.clock import steady
from sereno.engine.hand_overs import HandOvers
from sereno.engine.occupancy import Occupancy, Occupant
from sereno.engine.parts import Parts
from sereno.engine.queue_events import late_slot, unbegun
from sereno.engine.reaper import Reaper
from sereno.engine.runner import Runner
from sereno.engine.term import Term
from sereno.engine.waiting_runs import WaitingRuns
from sereno.model.job import Job
from sereno.model.ledger import Claim, Queued
from sereno.model.policies import Policies
from sereno.model.run import FINAL
from sereno.store import queue, runs
from sereno.store.pool import Record

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

FEWEST = 50
"""Runs that are read where few began the last time: each time twice as many as began, so that a
long queue is not read anew for each place that becomes free."""

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
        hand_overs: HandOvers | None = None,
    ) -> None:
        self._term = term
        self._runner = runner
        self._stragglers = runner.stragglers
        self._occupancy = occupancy
        self._jobs = jobs
        self._lease = lease
        self._hands = hand_overs or HandOvers(term, occupancy)
        self._elsewhere: dict[int, UUID] = {}  # by run: the node that is chosen for it
        self._lines: dict[int, str] = {}  # of those that are to stand in line there: the executor
        self._most = FEWEST
        self._reaper = Reaper(term, jobs, lease, session_since)
        self._parts = Parts(term, runner, occupancy, jobs, self._hands, lease)
        self._limits = {
            n: j.policies.max_running
            for n, j in jobs.items()
            if j.policies.max_running and not j.policies.parted
        }
        self._followed = {name for j in jobs.values() for name in j.after}
        self._labelled = any(not isinstance(j.policies.runs_on, str) for j in jobs.values())
        self._waits = WaitingRuns(term.db, jobs)
        self._next_queue = self._next_foreign = self._next_cancel = self._next_expiry = 0.0
        self._queued_at: float | None = None
        self._begin_by: datetime | None = None  # the first of what is queued, not of slots alone
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
        if self._hands.observe(reasons):
            self._next_queue = 0.0
        self._parts.observe(reasons)
        if "over" in reasons:  # without a number: by a node that drains, or that keeps a place
            self._next_foreign = 0.0
            self._hands.poll_soon()
        if "nodes" in reasons:
            self._hands.placement.poll_soon()
        if "cancel" in reasons:
            self._next_cancel = 0.0

    def pause(self) -> float:
        """Return the seconds until something is due, negative when it is overdue."""
        waits = [self._next_queue, self._next_cancel, self._expiry(), self._hands.due]
        waits.append(self._parts.due)
        if self._queued_at is not None:
            waits.append(self._queued_at)
        if self._has_foreign():
            waits.append(self._next_foreign)
        return min(waits) - steady()

    def _expiry(self) -> float:
        """Return the steady time at which a run that waits is too late to begin."""
        known = [by for by in (self._occupancy.expires(), self._begin_by) if by is not None]
        if not known:
            return math.inf
        return max(self._next_expiry, steady() + self._term.clock.until(min(known)))

    async def tick(self, between: Callable[[], Awaitable[None]]) -> None:
        """Do all that is due; `between` is awaited after each batch."""
        await self._observe_nodes()
        await self._tend_parts()
        now = steady()
        if now >= self._next_queue or (self._queued_at is not None and now >= self._queued_at):
            await self._start_queued(between)
        if self._has_foreign() and now >= self._next_foreign:
            await self._poll_foreign()
        if now >= self._next_cancel:
            await self._cancel_requested()
        if now >= self._expiry():
            await self._end_unbegun()

    async def _tend_parts(self) -> None:
        await self._parts.work()
        if self._parts.queued:
            self._parts.queued, self._next_queue = False, 0.0

    async def load(self) -> None:
        """Read what runs and waits already, of this node and of others."""
        self._occupancy.clear()
        await self._hands.load()
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
                    key_limit=self._key_limit(row),
                    executor=self._executor(row["job"]),
                    running=row["state"] == "running",
                    foreign=row["state"] == "running" and not mine,
                    node=row["node"] if row["state"] == "running" and not mine else None,
                    attempt=row["attempt"],
                    start_by=None if row["attempt"] else row["start_by"],
                )
            )

        await self._parts.load()
        await self._stragglers.load(self._lease)

    async def _start_queued(self, between: Callable[[], Awaitable[None]]) -> None:
        self._next_queue = steady() + QUEUE_EVERY
        self._queued_at = None
        self._waiting = False
        if self._called:
            self._called = False
            await self._start_first()
        # Schedules and keys whose runs were refused for policies of their own, which the statement
        # does not know: asked for anew without them, the queue gives what is behind.
        excluded: set[int] = set()
        closed: set[str] = set()
        while room := self._occupancy.room():
            limit = min(room, self._most)
            jobs, full = self._startable(), self._occupancy.full_keys()
            self._waiting = self._waiting or bool(full)
            found = await self._waits.ready(limit, jobs, [*full, *closed], list(excluded))
            chosen, refused = self._chosen(found, limit)
            self._waiting = self._waiting or len(chosen) < len(found)
            self._most = min(BATCH, max(FEWEST, 2 * len(chosen)))
            schedules = {q.schedule_id for q in refused if q.schedule_id is not None}
            keys = {q.concurrency_key for q in refused if q.concurrency_key is not None}
            if chosen:
                ordinary = [r for r in chosen if not self._parts.takes(r)]
                if ordinary:
                    await self._start(ordinary)
                if len(ordinary) < len(chosen):
                    await self._tend_parts()
                await between()
            elif len(found) >= limit and limit < min(room, BATCH):
                self._most = BATCH  # who has to wait for something else than a place is many
            elif not (schedules - excluded or keys - closed):
                break  # nobody is behind those that have to wait
            excluded |= schedules
            closed |= keys
        else:
            self._waiting = True
        await self._level()
        coming = await self._waits.coming()
        self._begin_by = coming.start_by
        if coming.run_at is not None:
            self._queued_at = steady() + max(0.0, self._term.clock.until(coming.run_at))

    def _chosen(self, found: list[Queued], limit: int) -> tuple[list[int], list[Queued]]:
        """Give those of `found` a place that may have one, `limit` at most; return them, and those
        that have to wait for something else than room."""
        chosen: list[int] = []
        refused: list[Queued] = []
        for run in found:
            if len(chosen) == limit:
                break
            if self._admit(run):
                chosen.append(run.run_id)
                self._waits.turns.taken(run)
            else:
                refused.append(run)
        return chosen, refused

    async def _start_first(self) -> None:
        """Start what has just been queued, which mostly is one run, by one round trip.

        To read what is ready and to claim it takes two: as many as it may be, this is left to them.
        """
        if self._occupancy.held() or self._waits.children:
            return  # it cannot be said in that statement whom they hold up, and whose turn it is
        jobs = [j for j in self._startable() if j not in self._parts.jobs]
        if self._hands.placement.known and not all(map(self._stays, jobs)):
            if self._occupancy.room() < 2:  # what goes elsewhere may be before what stays
                return
            jobs = [j for j in jobs if self._stays(j)]
        if not jobs or not self._occupancy.room():
            return
        first = await runs.claim_first(
            self._term.db, self._term.number, self._term.node.id, jobs, self._occupancy.keys()
        )
        if first is not None:
            run, claim = first
            self._occupy(run, self._jobs[run.job].policies, claim.token)
            self._runner.start(claim)
            await asyncio.sleep(0)  # it begins before this node asks for more

    def _startable(self) -> list[str]:
        """Return the jobs of which one more may start, by their own limit and their executor's."""
        full = set(self._occupancy.full_jobs(self._limits))
        if self._hands.placement.known or self._labelled:
            choose, parted = self._hands.placement.choose, self._parts.jobs
            able = [n for n in self._jobs if n not in full]
            line = self._hands.placement.choose_line
            found = [
                n
                for n in able
                if n in parted or choose(n, p := self._jobs[n].policies) or line(n, p)
            ]
        else:
            open_ = self._occupancy.has_place
            kinds = {n: j.policies.executor for n, j in self._jobs.items() if n not in full}
            found = [n for n, kind in kinds.items() if open_(kind) or n in self._parts.jobs]
        self._waiting = self._waiting or len(found) < len(self._jobs)
        return found

    def _stays(self, job: str) -> bool:
        """Return whether the next run of `job` is the leader's own to do."""
        policies = self._jobs[job].policies
        return self._hands.placement.choose(job, policies) == self._hands.here

    def _admit(self, run: Queued) -> bool:
        if run.job in self._parts.jobs:
            return self._parts.admits(run)
        policies = self._policies(run)
        placement = self._hands.placement
        node, line = placement.choose(run.job, policies), False
        if node is None:
            node = placement.choose_line(run.job, policies)
            line = node is not None
        here = node == self._hands.here
        if (
            node is None
            or self._occupancy.repeats(run.run_id)
            or self._overlaps(run, policies)
            or not self._occupancy.admits(
                run.job,
                policies.max_running,
                run.concurrency_key,
                policies.executor if here else None,
                policies.key_limit,
            )
        ):
            return False
        self._occupy(run, policies, node=None if here else node)
        if not here:
            self._elsewhere[run.run_id] = node
            if line:
                self._lines[run.run_id] = policies.executor
        return True

    def _overlaps(self, run: Queued, policies: Policies) -> bool:
        """Return whether `run` waits for another of its schedule: a key of several places does not
        keep them apart, as one of a single place does."""
        return (
            policies.key_limit > 1
            and policies.overlap != "allow"
            and run.schedule_id is not None
            and self._occupancy.running_of(run.schedule_id)
        )

    def _occupy(
        self,
        run: Queued,
        policies: Policies,
        token: UUID | None = None,
        node: UUID | None = None,
    ) -> None:
        """Note that a run from the queue starts; `token`: of its attempt, once it is claimed;
        `node`: the one that it is handed to."""
        self._occupancy.add(
            Occupant(
                run_id=run.run_id,
                token=token,
                job=run.job,
                schedule_id=run.schedule_id,
                key=run.concurrency_key,
                key_limit=policies.key_limit,
                executor=policies.executor,
                foreign=node is not None,
                node=node,
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
        """Hand over what is to work elsewhere; claim the rest part by part, and start what was
        claimed while the next part is on its way."""
        elsewhere = [(r, self._elsewhere[r]) for r in chosen if r in self._elsewhere]
        if elsewhere:
            chosen = [r for r in chosen if r not in self._elsewhere]
            lines, self._lines = self._lines, {}
            self._elsewhere.clear()
            for run_id in await self._hands.hand(elsewhere, lines=lines):
                self._unclaimed(run_id)
            if not chosen:
                return
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

    async def _level(self) -> None:
        """Take back what stands in line for a place where another node has one by now."""
        places: dict[str, int] = {}
        moved: list[int] = []
        for run_id in self._hands.in_line():
            run = self._occupancy.run(run_id)
            if run is None:
                continue
            if run.job not in places:
                places[run.job] = self._hands.placement.free(run.job, self._jobs[run.job].policies)
            if places[run.job] > 0:
                places[run.job] -= 1
                moved.append(run_id)
        if moved:
            for run_id, state in await self._hands.take_back(moved):
                self._left(run_id, state)

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
                if (late := late_slot(claim)) is not None:
                    self._term.publish(late)

    def _unclaimed(self, run_id: int) -> None:
        """Take note that a run is not ours: it was cancelled, or it is too late to begin, and then
        `_end_unbegun` ends it."""
        old = self._occupancy.remove(run_id)
        if old is not None and old.start_by is not None:
            self._occupancy.add(old.waiting())

    async def _end_unbegun(self) -> None:
        """End what has waited for too long to begin; by the database's own clock, which may be a
        little behind ours."""
        self._next_expiry = steady() + EXPIRY_AGAIN
        now = self._term.clock.now()
        late = self._occupancy.expired(now)
        if self._begin_by is not None and self._begin_by < now:
            late = list({*late, *await queue.expired(self._term.db, BATCH)})
            self._begin_by = None
            self._next_queue = 0.0  # which tells of the next
        if not late:
            return
        ended = await runs.expire(self._term.db, self._term.number, late)
        for row in ended:
            self._left(row["id"], "cancelled")
            self._term.publish(unbegun(row))
        # Those that were not ended are too early by the database's clock, or were claimed or
        # cancelled by another statement meanwhile: then they no longer wait.
        left = set(late).difference(r["id"] for r in ended)
        for run_id, state in (await runs.states(self._term.db, list(left)) if left else {}).items():
            if state != "queued":
                self._left(run_id, state)

    async def _poll_foreign(self) -> None:
        """Take the runs of nodes that are gone, and see who keeps a place."""
        self._next_foreign = steady() + FOREIGN_EVERY
        for run_id, became, _ in await self._reaper.poll():
            self._left(run_id, became)
        for run_id, state in await self._hands.poll_all():
            self._left(run_id, state)
        await self._stragglers.poll(self._lease)

    async def _observe_nodes(self) -> None:
        """Learn which nodes there are, what has ended on them, and what they have not begun."""
        if self._hands.placement.pause() <= 0 and await self._hands.placement.poll(self._term.db):
            self._next_queue = 0.0
        for run_id, state in self._hands.ended():
            look, supplied = self._next_queue, self._supplied(run_id)
            self._left(run_id, state)
            if supplied and state != "queued":
                self._next_queue = look
        for run_id, state in await self._hands.poll():
            self._left(run_id, state)

    def _has_foreign(self) -> bool:
        return bool(
            self._occupancy.foreign() or self._occupancy.held() - self._stragglers.mine.keys()
        )

    def _left(self, run_id: int, state: str | None) -> None:
        """Take note that a run has left the node that owned it, for good or for the queue."""
        old = self._occupancy.remove(run_id)
        if state == "queued" and old is not None and old.schedule_id is not None:
            # Most have begun once; of one that has not the queue itself tells when it is too late.
            self._occupancy.add(old.waiting(begun=True))
        self._parts.left(run_id)
        self._next_queue = 0.0

    def _supplied(self, run_id: int) -> bool:
        """Return whether the end of this run makes room for what stands in line at its node, and
        for nothing that waits in the queue."""
        run = self._occupancy.run(run_id)
        return (
            run is not None
            and run.node is not None
            and run.key is None
            and run.schedule_id is None
            and run.job not in self._limits
            and run.job not in self._followed
            and self._hands.placement.supplied(run.node, run.executor)
        )

    async def _cancel_requested(self) -> None:
        """Stop runs under way, and forget those that were cancelled while they waited."""
        self._next_cancel = steady() + CANCEL_EVERY
        await self._runner.poll_cancellations()
        waiting = [*self._occupancy.waiting(), *self._hands.unclaimed()]
        states = await runs.states(self._term.db, waiting) if waiting else {}
        for run_id, state in states.items():
            if state is None or state in FINAL:
                self._left(run_id, state)

    def _key_limit(self, row: Record) -> int | None:
        """Return how many runs with its key the policies allow of a run that is under way."""
        if row["concurrency_key"] is None or row["job"] not in self._jobs:
            return None
        return self._policies(queue.queued(row)).key_limit

    def _executor(self, job: str) -> str:
        declared = self._jobs.get(job)
        return "async" if declared is None else declared.policies.executor
