"""Decides what becomes of every slot that is due: a pure function of a schedule and an instant.

Nothing is written here: what is decided holds once `settle` has written it whole, and from the same
watermark and version that it was planned on; else it is planned anew. Every slot in (watermark,
until] gets exactly one verdict, in the order of these rules:

1. while the schedule was paused: `skipped`, "paused"; before its window opened: `skipped`,
   "outside its window"; in a blackout: `skipped`, "blackout: " and why. After its window closed,
   and while it is orphaned or removed, nothing is due. A pause with an end is over at that instant,
   also when nobody led then.
2. a job that this code does not know: `missed`.
3. one of a job that must not run twice, and that may have run in a history that the database has
   forgotten: `missed`.
4. one that is later than its `start_by`: `missed`, whatever is caught up.
5. catch-up, over what is left: the newest slot runs. Older ones: ``last``: `coalesced` into the
   newest; ``all``: they run one after another, at most `max_catch_up` of them, the older are
   `missed`; ``none``: only those run that are no later than `grace`, the others (the newest too)
   are `missed`.
6. overlap, for each that is to run while an earlier run of the schedule is not over: ``skip``:
   `skipped` (but what ``catch_up="all"`` brings is queued); ``queue`` and ``cancel_previous``: it
   waits in the queue; ``allow``: it starts.
7. one whose params cannot be read, or cannot fill its concurrency key, is `missed`; what starts is
   `ran`, or `late` when the instant is more than `grace` after the slot; what waits there is
   `waiting`, and is one of those once it begins. (``catch_up="none"``: it does not begin later than
   `grace`; nor later than `start_by`, where there is one.)
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby, islice

import msgspec

from sereno.model.calendar import Blackout
from sereno.model.concurrency import concurrency_key
from sereno.model.errors import DeclarationError, SerenoError
from sereno.model.history import Doubt
from sereno.model.ledger import (
    Entry,
    NewRun,
    OpenRange,
    ScheduleVersion,
    Settlement,
    SlotRange,
    SlotVerdict,
)
from sereno.model.policies import Policies
from sereno.model.stored_json import unreadable
from sereno.triggers.instant import MICROSECOND
from sereno.triggers.occurrences import due_slots, next_slot, spans, window_slots

MAX_SLOTS = 1_000
"""Slots settled at once: a longer outage takes several goes, so that nothing else waits for it."""

QUIET = timedelta(hours=1)
"""How often a schedule that is paused, or waits for its window, is looked at: for its verdicts."""

_RANGE_FROM = 10
"""From so many neighbours of one verdict and reason on, a range is kept in place of a row each: an
outage of a week is one row of a schedule that is due each second, and not 600,000."""

_ALWAYS_RANGES = frozenset({"paused", "outside its window"})
BEYOND_START_BY = "later than its start_by"
"""Why a slot is `missed` that has not begun in time; `runs_expire` says it of one that waited."""

_LAST = datetime(9999, 12, 31, tzinfo=UTC)


class _Due(msgspec.Struct, frozen=True):
    slot: datetime
    version: ScheduleVersion
    held: str | None  # why it may not run, None when it may


def plan(
    entry: Entry,
    policies: Policies | None,
    now: datetime,
    until: datetime,
    *,
    occupied: bool,
    doubt: Doubt | None = None,
    blackouts: Sequence[Blackout] = (),
) -> Settlement:
    """Settle `entry` up to `until`.

    `now` decides lateness; `until` may be a little after it, to have runs ready at their slots.
    `occupied`: a run of the schedule is not over. `doubt`: what may have run in a history that
    the database has forgotten. `blackouts`: those of this schedule. `policies`: of the job,
    overridden by the schedule's; None when the job is not known. Raises SerenoError when the
    schedule cannot be read.
    """
    pause_ends = entry.paused_until if entry.current.state == "paused" else None
    if pause_ends is not None:  # what is due after its end is another version's to rule
        until = min(until, max(pause_ends - MICROSECOND, entry.settled_to))
    coming = _due(entry, until, blackouts)
    due = list(islice(coming, MAX_SLOTS))
    complete = next(coming, None) is None
    upto = max(until, entry.settled_to) if complete else due[-1].slot
    active = [d for d in due if d.held is None]
    verdicts = {
        d.slot: SlotVerdict(slot=d.slot, verdict="skipped", reason=d.held) for d in due if d.held
    }
    runs: tuple[NewRun, ...] = ()
    cancel = False
    if policies is None:
        _mark(active, "missed", "its job is not declared any more", verdicts)
    else:
        if doubt is not None and doubt.forbids(policies.on_lost):
            doubtful = [d for d in active if d.slot <= doubt.until]
            active = active[len(doubtful) :]
            _mark(doubtful, "missed", doubt.reason, verdicts)
        active = _in_time(active, policies.start_by, now, verdicts)
        newer = 0 if complete else _count_active(entry, upto, until, policies.max_catch_up or 1)
        chosen = _catch_up(active, policies, now, newer, verdicts)
        runs, cancel = _overlap(entry, chosen, policies, now, occupied, verdicts)
    slots, ranges, opened = _ranges(entry, [verdicts[d.slot] for d in due])
    following, wake = _next(entry, upto, complete)
    return Settlement(
        entry=entry,
        settled_to=upto,
        next_slot=following,
        wake_at=wake,
        slots=slots,
        ranges=ranges,
        runs=runs,
        open=opened,
        cancel_previous=cancel,
        pause_over=pause_ends is not None and upto >= pause_ends - MICROSECOND,
    )


def _due(entry: Entry, until: datetime, blackouts: Sequence[Blackout]) -> Iterator[_Due]:
    """Yield the slots in (watermark, `until`] with what holds them, soonest first."""
    for version, after, last in spans(entry.versions, entry.settled_to, until):
        for slot in due_slots(version, entry.name, after, last):
            held = "paused" if version.state == "paused" else None
            if version.starts_at is not None and slot < version.starts_at:
                held = "outside its window"
            if held is None and blackouts:
                held = _blacked_out(slot, blackouts)
            yield _Due(slot, version, held)


def _blacked_out(slot: datetime, blackouts: Sequence[Blackout]) -> str | None:
    inside = (b for b in blackouts if b.starts_at <= slot < b.ends_at)
    first = next(inside, None)
    return None if first is None else first.verdict_reason


def _count_active(entry: Entry, after: datetime, until: datetime, most: int) -> int:
    """Return how many slots in (`after`, `until`] may run, counting no further than `most`."""
    found = chain.from_iterable(
        window_slots(version, entry.name, first, last)
        for version, first, last in spans(entry.versions, after, until)
        if version.state == "active"
    )
    return sum(1 for _ in islice(found, most))


def _in_time(
    active: list[_Due],
    start_by: timedelta | None,
    now: datetime,
    verdicts: dict[datetime, SlotVerdict],
) -> list[_Due]:
    """Return the slots that may still begin; the others get their verdict."""
    if start_by is None:
        return active
    over = sum(1 for d in active if now - d.slot > start_by)  # soonest first
    _mark(active[:over], "missed", BEYOND_START_BY, verdicts)
    return active[over:]


def _catch_up(
    active: list[_Due],
    policies: Policies,
    now: datetime,
    newer: int,
    verdicts: dict[datetime, SlotVerdict],
) -> list[_Due]:
    """Return the slots that are to run; the others get their verdict.

    `newer`: how many slots that may run are due beyond these, left for the next go.
    """
    if not active:
        return []
    if policies.catch_up == "all":
        allowed = policies.max_catch_up
        first = 0 if allowed is None else max(0, len(active) - max(0, allowed - newer))
        _mark(active[:first], "missed", "older than max_catch_up allows", verdicts)
        return active[first:]
    if policies.catch_up == "none":
        late = [d for d in active if now - d.slot > policies.grace]
        _mark(late, "missed", "later than its grace, and catch_up is none", verdicts)
        return [d for d in active if now - d.slot <= policies.grace]
    if newer:  # the newest of all is among what is left for the next go: it runs, and none of these
        _mark(active, "coalesced", "into a later slot", verdicts)
        return []
    newest = active[-1]
    if (
        len(active) > 1
    ):  # most often it is alone, and to write an instant takes longer than all else
        into = f"into the slot {newest.slot:%Y-%m-%dT%H:%M:%S.%fZ}"
        _mark(active[:-1], "coalesced", into, verdicts)
    return [newest]


def _mark(
    due: Iterable[_Due], verdict: str, reason: str, verdicts: dict[datetime, SlotVerdict]
) -> None:
    for d in due:
        verdicts[d.slot] = SlotVerdict(slot=d.slot, verdict=verdict, reason=reason)  # type: ignore[arg-type]


def _overlap(
    entry: Entry,
    chosen: list[_Due],
    policies: Policies,
    now: datetime,
    occupied: bool,
    verdicts: dict[datetime, SlotVerdict],
) -> tuple[tuple[NewRun, ...], bool]:
    runs: list[NewRun] = []
    previous = occupied
    # `skip` is about a run that takes longer than expected, not about an outage: whoever asks for
    # all that was missed would get the first of it alone.
    catching_up = policies.catch_up == "all" and len(chosen) > 1
    one_by_one = catching_up or policies.overlap != "allow"
    for due in chosen:
        if occupied and policies.overlap == "skip" and not catching_up:
            _mark([due], "skipped", "overlap: an earlier run is not over", verdicts)
            continue
        try:
            key = key_of(entry, policies, due.version, one_by_one)
        except SerenoError as error:
            _mark([due], "missed", str(error), verdicts)
            continue
        start = not occupied or (policies.overlap == "allow" and not catching_up)
        verdicts[due.slot] = _begins(due.slot, policies.grace, now) if start else waits(due.slot)
        until = _after(due.slot, policies.grace)
        runs.append(
            NewRun(
                slot=due.slot,
                params=due.version.params,
                policies=due.version.policies,
                priority=policies.priority,
                concurrency_key=key,
                start=start,
                on_time_until=until,
                start_by=_begin_by(due.slot, until, policies),
            )
        )
        occupied = True  # by this one, for the slots that follow
    # Only what ran before these is cancelled: they themselves wait for one another.
    return tuple(runs), previous and bool(runs) and policies.overlap == "cancel_previous"


def _begins(slot: datetime, grace: timedelta, now: datetime) -> SlotVerdict:
    late = now - slot
    if late <= grace:
        return SlotVerdict(slot=slot, verdict="ran", runs=True)
    reason = f"{late.total_seconds():.1f} s late"
    return SlotVerdict(slot=slot, verdict="late", reason=reason, runs=True)


def waits(slot: datetime) -> SlotVerdict:
    """Return the verdict of a slot whose run has to wait for its place."""
    return SlotVerdict(slot=slot, verdict="waiting", runs=True)


def _begin_by(slot: datetime, on_time_until: datetime, policies: Policies) -> datetime | None:
    none = on_time_until if policies.catch_up == "none" else None
    if policies.start_by is None:
        return none
    until = _after(slot, policies.start_by)
    return until if none is None else min(none, until)


def _after(slot: datetime, grace: timedelta) -> datetime:
    return slot + grace if grace < _LAST - slot else _LAST


def key_of(
    entry: Entry, policies: Policies, version: ScheduleVersion, one_by_one: bool
) -> str | None:
    """Return a run's concurrency key, None when it has none; raises SerenoError when it cannot be
    filled.

    `one_by_one`: without a key of its own it gets the schedule's, so that the queue, which knows
    keys and not slots, starts no two of them at once.
    """
    if fault := unreadable(params=version.params, policies=version.policies):
        raise DeclarationError(fault)
    if policies.concurrency_key is not None:
        return concurrency_key(policies.concurrency_key, version.params)
    return f"schedule {entry.schedule_id}" if one_by_one else None


def _ranges(
    entry: Entry, verdicts: list[SlotVerdict]
) -> tuple[tuple[SlotVerdict, ...], tuple[SlotRange, ...], OpenRange | None]:
    """Fold neighbours that share a verdict and reason into ranges; one may go on from the last
    tick."""
    if len(verdicts) == 1 and verdicts[0].runs:
        return (verdicts[0],), (), None
    slots: list[SlotVerdict] = []
    ranges: list[SlotRange] = []
    # A range stays open from tick to tick, so that a pause of a year is one row at its end.
    opened = entry.open if not verdicts else None
    for n, ((verdict, reason, runs), group) in enumerate(
        groupby(verdicts, key=lambda v: (v.verdict, v.reason, v.runs))
    ):
        members = list(group)
        opened = None
        if runs or reason is None or (len(members) < _RANGE_FROM and reason not in _ALWAYS_RANGES):
            slots.extend(members)
            continue
        first = members[0].slot
        before = entry.open
        if n == 0 and before is not None and (before.verdict, before.reason) == (verdict, reason):
            first = before.first
        ranges.append(
            SlotRange(
                first=first,
                last=members[-1].slot,
                slots=len(members),
                verdict=verdict,
                reason=reason,
            )
        )
        opened = OpenRange(first=first, verdict=verdict, reason=reason)
    return tuple(slots), tuple(ranges), opened


def _next(entry: Entry, upto: datetime, complete: bool) -> tuple[datetime | None, datetime | None]:
    """Return the next slot that may run, and when to look at the schedule again."""
    current = entry.current
    if not complete:  # more is due: look at it again at once, from here
        return entry.next_slot, upto
    if current.valid_from > upto:  # until then the versions before it rule
        ruling = spans(entry.versions, upto, current.valid_from)
        due = (due_slots(v, entry.name, first, last) for v, first, last in ruling)
        soonest = next(chain.from_iterable(due), None)
        return (entry.next_slot, current.valid_from) if soonest is None else (soonest, soonest)
    if current.state in ("orphaned", "removed"):
        return None, None
    if current.state == "paused":
        wake = upto + QUIET
        return None, wake if entry.paused_until is None else min(
            wake, max(entry.paused_until, upto)
        )
    following = next_slot(current, entry.name, upto)
    if current.starts_at is not None and upto < current.starts_at:
        wake = min(upto + QUIET, current.starts_at)
        return following, wake if following is None else min(wake, following)
    return following, following
