"""Plays what the leader would do, instant by instant: settle, begin, end, try again, give up.

What is due is settled by `plan`, places are counted by `Occupancy`, and what waits goes in the
order of the queue: the leader's own rules. Invariants: a run has its place from its settlement or
from the queue until its attempt ends; at one instant attempts end first, then slots are settled,
then the queue is looked at, then what has waited for too long ends, as in a tick of the firing
loop.

Left out is what nobody can foresee: failures other than a timeout, runs that people ask for,
fan-outs, and a change of the lead.
"""

import heapq
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Literal

import msgspec

from sereno.engine.agenda import LOOKAHEAD
from sereno.engine.occupancy import Occupancy
from sereno.engine.rehearsal.course import CourseRecord
from sereno.engine.rehearsal.hindrances import hindered, missed
from sereno.engine.rehearsal.planned_slots import PlannedSlots
from sereno.engine.rehearsal.queue import RehearsedQueue
from sereno.engine.rehearsal.scene import Scene
from sereno.engine.rehearsal.waiting_line import RehearsedRun, WaitingLine
from sereno.model.concurrency import concurrency_key
from sereno.model.errors import DeclarationError
from sereno.model.ledger import Entry, NewRun, Settlement, SlotRange, SlotVerdict
from sereno.model.policies import Policies
from sereno.model.rehearsal import Pace, RehearsedEvent, UnderWay

_NO_RUNS: dict[datetime, NewRun] = {}
NEVER = datetime.max.replace(tzinfo=UTC)


class Played(msgspec.Struct, frozen=True):
    """A slot that was settled, with its verdict, or an attempt that has ended, with its state."""

    what: Literal["slot", "attempt"]
    schedule: str | None
    slot: datetime | None
    became: str
    job: str
    began: datetime | None = None
    ended: datetime | None = None


