"""Schedules drawn at random, what they make due by brute force, and a ledger that plans fill."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from msgspec.structs import replace

from sereno.engine.planner import plan
from sereno.model.ledger import Entry, NewRun, OpenRange, ScheduleVersion, Settlement, SlotVerdict
from sereno.model.policies import Policies
from sereno.triggers import parse

START = datetime(2026, 3, 1, 9, 59, 30, tzinfo=UTC)
TRIGGERS = [
    "every 7s",
    "every 1m",
    "every 1h",
    "cron */3 * * * * UTC",
    "cron 0 10 * * * Europe/Madrid",
    "once 2026-03-01T10:05:00Z",
    "any_of (every 5m) (every 7m)",
]


@dataclass
class Ledger:
    """What settlements have written, as the database would keep it."""

    slots: list[SlotVerdict] = field(default_factory=list)
    ranges: dict[datetime, tuple[datetime, int, str, str]] = field(default_factory=dict)
    runs: list[NewRun] = field(default_factory=list)

    def write(self, settlement: Settlement) -> None:
        self.slots += settlement.slots
        self.runs += settlement.runs
        for r in settlement.ranges:
            _, counted, *what = self.ranges.get(r.first, (None, 0, r.verdict, r.reason))
            assert what == [r.verdict, r.reason]
            self.ranges[r.first] = (r.last, counted + r.slots, r.verdict, r.reason)

    def accounts(self, due: Iterable[datetime]) -> dict[datetime, list[str]]:
        """Return the verdicts that each of `due`, or any other slot in a row, has."""
        found: dict[datetime, list[str]] = {slot: [] for slot in due}
        for row in self.slots:
            found.setdefault(row.slot, []).append(row.verdict)
        for first, (last, counted, verdict, _) in self.ranges.items():
            inside = [slot for slot in due if first <= slot <= last]
            assert len(inside) == counted
            for slot in inside:
                found[slot].append(verdict)
        return found


def at(clock: str) -> datetime:
    """Return an instant of the day on which the drawn schedules live."""
    return datetime.fromisoformat(f"2026-03-01T{clock}+00:00")


def verdicts(settlement: Settlement) -> dict[str, str]:
    return {f"{v.slot:%H:%M}": v.verdict for v in settlement.slots}


def schedule(
    trigger: str = "every 1m", *, paused_until: datetime | None = None, **parts: object
) -> Entry:
    """Return a schedule of one version that is settled up to START."""
    return entry_of(
        (
            ScheduleVersion(
                version=1, valid_from=START, trigger=trigger, **{"state": "active", **parts}
            ),
        ),  # type: ignore[arg-type]
        paused_until=paused_until,
    )


def entry_of(
    versions: tuple[ScheduleVersion, ...], *, paused_until: datetime | None = None
) -> Entry:
    return Entry(
        schedule_id=1,
        name="a.b",
        job="a.b",
        versions=versions,
        settled_to=START,
        next_slot=None,
        wake_at=START,
        version=1,
        paused_until=paused_until,
    )


def go_on(settlement: Settlement) -> Entry:
    """Return the schedule as the database gives it after `settlement`."""
    entry, upto = settlement.entry, settlement.settled_to
    passed = [d for d in entry.versions if d.valid_from <= upto][-1:]
    to_come = [d for d in entry.versions if d.valid_from > upto]
    opened = settlement.open and OpenRange(
        first=settlement.open.first,
        verdict=settlement.open.verdict,
        reason=settlement.open.reason,
    )
    return replace(
        entry,
        versions=(*(passed or entry.versions[:1]), *to_come),
        settled_to=upto,
        next_slot=settlement.next_slot,
        wake_at=settlement.wake_at or upto,
        open=opened,
    )


def settle(
    entry: Entry,
    policies: Policies | None,
    ticks: Iterable[datetime],
    *,
    occupied: bool = False,
) -> tuple[Ledger, Entry]:
    """Plan and write at each of `ticks`, in as many goes as it takes; nothing that runs ends."""
    ledger = Ledger()
    for until in ticks:
        for _ in range(10_000):
            settlement = plan(entry, policies, until, until, occupied=occupied or bool(ledger.runs))
            ledger.write(settlement)
            before, entry = entry.settled_to, go_on(settlement)
            if entry.settled_to >= until or settlement.pause_over:
                break
            assert entry.settled_to > before, "no headway"
            assert settlement.wake_at is not None, "the rest would never be settled"
            assert settlement.wake_at <= until
    return ledger, entry


def due(versions: tuple[ScheduleVersion, ...], until: datetime) -> dict[datetime, ScheduleVersion]:
    """Return, by brute force, every slot in (START, until] and the version that made it due."""
    found = {}
    for n, definition in enumerate(versions):
        last = min([until, *(d.valid_from for d in versions[n + 1 :])])
        if definition.state in ("orphaned", "removed"):
            continue
        trigger = parse(definition.trigger)
        slot = trigger.next_after(max(START, definition.valid_from))
        while slot is not None and slot <= last:
            if definition.ends_at is None or slot < definition.ends_at:
                found[slot] = definition
            slot = trigger.next_after(slot)
    return found


def is_active(slot: datetime, definition: ScheduleVersion) -> bool:
    early = definition.starts_at is not None and slot < definition.starts_at
    return definition.state == "active" and not early


seconds = st.integers(0, 3600).map(lambda n: timedelta(seconds=n))
moments = seconds.map(lambda after: START + after)


@st.composite
def histories(draw: DrawFn) -> tuple[ScheduleVersion, ...]:
    """Draw the versions of a schedule, in force one after another, the first from START."""
    turns = sorted(draw(st.lists(moments, max_size=3)))
    return tuple(
        ScheduleVersion(
            version=n + 1,
            valid_from=turn,
            state=draw(st.sampled_from(["active", "active", "paused", "orphaned"])),
            trigger=draw(st.sampled_from(TRIGGERS)),
            starts_at=draw(st.none() | moments),
            ends_at=draw(st.none() | moments),
        )
        for n, turn in enumerate([START, *turns])
    )


policies = st.builds(
    Policies,
    catch_up=st.sampled_from(["last", "none", "all"]),
    max_catch_up=st.none() | st.integers(1, 40),
    overlap=st.sampled_from(["skip", "queue", "allow", "cancel_previous"]),
    grace=seconds.map(lambda d: d + timedelta(seconds=1)),
)
ticks = st.lists(moments, min_size=1, max_size=6).map(sorted)
