"""Settles every slot of the leader's schedules at its instant, and starts its run.

Slots are settled a little before their instant (`LOOKAHEAD`), and their runs begin at it: the start
itself waits for no round trip. The agenda holds what comes up to the `HORIZON`; the rest stays in
the database.

States of a schedule: far (in the database alone); on the agenda; due; planned (its runs have their
places reserved); settled, then on the agenda again. Locked: another session has its watermark, and
it is left out meanwhile. Invariants: a slot is settled once, from the watermark that it was planned
on; a plan that cannot be written is dropped, and its schedule read and planned anew; a fault of one
schedule costs no other one its slot. `SettlementWriter` writes; what it wrote is followed here.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from sereno.engine.agenda import AGENDA_LIMIT, HORIZON, LOOKAHEAD, REFILL_EVERY, Agenda
from sereno.engine.blackouts import Blackouts
from sereno.engine.clock import steady
from sereno.engine.hand_overs import HandOvers
from sereno.engine.locked_watermarks import LockedWatermarks
from sereno.engine.occupancy import Occupancy, Occupant, Reservation
from sereno.engine.planner import plan, waits
from sereno.engine.runner import Runner
from sereno.engine.settlement_writer import SettlementWriter
from sereno.engine.term import Term
from sereno.model.errors import (
    DeclarationError,
    SerenoError,
)
from sereno.model.events import SlotSettled
from sereno.model.history import Doubt
from sereno.model.job import Job
from sereno.model.ledger import Claim, Entry, NewRun, Queued, Settlement
from sereno.model.policies import Policies
from sereno.model.run import Verdict
from sereno.model.stored_json import unreadable
from sereno.store import ledger, runs, schedules
from sereno.triggers.occurrences import next_slot

log = logging.getLogger("sereno.leader")

FORESIGHT = timedelta(seconds=35)
"""How far ahead slots are computed in spare time: until after the next refill."""

SPARE = 0.002
"""Seconds of a tick that may go into it."""

BATCH = 500
"""Schedules settled by one statement; between two the heartbeat has its chance."""

BATCH_SLOTS = 1_000
"""Slots after which a batch is settled though more schedules are due: to plan them takes time."""


class Scheduler:
    """The slots of one term. `queued`: called when a run has to wait for its place.

    `doubt`: what of before may have run, by a history that the database has forgotten.
    """

    def __init__(
        self,
        term: Term,
        runner: Runner,
        occupancy: Occupancy,
        jobs: Mapping[str, Job],
        *,
        queued: Callable[[], None],
        doubt: Doubt | None = None,
        hand_overs: HandOvers | None = None,
    ) -> None:
        self._term = term
        self._runner = runner
        self._occupancy = occupancy
        self._jobs = jobs
        self._notify_queued = queued
        self._doubt = doubt
        self._hands = hand_overs or HandOvers(term, occupancy)
        self._elsewhere: dict[tuple[int, datetime], UUID] = {}
        self._to_part: set[tuple[int, datetime]] = set()
        self._to_hand: list[tuple[int, UUID, datetime]] = []
        self._agenda = Agenda()
        self._policies: dict[int, tuple[int, Policies]] = {}
        self._to_resume: list[str] = []
        self._to_end: list[str] | None = None  # one-offs, read at the first tick
        self._to_cancel: set[int] = set()
        self._reserved: list[Reservation] = []
        self._unforeseen: deque[Entry] = deque()
        self._next_refill = 0.0
        self._blackouts = Blackouts(term.db)
        self._locked = LockedWatermarks(term.db)
        self._writer = SettlementWriter(term, self._agenda, self._locked, self.reread)

    def reread(self) -> None:
        """A schedule has changed: read the agenda again, at the next tick."""
        self._next_refill = 0.0
        self._blackouts.forget()

    def pause(self) -> float:
        """Return the seconds until something is due, negative when it is overdue."""
        if self._unforeseen:
            return 0.0
        wait = min(self._next_refill - steady(), self._locked.pause())
        wake = self._agenda.next_wake()
        return wait if wake is None else min(wait, self._term.clock.until(wake - LOOKAHEAD))

    async def tick(self, between: Callable[[], Awaitable[None]]) -> None:
        """Settle what is due, each schedule once; what is still behind is left to the next tick.

        `between` is awaited after each batch.
        """
        if steady() >= self._next_refill:
            await self._refill()
        if self._locked.pause() <= 0:
            self._agenda.put(await self._locked.let_go())
        await self._hand_over()  # what a lock was in the way of, the last time
        await self._resume()
        await self._end_one_offs()
        await self._cancel_previous()
        batch: list[Settlement] = []
        slots = 0
        for entry in self._agenda.due(self._term.clock.now() + LOOKAHEAD, AGENDA_LIMIT):
            if entry.schedule_id in self._locked:
                continue
            settlement = self._plan(entry)
            if settlement is not None:
                batch.append(settlement)
                slots += settlement.count
            if len(batch) >= BATCH or slots >= BATCH_SLOTS:
                await self._settle(batch)
                await between()
                batch, slots = [], 0
        if batch:
            await self._settle(batch)
            await between()
        self._foresee()

    async def _refill(self) -> None:
        """Read what comes up to the horizon; the agenda holds nothing else."""
        await self._blackouts.refresh()
        began = steady()
        entries = await ledger.agenda(self._term.db, self._term.clock.now() + HORIZON, AGENDA_LIMIT)
        self._next_refill = began + REFILL_EVERY
        self._agenda.clear()
        self._agenda.put(entries)
        soon = self._term.clock.now() + FORESIGHT
        self._unforeseen = deque(e for e in entries if e.wake_at <= soon)

    def _foresee(self) -> None:
        """Compute, while nothing is due, which slot follows the next one: the schedule's trigger
        remembers it. At most `SPARE` seconds of it, for the loop has more to do."""
        end = steady() + SPARE
        while self._unforeseen and steady() < end:
            entry = self._unforeseen.popleft()
            if entry.next_slot is not None:
                with suppress(Exception):  # a trigger may be a plugin's: its fault is told when due
                    next_slot(entry.current, entry.name, entry.next_slot)

    def _plan(self, entry: Entry) -> Settlement | None:
        try:
            policies = self._policies_of(entry)
            now = self._term.clock.now()
            settlement = plan(
                entry,
                policies,
                now,
                now + LOOKAHEAD,
                occupied=self._occupancy.occupied(entry.schedule_id),
                doubt=self._doubt,
                blackouts=self._blackouts.of(entry),
            )
        except Exception as error:  # a trigger may be a plugin's: no other schedule is to suffer
            log.error(
                "a schedule cannot be planned",
                exc_info=None if isinstance(error, SerenoError) else error,
                extra={"schedule": entry.name, "job": entry.job, "error": str(error)},
            )
            return None
        if policies is None or not settlement.runs:
            return settlement
        admitted = tuple(self._admitted(entry, policies, r) for r in settlement.runs)
        waiting = {r.slot for r in admitted if not r.start}
        slots = settlement.slots
        if waiting:
            slots = tuple(waits(v.slot) if v.slot in waiting else v for v in slots)
        return msgspec.structs.replace(settlement, runs=admitted, slots=slots)

    def _admitted(self, entry: Entry, policies: Policies, run: NewRun) -> NewRun:
        """Decide whether `run` starts at its slot, here or elsewhere, or waits in the queue for its
        place; elsewhere it waits for its node to claim it, and so do its parts at each place."""
        if policies.parted:
            if run.start:
                self._to_part.add((entry.schedule_id, run.slot))
            return msgspec.structs.replace(run, start=False)
        node = self._hands.placement.choose(entry.job, policies) if run.start else None
        here = node == self._hands.here
        if node is None or not self._occupancy.admits(
            entry.job,
            policies.max_running,
            run.concurrency_key,
            policies.executor if here else None,
            policies.key_limit,
        ):
            self._notify_queued()
            return msgspec.structs.replace(run, start=False) if run.start else run
        place = Reservation(  # what else is planned in this batch is to count it already
            job=entry.job,
            schedule_id=entry.schedule_id,
            key=run.concurrency_key,
            key_limit=policies.key_limit,
            executor=policies.executor,
            foreign=not here,
            node=None if here else node,
        )
        self._reserved.append(place)
        self._occupancy.reserve(place)
        if here:
            return run
        self._elsewhere[entry.schedule_id, run.slot] = node
        return msgspec.structs.replace(run, start=False)

    async def _settle(self, settlements: list[Settlement]) -> None:
        try:
            settled, made = await self._writer.write(settlements)
        finally:
            while self._reserved:
                self._occupancy.release(self._reserved.pop())
        for s in settlements:
            if s.entry.schedule_id in settled:
                self._follow(s, made)
        self._elsewhere.clear()
        self._to_part.clear()
        await self._hand_over()
        await self._resume()
        await self._end_one_offs()
        await self._cancel_previous()

    def _follow(self, settlement: Settlement, made: ledger.Made) -> None:
        entry = settlement.entry
        if settlement.cancel_previous:
            self._to_cancel |= self._occupancy.of_schedule(entry.schedule_id)
        policies = self._policies_of(entry)
        otherwise: dict[datetime, tuple[Verdict, str]] = {}  # than planned: it was written late
        if policies is not None:
            for run in settlement.runs:
                run_id, token, how_late = made[entry.schedule_id, run.slot]
                self._take(entry, run, run_id, token, policies)
                if how_late is not None:
                    otherwise[run.slot] = "late", how_late
                if run.start and token is None:  # past its start_by: it ends as what waits does
                    otherwise[run.slot] = "waiting", ""
                    self._notify_queued()
        for found in settlement.slots:
            planned = found.verdict, found.reason or ""
            verdict, reason = otherwise.get(found.slot, planned)
            if verdict not in ("ran", "waiting"):
                self._publish_slot(entry, found.slot, verdict, reason)
        self._publish_missed(settlement)
        self._go_on(settlement)

    def _publish_slot(
        self, entry: Entry, slot: datetime, verdict: Verdict, reason: str, slots: int = 1
    ) -> None:
        self._term.publish(
            SlotSettled(
                job=entry.job,
                schedule=entry.name,
                slot=slot,
                verdict=verdict,
                reason=reason,
                slots=slots,
            )
        )

    def _publish_missed(self, settlement: Settlement) -> None:
        """Publish the ranges of slots that nothing ran for; skipped ones are on purpose."""
        for found in settlement.ranges:
            if found.verdict == "missed":
                self._publish_slot(
                    settlement.entry, found.last, "missed", found.reason, found.slots
                )

    def _take(
        self, entry: Entry, run: NewRun, run_id: int, token: UUID | None, policies: Policies
    ) -> None:
        """Note a run that was made, and start it where it is to start: not here without a token."""
        node = self._elsewhere.get((entry.schedule_id, run.slot))
        if node is not None:
            self._to_hand.append((run_id, node, run.slot))
        if (entry.schedule_id, run.slot) in self._to_part:
            self._hands.to_part(
                Queued(
                    run_id=run_id,
                    job=entry.job,
                    schedule_id=entry.schedule_id,
                    concurrency_key=run.concurrency_key,
                    policies=run.policies,
                )
            )
        self._occupancy.add(
            Occupant(
                run_id=run_id,
                token=token,
                job=entry.job,
                schedule_id=entry.schedule_id,
                key=run.concurrency_key,
                key_limit=policies.key_limit,
                executor=policies.executor,
                running=token is not None or node is not None,
                foreign=node is not None,
                node=node,
                start_by=run.start_by,
            )
        )
        if token is not None:
            self._runner.start(_claim(entry, run, run_id, token), run.slot)

    def _go_on(self, settlement: Settlement) -> None:
        """Put the schedule back on the agenda, unless its next instant lies beyond the horizon."""
        entry, wake = settlement.entry, settlement.wake_at
        if settlement.pause_over:
            self._to_resume.append(entry.name)
            return
        current = entry.current
        if wake is None and current.state == "active" and current.ends_at is not None:
            self._to_end = [*(self._to_end or ()), entry.name]
        if wake is None or wake > self._term.clock.now() + HORIZON:
            return
        keep = tuple(d for d in entry.versions[1:] if d.valid_from > settlement.settled_to)
        held = [d for d in entry.versions if d.valid_from <= settlement.settled_to]
        self._agenda.put(
            [
                Entry(
                    schedule_id=entry.schedule_id,
                    name=entry.name,
                    job=entry.job,
                    versions=(held[-1] if held else entry.versions[0], *keep),
                    settled_to=settlement.settled_to,
                    next_slot=settlement.next_slot,
                    wake_at=wake,
                    version=entry.version,
                    open=settlement.open,
                    paused_until=entry.paused_until,
                )
            ]
        )

    async def _hand_over(self) -> None:
        """Hand those settled runs over whose places are elsewhere, ahead of their instants."""
        if not self._to_hand:
            return
        wait = self._term.clock.until(max(slot for _, _, slot in self._to_hand))
        placed = self._occupancy.is_elsewhere  # not one that was found waiting meanwhile
        to_hand = [(r, n) for r, n, _ in self._to_hand if placed(r, None)]
        for run_id in await self._hands.hand(to_hand, wait):
            old = self._occupancy.remove(run_id)
            if old is not None:
                self._occupancy.add(old.waiting())
                self._notify_queued()
        self._to_hand.clear()

    async def _resume(self) -> None:
        while self._to_resume:
            name = self._to_resume[-1]
            try:
                await schedules.end_pause(self._term.db, self._term.number, name)
            except DeclarationError as error:
                log.error(
                    "a schedule cannot be resumed", extra={"schedule": name, "error": str(error)}
                )
                self._to_resume.pop()
                continue
            self._to_resume.pop()
            self._next_refill = 0.0

    async def _end_one_offs(self) -> None:
        """End those whose slot is settled; at first those that the leader before left."""
        if self._to_end is None:
            self._to_end = await schedules.one_offs_over(self._term.db)
        while self._to_end:
            name = self._to_end[-1]
            try:
                await schedules.end_one_off(self._term.db, self._term.number, name)
            except DeclarationError as error:
                log.error(
                    "a one-off cannot be ended", extra={"schedule": name, "error": str(error)}
                )
            self._to_end.pop()
            self._next_refill = 0.0

    async def _cancel_previous(self) -> None:
        """Cancel runs that a later slot of their schedule takes the place of, wherever they are."""
        by = "its schedule's next slot"
        others = [r for r in self._to_cancel if not self._stopped(r, by)]
        if others:
            await runs.cancel(self._term.db, self._term.number, others, by)
        self._to_cancel.clear()

    def _stopped(self, run_id: int, by: str) -> bool:
        token = self._occupancy.token(run_id)
        return token is not None and self._runner.stop(token, "cancelled", by)

    def _policies_of(self, entry: Entry) -> Policies | None:
        """Return what the slots of `entry` follow, None when this code does not know its job."""
        job = self._jobs.get(entry.job)
        if job is None:
            return None
        current = entry.current
        held = self._policies.get(entry.schedule_id)
        if held is not None and held[0] == current.version:
            return held[1]
        if fault := unreadable(policies=current.policies):
            raise DeclarationError(fault)
        found = job.policies.changed(current.policies, f"schedule '{entry.name}'")
        self._policies[entry.schedule_id] = (current.version, found)
        return found


def _claim(entry: Entry, run: NewRun, run_id: int, token: UUID) -> Claim:
    return Claim(
        run_id=run_id,
        job=entry.job,
        attempt=1,
        token=token,
        params=run.params,
        policies=run.policies,
        slot=run.slot,
        schedule=entry.name,
    )
