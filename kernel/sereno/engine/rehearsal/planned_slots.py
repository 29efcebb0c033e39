"""What becomes of slots in a rehearsal: planned once for both paces, where both ask the same.

What the planner says of a slot holds of the next one too, put off by what lies between the two,
where neither the schedule nor how late it is looked at has changed: so it is asked once, and again
whenever something is otherwise. (`tests/unit/engine/test_planned_slots.py` asks it each time.)
"""

from datetime import UTC, datetime, timedelta

import msgspec

from sereno.engine.agenda import LOOKAHEAD
from sereno.engine.planner import plan
from sereno.engine.rehearsal.scene import Scene
from sereno.model.calendar import Blackout
from sereno.model.ledger import Entry, NewRun, Settlement, SlotVerdict
from sereno.model.policies import Policies
from sereno.triggers.occurrences import next_slot

_FAR = datetime(9000, 1, 1, tzinfo=UTC)
"""What is not beyond it is not cut off at the end of the calendar."""

Planned = tuple[Settlement, Entry | None]
"""A settlement, and the schedule as it is put back on the agenda, None where nothing comes."""


class PlannedSlots:
    """The schedules of a scene, and what was planned at the newest instant.

    `entries`: those that can be planned; `unread`: why the others cannot, by name.
    """

    def __init__(self, scene: Scene) -> None:
        self.entries: list[Entry] = []
        self.unread: dict[str, str] = {}
        self.policies: dict[int, Policies | None] = {}
        self._blackouts: dict[int, list[Blackout]] = {}
        self._now: datetime | None = None
        self._kept: dict[tuple[int, bool], Planned | None] = {}
        self._patterns: dict[tuple[int, bool], Settlement] = {}
        for entry in scene.entries:
            try:
                self.policies[entry.schedule_id] = scene.policies(entry)
            except Exception as error:  # a row may hold anything: it costs its own schedule alone
                self.unread[entry.name] = str(error)
                continue
            self.entries.append(entry)
            held = [b for b in scene.blackouts if b.holds(entry.name, entry.job)]
            self._blackouts[entry.schedule_id] = held

    def plan(self, entry: Entry, now: datetime, occupied: bool) -> Planned | None:
        """Settle `entry` as the leader would; None where it cannot be read."""
        if now != self._now:
            self._now = now
            self._kept.clear()
        asked = (entry.schedule_id, occupied)
        if asked not in self._kept:
            self._kept[asked] = self._planned(asked, entry, now)
        return self._kept[asked]

    def _planned(self, asked: tuple[int, bool], entry: Entry, now: datetime) -> Planned | None:
        number, occupied = asked
        try:
            pattern = self._patterns.get(asked)
            if pattern is not None and (again := put_off(pattern, entry, now)) is not None:
                return again, following(again)
            settlement = plan(
                entry,
                self.policies[number],
                now,
                now + LOOKAHEAD,
                occupied=occupied,
                blackouts=self._blackouts[number],
            )
        except Exception as error:  # a trigger may be a plugin's
            self.unread[entry.name] = str(error)
            return None
        if not self._blackouts[number] and is_plain(settlement, now):
            self._patterns[asked] = settlement
        return settlement, following(settlement)


def is_plain(settlement: Settlement, now: datetime) -> bool:
    """Tell whether it settles the one slot that it was to settle, of a schedule that stands as it
    is."""
    entry = settlement.entry
    return (
        len(entry.versions) == len(settlement.slots) == 1
        and not settlement.ranges
        and entry.current.state == "active"
        and settlement.slots[0].slot == entry.next_slot
        and settlement.settled_to == now + LOOKAHEAD
        and all((run.start_by or run.on_time_until) < _FAR for run in settlement.runs)
    )


def put_off(pattern: Settlement, entry: Entry, now: datetime) -> Settlement | None:
    """Return what `plan` would say of the next slot of the same schedule; None where it has to be
    asked. `pattern`: what it said of an earlier one, alike `occupied`; `is_plain`."""
    slot, upto = entry.next_slot, now + LOOKAHEAD
    before = pattern.entry
    version = entry.versions[0]
    if (
        slot is None
        or entry.versions is not before.versions
        or upto - slot != pattern.settled_to - pattern.slots[0].slot
        or (version.starts_at is not None and version.starts_at > entry.settled_to)
    ):
        return None
    following = next_slot(version, entry.name, slot)
    if following is None or following <= upto:
        return None
    verdict = pattern.slots[0]
    by = slot - verdict.slot
    return Settlement(
        entry=entry,
        settled_to=upto,
        next_slot=following,
        wake_at=following,
        slots=(
            SlotVerdict(
                slot=slot, verdict=verdict.verdict, reason=verdict.reason, runs=verdict.runs
            ),
        ),
        runs=tuple(_run_put_off(run, by) for run in pattern.runs),
        cancel_previous=pattern.cancel_previous,
    )


def _run_put_off(run: NewRun, by: timedelta) -> NewRun:
    return NewRun(
        slot=run.slot + by,
        params=run.params,
        policies=run.policies,
        priority=run.priority,
        concurrency_key=run.concurrency_key,
        start=run.start,
        on_time_until=run.on_time_until + by,
        start_by=None if run.start_by is None else run.start_by + by,
    )


def following(settlement: Settlement) -> Entry | None:
    """Return the schedule as the scheduler puts it back; a pause that is over is resumed."""
    entry, wake = settlement.entry, settlement.wake_at
    versions, paused_until = entry.versions, entry.paused_until
    if len(versions) > 1:
        keep = tuple(v for v in versions[1:] if v.valid_from > settlement.settled_to)
        held = [v for v in versions if v.valid_from <= settlement.settled_to]
        versions = (held[-1] if held else versions[0], *keep)
    if settlement.pause_over:
        last = versions[-1]
        valid_from = settlement.settled_to
        resumed = msgspec.structs.replace(
            last, version=last.version + 1, valid_from=valid_from, state="active"
        )
        versions, paused_until, wake = (resumed,), None, valid_from
    if wake is None:
        return None
    return Entry(
        schedule_id=entry.schedule_id,
        name=entry.name,
        job=entry.job,
        versions=versions,
        settled_to=settlement.settled_to,
        next_slot=settlement.next_slot,
        wake_at=wake,
        version=entry.version,
        paused_until=paused_until,
    )
