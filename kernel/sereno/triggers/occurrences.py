"""The coming slots of one version of a schedule: its trigger, jitter and window together."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sereno.model.ledger import ScheduleVersion
from sereno.triggers.guarded import read
from sereno.triggers.jitter import jitter
from sereno.triggers.step_cache import CachedTrigger, kept
from sereno.triggers.trigger import Trigger

_TICK = timedelta(microseconds=1)


@kept(65_536)
def trigger_of(text: str, spread: timedelta | None, name: str) -> Trigger:
    """Return the trigger of one version of the schedule `name`; it remembers its last steps."""
    trigger = read(text, name)
    return CachedTrigger(trigger if spread is None else jitter(trigger, spread, key=name))


def next_slot(definition: ScheduleVersion, name: str, after: datetime) -> datetime | None:
    """Return the first slot after `after` that lies in the definition's window."""
    trigger = trigger_of(definition.trigger, definition.jitter, name)
    if definition.starts_at is not None and after < definition.starts_at:
        after = definition.starts_at - _TICK
    slot = trigger.next_after(after)
    if slot is None or (definition.ends_at is not None and slot >= definition.ends_at):
        return None
    return slot


def spans(
    versions: Sequence[ScheduleVersion], after: datetime, until: datetime
) -> Iterator[tuple[ScheduleVersion, datetime, datetime]]:
    """Yield each of a schedule's `versions` with the instants (exclusive, inclusive) between which
    its slots are due, within (`after`, `until`].

    A version ends where any later one begins: their instants run backwards when the database's
    clock was set back between two changes.
    """
    for n, version in enumerate(versions):
        first = max(after, version.valid_from)
        last = min([until, *(later.valid_from for later in versions[n + 1 :])])
        if first < last and version.state not in ("orphaned", "removed"):
            yield version, first, last


def dropped(
    versions: Sequence[ScheduleVersion], following: ScheduleVersion, name: str, at: datetime
) -> list[datetime]:
    """Return the slots after `at` that one of `versions` has put off, by its jitter, and that
    nobody would settle any more if `following` ruled from `at` on, soonest first.

    One whose own instant `following` puts off too is moved, and not dropped.
    """
    if following.state in ("orphaned", "removed"):
        return []  # then nothing is due, on somebody's word
    before = next((v for v, _, _ in spans(versions, at, at + _TICK)), None)
    if before is None:
        return []
    found = trigger_of(before.trigger, before.jitter, name).put_off(at)
    if not found:
        return []
    moved = trigger_of(following.trigger, following.jitter, name).put_off(at)
    return sorted(
        slot
        for due, slot in found.items()
        if due not in moved
        and (before.ends_at is None or slot < before.ends_at)
        and next_slot(following, name, slot - _TICK) != slot
    )


def coming(definition: ScheduleVersion, name: str, after: datetime) -> Iterator[datetime]:
    """Yield the slots after `after` in the definition's window, soonest first."""
    slot = next_slot(definition, name, after)
    while slot is not None:
        yield slot
        slot = next_slot(definition, name, slot)