class Player:
    """One pace of a rehearsal."""

    def __init__(
        self,
        scene: Scene,
        pace: Pace,
        plans: PlannedSlots,
        note: Callable[[Played], Any] | None = None,
    ) -> None:
        places = scene.places
        self.record = CourseRecord(pace, places.capacity, places.max_running)
        self.begun: set[str] = set()
        self._scene, self._plans, self._note = scene, plans, note
        self._usual = pace == "usual"
        self._occupancy = Occupancy(places.max_running, places.capacity)
        self._line = WaitingLine(scene.turns)
        self._queue = RehearsedQueue(scene, self._occupancy, self._line)
        self._numbers, self._serials = count(1), count(1)
        self._runs: dict[int, RehearsedRun] = {}
        self._ends: list[tuple[datetime, int, int, RehearsedRun]] = []
        self._looks: list[datetime] = []
        self._expiries: list[tuple[datetime, int]] = []
        self._succeeded: dict[str, set[str]] = {}
        self._followers: dict[str, list[str]] = {}
        for name, job in scene.jobs.items():
            for upstream in job.after:
                self._followers.setdefault(upstream, []).append(name)
        self._agenda = [(e.wake_at, e.schedule_id, e) for e in plans.entries]
        heapq.heapify(self._agenda)
        for run in scene.under_way:
            self._go_on(run)

    def next_instant(self) -> datetime:
        """Return when something is to happen next, `NEVER` where nothing is."""
        at = self._agenda[0][0] - LOOKAHEAD if self._agenda else NEVER
        if self._ends and self._ends[0][0] < at:
            at = self._ends[0][0]
        if self._looks and self._looks[0] < at:
            at = self._looks[0]
        if self._expiries and self._expiries[0][0] < at:
            at = self._expiries[0][0]
        return at

    def play(self, now: datetime) -> datetime:
        """Have happen what is next, at `now`; return when something is to happen after it."""
        look = self._end_attempts(now)
        if self._agenda and self._agenda[0][0] <= now + LOOKAHEAD:
            look |= self._settle(now)
        while self._looks and self._looks[0] <= now:
            heapq.heappop(self._looks)
            look = True
        if look and len(self._line):
            self._queue.admit(now, self._begin_waited)
        if self._expiries:
            self._end_unbegun(now)
        return self.next_instant()

    # --- what is there at the beginning -------------------------------------------------------

    def _go_on(self, found: UnderWay) -> None:
        """Take over a run that is not over."""
        job = self._scene.jobs.get(found.job)
        if job is None:
            return
        since = self._scene.since
        run = self._new(found.job, found.slot or since, job.policies)
        run.schedule_id, run.schedule, run.slot = found.schedule_id, found.schedule, found.slot
        run.key, run.attempt = found.key, found.attempt
        run.start_by = None if found.attempt else found.start_by
        if found.started_at is None:
            self._queue.occupy(run, running=False)
            self._wait(run, since)
            return
        self._queue.occupy(run, running=True)
        self._begin(run, found.started_at, no_earlier=since)

    # --- slots --------------------------------------------------------------------------------

    def _settle(self, now: datetime) -> bool:
        """Settle what is due; return whether the queue is to be looked at."""
        agenda, until = self._agenda, now + LOOKAHEAD
        due: list[Entry] = []
        while agenda and agenda[0][0] <= until:
            due.append(heapq.heappop(agenda)[2])
        previous: list[int] = []
        for entry in due:
            occupied = self._occupancy.occupied(entry.schedule_id)
            planned = self._plans.plan(entry, now, occupied)
            if planned is not None:
                settlement, following = planned
                self._follow(settlement, self._plans.policies[entry.schedule_id], now, previous)
                if following is not None:
                    heapq.heappush(agenda, (following.wake_at, entry.schedule_id, following))
        for run_id in previous:
            self._cancel(run_id, now)
        return bool(previous)

    def _follow(
        self, settlement: Settlement, policies: Policies | None, now: datetime, previous: list[int]
    ) -> None:
        entry = settlement.entry
        if settlement.cancel_previous:
            previous += self._occupancy.of_schedule(entry.schedule_id)
        runs = {run.slot: run for run in settlement.runs} if settlement.runs else _NO_RUNS
        since = self._scene.since
        for found in settlement.slots:
            if found.slot > since:  # what is due already is no forecast
                self.record.due(found.slot)
            new = runs.get(found.slot)
            if new is not None and policies is not None:
                became = self._make(entry, new, policies, now)
            else:
                became = found.verdict
                self._leave_out(entry, found)
            if became != "waiting" and self._note is not None:
                self._played("slot", entry.name, found.slot, became, entry.job)
        for some in settlement.ranges:
            if some.last <= since:
                continue
            self._range(entry, some)

    def _leave_out(self, entry: Entry, found: SlotVerdict) -> None:
        """Note a slot that nothing runs for."""
        on_purpose = found.verdict == "skipped" and not (found.reason or "").startswith("overlap")
        if on_purpose:
            self.record.held += found.slot > self._scene.since
        elif found.verdict in ("skipped", "missed"):
            trouble: Literal["skipped", "missed"]
            trouble = "skipped" if found.verdict == "skipped" else "missed"
            self._note_event(missed(entry, found.slot, trouble, found.reason))

    def _range(self, entry: Entry, found: SlotRange) -> None:
        """Note slots that are kept as a range."""
        self.record.due(found.first, found.slots)
        if found.verdict == "skipped" and not found.reason.startswith("overlap"):
            self.record.held += found.slots
            return
        trouble: Literal["skipped", "missed"]
        trouble = "skipped" if found.verdict == "skipped" else "missed"
        self.record.add(missed(entry, found.first, trouble, found.reason), found.slots)

    def _make(self, entry: Entry, new: NewRun, policies: Policies, now: datetime) -> str:
        """Make the run of a slot; return the verdict."""
        run = self._new(entry.job, new.slot, policies)
        run.schedule_id, run.schedule, run.slot = entry.schedule_id, entry.name, new.slot
        run.key, run.start_by = new.concurrency_key, new.start_by
        run.on_time_until = new.on_time_until
        occupancy = self._occupancy
        if new.start and occupancy.admits(
            run.job, policies.max_running, run.key, policies.executor, policies.key_limit
        ):
            self._queue.occupy(run, running=True)
            self._begin(run, max(now, new.slot))
            self.record.started += 1
            return "ran" if now <= new.on_time_until else "late"
        run.hindrance, run.detail = hindered(occupancy, run, self._scene.places, new)
        self._queue.occupy(run, running=False)
        self._wait(run, new.slot)
        return "waiting"

    # --- runs ---------------------------------------------------------------------------------

    def _new(self, job: str, due_at: datetime, policies: Policies) -> RehearsedRun:
        run = RehearsedRun(next(self._numbers), job, due_at, policies)
        self._runs[run.id] = run
        self.begun.add(job)
        return run

    def _begin(self, run: RehearsedRun, at: datetime, no_earlier: datetime | None = None) -> None:
        """Begin an attempt that has its place already."""
        policies = run.policies
        durations = self._scene.jobs[run.job].durations
        took = durations.usual if self._usual else durations.slow
        run.times_out = policies.timeout is not None and took > policies.timeout
        if policies.timeout is not None and run.times_out:
            took = policies.timeout
        run.attempt += 1
        run.serial = next(self._serials)
        run.run_at = at
        end = at + took if no_earlier is None else max(at + took, no_earlier)
        self.record.take(policies.executor, at)
        heapq.heappush(self._ends, (end, run.serial, run.id, run))

    def _end_attempts(self, now: datetime) -> bool:
        ended = False
        while self._ends and self._ends[0][0] <= now:
            at, serial, _, run = heapq.heappop(self._ends)
            if run.serial == serial:
                ended = True
                self._end_attempt(run, at, now)
        return ended

    def _end_attempt(self, run: RehearsedRun, at: datetime, now: datetime) -> None:
        policies = run.policies
        self.record.give(policies.executor, at)
        self._occupancy.remove(run.id)
        state = "timed_out" if run.times_out else "succeeded"
        if self._note is not None:
            self._played("attempt", run.schedule, run.slot, state, run.job, run.run_at, at)
        if run.times_out:
            timeout = policies.timeout
            self._note_event(_event(run, at, "timed_out", "time", wait=timeout))
            wait = policies.retry.wait(run.attempt, 0.5)
            if wait is not None:
                self._queue.occupy(run, running=False)
                run.hindrance, run.detail = "time", ""
                self._wait(run, now + wait)
                return
        self._forget(run)
        if not run.times_out and run.job in self._followers:
            self._chain(run.job, now)

    def _chain(self, job: str, now: datetime) -> None:
        """Queue what follows a job that has succeeded."""
        for name in self._followers.get(job, ()):
            told = self._scene.jobs[name]
            done = self._succeeded.setdefault(name, set())
            done.add(job)
            if not done.issuperset(told.after):
                continue
            done.clear()
            run = self._new(name, now, told.policies)
            if told.policies.start_by is not None:
                run.start_by = now + told.policies.start_by
            if (template := told.policies.concurrency_key) is not None:
                with suppress(DeclarationError):  # by params that its upstream's result will give
                    run.key = concurrency_key(template, {})
            self._wait(run, now)

    def _wait(self, run: RehearsedRun, until: datetime) -> None:
        """Have a run wait for its place, no shorter than `until`."""
        run.run_at = until
        self._line.add(run)
        heapq.heappush(self._looks, until)
        if run.start_by is not None and run.attempt == 0:
            heapq.heappush(self._expiries, (run.start_by + timedelta(microseconds=1), run.id))

    def _begin_waited(self, run: RehearsedRun, now: datetime) -> None:
        """Begin what has waited, and tell how long it has."""
        first = run.attempt == 0
        late = run.on_time_until is not None and now > run.on_time_until
        if first and now > run.due_at:
            trouble: Literal["late", "waits"] = "late" if late else "waits"
            self._note_event(_event(run, now, trouble, run.hindrance, wait=now - run.due_at))
        elif first:
            self.record.started += 1
        if first and run.slot is not None:
            became = "late" if late else "ran"
            self._played("slot", run.schedule, run.slot, became, run.job)
        self._begin(run, now)

    def _end_unbegun(self, now: datetime) -> None:
        """End what is too late to begin."""
        while self._expiries and self._expiries[0][0] <= now:
            run = self._runs.get(heapq.heappop(self._expiries)[1])
            if run is None or run not in self._line or run.attempt:
                continue
            self._line.remove(run)
            self._occupancy.remove(run.id)
            self._queue.hold_up(run)
            self._note_event(_event(run, now, "missed", run.hindrance, wait=now - run.due_at))
            if run.slot is not None:
                self._played("slot", run.schedule, run.slot, "missed", run.job)
            self._forget(run)
            heapq.heappush(self._looks, now)

    def _cancel(self, run_id: int, now: datetime) -> None:
        """End a run whose place a later slot of its schedule takes."""
        run = self._runs.get(run_id)
        if run is None:
            return
        if run in self._line:
            self._line.remove(run)
        else:
            self.record.give(run.policies.executor, max(now, run.run_at))
        run.serial = 0
        self._occupancy.remove(run.id)
        self._note_event(_event(run, now, "cancelled", "schedule"))
        self._forget(run)

    def _forget(self, run: RehearsedRun) -> None:
        self._runs.pop(run.id, None)

    def _note_event(self, event: RehearsedEvent) -> None:
        if event.at >= self._scene.since:
            self.record.add(event)

    def _played(
        self,
        what: Literal["slot", "attempt"],
        schedule: str | None,
        slot: datetime | None,
        became: str,
        job: str,
        began: datetime | None = None,
        ended: datetime | None = None,
    ) -> None:
        if self._note is not None:
            self._note(Played(what, schedule, slot, became, job, began, ended))


def _event(
    run: RehearsedRun, at: datetime, trouble: Any, hindrance: Any, **more: Any
) -> RehearsedEvent:
    return RehearsedEvent(
        at=at,
        trouble=trouble,
        hindrance=hindrance,
        job=run.job,
        schedule=run.schedule,
        slot=run.slot,
        detail=run.detail if hindrance in ("key", "executor") else "",
        **more,
    )
