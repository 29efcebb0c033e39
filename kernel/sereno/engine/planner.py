"""Decides what becomes of every slot that is due: a pure function of a schedule and an instant.

Every slot in (watermark, until] gets exactly one verdict, in the order of these rules:

1. while the schedule was paused: `skipped`, "paused"; before its window opened: `skipped`, "outside
its
   window". After its window closed, and while it is orphaned or removed, nothing is due.
2. catch-up, over what is left: the newest slot runs. Older ones: ``last``: `coalesced` into the
newest;
   ``all``: they run one after another, at most `max_catch_up` of them, the older are `missed`;
   ``none``: only those run that are no later than `grace`, the others (the newest too) are
   `missed`.
3. overlap, for each that is to run while an earlier run of the schedule is not over: ``skip``:
`skipped`
   (but what ``catch_up="all"`` brings is queued); ``queue`` and ``cancel_previous``: it waits its
   turn; ``allow``: it starts.
4. what runs is `ran`, or `late` when the instant is more than `grace` after the slot.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from sereno.model.errors import SerenoError
from sereno.model.ledger import (
    Definition,
    Entry,
    NewRun,
    OpenRange,
    Settlement,
    SlotRange,
    SlotVerdict,
)
from sereno.model.policies import Policies
from sereno.triggers.coming import next_slot, trigger_of

MAX_SLOTS = 5_000
"""Slots settled at once: a longer outage takes several goes, so that nothing else waits for it."""

QUIET = timedelta(hours=1)
"""How often a paused schedule is looked at, to record its slots."""

_RANGE_FROM = 10
_ALWAYS_RANGES = frozenset({"paused", "outside its window"})


@dataclass(frozen=True, slots=True)
class _Due:
    slot: datetime
    definition: Definition
    held: str | None  # why it may not run, None when it may


def plan(
    entry: Entry, policies: Policies, now: datetime, until: datetime, *, occupied: bool
) -> Settlement:
    """Settle `entry` up to `until`.

    `now` decides lateness; `until` may be a little after it, to have runs ready at their slots.
    `occupied`: a run of the schedule is not over. `policies`: of the job, overridden by the
    schedule's.
    """
    due, settled_to = _due(entry, until)
    complete = settled_to is None
    active = [d for d in due if d.held is None]
    verdicts = {
        d.slot: SlotVerdict(slot=d.slot, verdict="skipped", reason=d.held) for d in due if d.held
    }
    if not complete and policies.catch_up == "all" and policies.max_catch_up is not None:
        # Which are the newest so many is not known yet: leave them to the next go.
        keep = active[-policies.max_catch_up :]
        if keep and len(keep) < len(active):
            settled_to = active[-policies.max_catch_up - 1].slot
            due = [d for d in due if d.slot <= settled_to]
            active = active[: -policies.max_catch_up]
    chosen = _catch_up(active, policies, now, complete, verdicts)
    runs, cancel = _overlap(entry, chosen, policies, now, occupied, verdicts)
    ordered = [verdicts[d.slot] for d in due]
    slots, ranges, opened = _ranges(entry, ordered)
    upto = max(until, entry.settled_to) if settled_to is None else settled_to
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
    )


def _due(entry: Entry, until: datetime) -> tuple[list[_Due], datetime | None]:
    """Return the slots to settle, and the last of them when there are more than can be settled at
    once."""
    found: list[_Due] = []
    for definition, after, last in _segments(entry, until):
        if definition.state in ("orphaned", "removed"):
            continue
        trigger = trigger_of(definition.trigger, definition.jitter, entry.name)
        slot = trigger.next_after(after)
        while slot is not None and slot <= last:
            if definition.ends_at is not None and slot >= definition.ends_at:
                break
            held = "paused" if definition.state == "paused" else None
            if definition.starts_at is not None and slot < definition.starts_at:
                held = "outside its window"
            found.append(_Due(slot, definition, held))
            if len(found) >= MAX_SLOTS:
                return found, slot
            slot = trigger.next_after(slot)
    return found, None


def _segments(entry: Entry, until: datetime) -> Iterator[tuple[Definition, datetime, datetime]]:
    """Yield each version with the instants (exclusive, inclusive) between which its slots count."""
    versions = entry.definitions
    for n, definition in enumerate(versions):
        after = max(entry.settled_to, definition.valid_from) if n else entry.settled_to
        last = min(until, versions[n + 1].valid_from) if n + 1 < len(versions) else until
        if after < last:
            yield definition, after, last


def _catch_up(
    active: list[_Due],
    policies: Policies,
    now: datetime,
    complete: bool,
    verdicts: dict[datetime, SlotVerdict],
) -> list[_Due]:
    """Return the slots that are to run; the others get their verdict."""
    if not active:
        return []
    if policies.catch_up == "all":
        chosen = active if policies.max_catch_up is None else active[-policies.max_catch_up :]
        if not complete and policies.max_catch_up is not None:
            chosen = []
        _mark(
            active[: len(active) - len(chosen)],
            "missed",
            "older than max_catch_up allows",
            verdicts,
        )
        return chosen
    if policies.catch_up == "none":
        chosen = [d for d in active if now - d.slot <= policies.grace]
        _mark(
            [d for d in active if now - d.slot > policies.grace],
            "missed",
            "later than its grace, and catch_up is none",
            verdicts,
        )
        return chosen
    if not complete:
        _mark(active, "coalesced", "into a later slot", verdicts)
        return []
    _mark(
        active[:-1], "coalesced", f"into the slot {active[-1].slot:%Y-%m-%dT%H:%M:%S.%fZ}", verdicts
    )
    return active[-1:]


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
    cancel = False
    catching_up = policies.catch_up == "all" and len(chosen) > 1
    in_turn = catching_up or policies.overlap in ("queue", "cancel_previous")
    for due in chosen:
        if occupied and policies.overlap == "skip" and not catching_up:
            _mark([due], "skipped", "overlap: an earlier run is not over", verdicts)
            continue
        if occupied and policies.overlap == "cancel_previous":
            cancel = True
        start = not occupied or (policies.overlap == "allow" and not catching_up)
        late = now - due.slot > policies.grace
        verdicts[due.slot] = SlotVerdict(
            slot=due.slot,
            verdict="late" if late else "ran",
            reason=f"{(now - due.slot).total_seconds():.1f} s late" if late else None,
            runs=True,
        )
        runs.append(
            NewRun(
                slot=due.slot,
                params=due.definition.params,
                policies=due.definition.policies,
                priority=policies.priority,
                concurrency_key=_key(entry, policies, due.definition, in_turn),
                start=start,
            )
        )
        occupied = True
    return tuple(runs), cancel


def _key(entry: Entry, policies: Policies, definition: Definition, in_turn: bool) -> str | None:
    if policies.concurrency_key is not None:
        return concurrency_key(policies.concurrency_key, definition.params)
    return f"schedule {entry.schedule_id}" if in_turn else None


def concurrency_key(template: str, params: dict[str, object]) -> str:
    """Fill ``{param}`` in `template`; raises SerenoError when a param is missing."""
    try:
        return template.format_map(params)
    except (KeyError, IndexError, ValueError) as error:
        raise SerenoError(
            f"concurrency_key {template!r} names the param {error}, which the run does not have"
        ) from error


def _ranges(
    entry: Entry, verdicts: list[SlotVerdict]
) -> tuple[tuple[SlotVerdict, ...], tuple[SlotRange, ...], OpenRange | None]:
    """Fold neighbours that share a verdict and reason into ranges; one may go on from the last
    tick."""
    slots: list[SlotVerdict] = []
    ranges: list[SlotRange] = []
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
    if not complete:
        return entry.next_slot, upto
    if current.valid_from > upto:
        return entry.next_slot, current.valid_from
    if current.state in ("orphaned", "removed"):
        return None, None
    if current.state == "paused":
        wake = upto + QUIET
        return None, wake if entry.paused_until is None else min(
            wake, max(entry.paused_until, upto)
        )
    following = next_slot(current, entry.name, upto)
    if following is None:
        return None, None
    if current.starts_at is not None and upto < current.starts_at:
        return following, min(following, upto + QUIET)
    return following, following
