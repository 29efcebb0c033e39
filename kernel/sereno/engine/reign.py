"""What a leader does, from taking the lead to losing it: the firing loop.

One loop does it all in turn: heartbeat, slots, queue, losses. So a loop that hangs stops beating,
and loses the lead. Slots are settled a little before their instant (`LOOKAHEAD`), and their runs
begin at it: the start itself waits for no round trip.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from sereno.engine.agenda import Agenda
from sereno.engine.clock import Clock, steady
from sereno.engine.occupancy import Occupancy, Occupant
from sereno.engine.planner import plan
from sereno.engine.reaper import Reaper
from sereno.engine.runner import Runner
from sereno.engine.status import Status
from sereno.engine.trust import Trust
from sereno.engine.wakeup import Wakeup
from sereno.model.errors import LeaseLostError, SerenoError
from sereno.model.events import SlotSettled
from sereno.model.job import Job
from sereno.model.ledger import Claim, Entry, NewRun, Settlement
from sereno.model.policies import Policies
from sereno.store import catalogue, ledger, runs, schedules
from sereno.store.catalogue import DeclaredJob, NamedSchedule
from sereno.store.pool import Database
from sereno.store.session import Node, NodeSession

log = logging.getLogger("sereno.leader")

LOOKAHEAD = timedelta(milliseconds=40)
HORIZON = timedelta(minutes=2)
REFILL_EVERY = 30.0
QUEUE_EVERY = 1.0
FOREIGN_EVERY = 0.4
CANCEL_EVERY = 5.0
BATCH = 500
AGENDA_LIMIT = 20_000


class Reign:
    """One term of this node. `lease`: seconds."""

    def __init__(
        self,
        db: Database,
        session: NodeSession,
        node: Node,
        term: int,
        clock: Clock,
        runner: Runner,
        occupancy: Occupancy,
        trust: Trust,
        status: Status,
        wakeup: Wakeup,
        jobs: Mapping[str, Job],
        *,
        lease: float,
        publish: Callable[[object], None],
        alive: Callable[[], None],
    ) -> None:
        self._db = db
        self._session = session
        self._node = node
        self.term = term
        self._clock = clock
        self._runner = runner
        self._occupancy = occupancy
        self._trust = trust
        self._status = status
        self._wakeup = wakeup
        self._jobs = jobs
        self._beat_every = lease / 3
        self._publish = publish
        self._alive = alive
        self._reaper = Reaper(db, node.id, jobs, lease)
        self._agenda = Agenda()
        self._policies: dict[int, tuple[int, Policies]] = {}
        self._began = steady()
        self._session_since = self._began
        self._next_beat = self._began + self._beat_every
        self._next_refill = self._next_queue = self._next_foreign = self._next_cancel = 0.0
        self._queued_at: float | None = None
        self._to_resume: list[str] = []

    async def rule(
        self,
        jobs: Sequence[DeclaredJob],
        declared: Sequence[NamedSchedule],
        session_since: float,
        leaving: asyncio.Event,
    ) -> None:
        """Lead until `leaving` is set; raises LeaseLostError or StoreError when the lead is lost
        before."""
        self._session_since = session_since
        await catalogue.register(self._db, self.term, jobs, declared)
        await self._load()
        while not leaving.is_set():
            self._alive()
            await self._turn()
            reasons = await self._wakeup.wait(self._pause())
            if not self._session.alive:
                raise LeaseLostError("the session that holds the leader's lock is gone")
            self._hear(reasons)

    async def _turn(self) -> None:
        """Do all that is due now, once."""
        if steady() >= self._next_beat:
            await self._beat()
        if not self._trust.holds(steady()):
            raise LeaseLostError("no heartbeat was answered in time")
        if steady() >= self._next_refill:
            await self._refill()
        await self._fire()
        if steady() >= self._next_queue or (
            self._queued_at is not None and steady() >= self._queued_at
        ):
            await self._start_queued()
        if self._occupancy.foreign() and steady() >= self._next_foreign:
            await self._look_after_foreign()
        if steady() >= self._next_cancel:
            await self._cancel_requested()

    def _pause(self) -> float:
        """Return the seconds until something is due again."""
        now = steady()
        waits = [
            self._next_beat - now,
            self._next_refill - now,
            self._next_queue - now,
            self._next_cancel - now,
        ]
        wake = self._agenda.next_wake()
        if wake is not None:
            waits.append(self._clock.until(wake - LOOKAHEAD))
        if self._queued_at is not None:
            waits.append(self._queued_at - now)
        if self._occupancy.foreign():
            waits.append(self._next_foreign - now)
        return max(0.0, min(waits))

    def _hear(self, reasons: set[str]) -> None:
        if "run" in reasons:
            self._next_queue = 0.0
        if "schedule" in reasons:
            self._next_refill = 0.0
        if "cancel" in reasons:
            self._next_cancel = 0.0
        if "end" in reasons:
            self._next_queue = self._next_foreign = 0.0

    async def _beat(self) -> None:
        sent = steady()
        now = await self._session.beat(self._node, self.term)
        received = steady()
        self._trust.extend(sent)
        self._clock.observe(now, sent, received)
        self._status.clock_offset = self._clock.offset
        self._next_beat = sent + self._beat_every

    async def _load(self) -> None:
        """Learn what runs and waits already, of this node and of others."""
        self._occupancy.clear()
        for row in await runs.active(self._db):
            mine = row["node"] == self._node.id
            self._occupancy.add(
                Occupant(
                    run_id=row["id"],
                    job=row["job"],
                    schedule_id=row["schedule_id"],
                    key=row["concurrency_key"],
                    executor=self._executor(row["job"]),
                    running=row["state"] == "running",
                    foreign=row["state"] == "running" and not mine,
                )
            )

    async def _refill(self) -> None:
        """Read what comes up to the horizon; the agenda holds nothing else."""
        self._next_refill = steady() + REFILL_EVERY
        entries = await ledger.agenda(self._db, self._clock.now() + HORIZON, AGENDA_LIMIT)
        self._agenda.clear()
        self._agenda.put(entries)

    async def _fire(self) -> None:
        while True:
            now = self._clock.now()
            due = self._agenda.due(now + LOOKAHEAD, BATCH)
            if not due:
                return
            await self._settle([s for e in due if (s := self._plan(e)) is not None])
            if steady() >= self._next_beat:
                await self._beat()

    def _plan(self, entry: Entry) -> Settlement | None:
        try:
            policies = self._policies_of(entry)
            now = self._clock.now()
            settlement = plan(
                entry,
                policies,
                now,
                now + LOOKAHEAD,
                occupied=bool(self._occupancy.of_schedule(entry.schedule_id)),
            )
        except SerenoError as error:
            log.error(
                "a schedule cannot be planned",
                extra={"schedule": entry.name, "job": entry.job, "error": str(error)},
            )
            return None
        if not settlement.runs:
            return settlement
        return _with_runs(
            settlement, tuple(self._admitted(entry, policies, r) for r in settlement.runs)
        )

    def _admitted(self, entry: Entry, policies: Policies, run: NewRun) -> NewRun:
        """Decide whether `run` starts at its slot or waits in the queue for its place."""
        start = run.start and self._occupancy.admits(
            entry.job, policies.max_running, run.concurrency_key, policies.executor
        )
        if start:  # a place is held until the run has its number
            self._occupancy.add(
                Occupant(
                    run_id=-entry.schedule_id,
                    job=entry.job,
                    schedule_id=entry.schedule_id,
                    key=run.concurrency_key,
                    executor=policies.executor,
                )
            )
        return run if start == run.start else _queued(run)

    async def _settle(self, settlements: list[Settlement]) -> None:
        if not settlements:
            return
        for s in settlements:
            if s.cancel_previous:
                for run_id in list(self._occupancy.of_schedule(s.entry.schedule_id)):
                    self._runner.stop(run_id, "cancelled", "its schedule's next slot")
        try:
            settled, made = await ledger.settle(self._db, self.term, self._node.id, settlements)
        finally:
            for s in settlements:
                self._occupancy.remove(-s.entry.schedule_id)
        again = [s.entry.schedule_id for s in settlements if s.entry.schedule_id not in settled]
        if again:
            self._agenda.put(await ledger.agenda_of(self._db, again))
        for s in settlements:
            if s.entry.schedule_id in settled:
                self._follow(s, made)
        await self._resume()

    def _follow(self, settlement: Settlement, made: ledger.Started) -> None:
        entry = settlement.entry
        for run in settlement.runs:
            run_id = made[entry.schedule_id, run.slot]
            self._occupancy.add(
                Occupant(
                    run_id=run_id,
                    job=entry.job,
                    schedule_id=entry.schedule_id,
                    key=run.concurrency_key,
                    executor=self._executor(entry.job),
                    running=run.start,
                )
            )
            if run.start:
                self._runner.start(_claim(entry, run, run_id), run.slot)
        for verdict in settlement.slots:
            if verdict.verdict != "ran":
                self._publish(
                    SlotSettled(
                        job=entry.job,
                        schedule=entry.name,
                        slot=verdict.slot,
                        verdict=verdict.verdict,
                        reason=verdict.reason or "",
                    )
                )
        self._go_on(settlement)

    def _go_on(self, settlement: Settlement) -> None:
        """Put the schedule back on the agenda, unless its next instant lies beyond the horizon."""
        entry, wake = settlement.entry, settlement.wake_at
        if wake is None:
            return
        if entry.paused_until is not None and settlement.settled_to >= entry.paused_until:
            self._to_resume.append(entry.name)
            return
        if wake > self._clock.now() + HORIZON:
            return
        keep = tuple(d for d in entry.definitions[1:] if d.valid_from > settlement.settled_to)
        held = [d for d in entry.definitions if d.valid_from <= settlement.settled_to]
        self._agenda.put(
            [
                Entry(
                    schedule_id=entry.schedule_id,
                    name=entry.name,
                    job=entry.job,
                    definitions=(held[-1] if held else entry.definitions[0], *keep),
                    settled_to=settlement.settled_to,
                    next_slot=settlement.next_slot,
                    wake_at=wake,
                    version=entry.version,
                    open=settlement.open,
                    paused_until=entry.paused_until,
                )
            ]
        )

    async def _resume(self) -> None:
        while self._to_resume:
            await schedules.resume(
                self._db, self._to_resume.pop(), by="sereno", reason="the pause is over"
            )
            self._next_refill = 0.0

    async def _start_queued(self) -> None:
        self._next_queue = steady() + QUEUE_EVERY
        self._queued_at = None
        while room := self._occupancy.room():
            limits = {
                n: j.policies.max_running for n, j in self._jobs.items() if j.policies.max_running
            }
            queued = await runs.ready(
                self._db,
                min(room, BATCH),
                list(self._jobs),
                self._occupancy.full_jobs(limits),
                self._occupancy.keys(),
            )
            chosen = []
            for q in queued:
                job = self._jobs[q.job]
                executor = job.policies.executor
                if self._occupancy.admits(
                    q.job, job.policies.max_running, q.concurrency_key, executor
                ):
                    self._occupancy.add(
                        Occupant(
                            run_id=q.run_id,
                            job=q.job,
                            schedule_id=q.schedule_id,
                            key=q.concurrency_key,
                            executor=executor,
                        )
                    )
                    chosen.append(q.run_id)
            if not chosen:
                break
            await self._claim(chosen)
            if steady() >= self._next_beat:
                await self._beat()
        following = await self._db.fetchval("queue_next")
        if following is not None:
            self._queued_at = steady() + max(0.0, self._clock.until(following))

    async def _claim(self, chosen: list[int]) -> None:
        claims: dict[int, Claim] = {}
        try:
            claims = {
                c.run_id: c for c in await runs.claim(self._db, self.term, self._node.id, chosen)
            }
        finally:
            for run_id in chosen:
                if run_id not in claims:
                    self._occupancy.remove(run_id)
        for claim in claims.values():
            self._runner.start(claim)

    async def _look_after_foreign(self) -> None:
        """See which runs of other nodes have ended, and take those whose node is gone."""
        self._next_foreign = steady() + FOREIGN_EVERY
        for run_id, state, schedule_id in await self._reaper.look(self.term, self._session_since):
            old = self._occupancy.remove(run_id)
            if state == "queued" and schedule_id is not None and old is not None:
                self._occupancy.add(
                    Occupant(
                        run_id=run_id,
                        job=old.job,
                        schedule_id=schedule_id,
                        key=old.key,
                        running=False,
                    )
                )
            self._next_queue = 0.0
        for run_id in await runs.ended(self._db, self._occupancy.foreign()):
            self._occupancy.remove(run_id)
            self._next_queue = 0.0

    async def _cancel_requested(self) -> None:
        self._next_cancel = steady() + CANCEL_EVERY
        for row in await runs.cancel_requests(self._db, self._node.id):
            self._runner.stop(row["run_id"], "cancelled", row["requested_by"])

    def _policies_of(self, entry: Entry) -> Policies:
        current = entry.current
        held = self._policies.get(entry.schedule_id)
        if held is not None and held[0] == current.version:
            return held[1]
        found = self._jobs[entry.job].policies.changed(current.policies, f"schedule '{entry.name}'")
        self._policies[entry.schedule_id] = (current.version, found)
        return found

    def _executor(self, job: str) -> str:
        declared = self._jobs.get(job)
        return "async" if declared is None else declared.policies.executor


def _with_runs(settlement: Settlement, chosen: tuple[NewRun, ...]) -> Settlement:
    return Settlement(
        entry=settlement.entry,
        settled_to=settlement.settled_to,
        next_slot=settlement.next_slot,
        wake_at=settlement.wake_at,
        slots=settlement.slots,
        ranges=settlement.ranges,
        runs=chosen,
        open=settlement.open,
        cancel_previous=settlement.cancel_previous,
    )


def _queued(run: NewRun) -> NewRun:
    return NewRun(
        slot=run.slot,
        params=run.params,
        policies=run.policies,
        priority=run.priority,
        concurrency_key=run.concurrency_key,
        start=False,
    )


def _claim(entry: Entry, run: NewRun, run_id: int) -> Claim:
    return Claim(
        run_id=run_id,
        job=entry.job,
        attempt=1,
        losses=0,
        params=run.params,
        policies=run.policies,
        priority=run.priority,
        schedule_id=entry.schedule_id,
        slot=run.slot,
        concurrency_key=run.concurrency_key,
    )
