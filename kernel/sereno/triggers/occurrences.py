"""The slots of versions of a schedule: their trigger, jitter and window together."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sereno.model.errors import TriggerError
from sereno.model.ledger import ScheduleVersion
from sereno.triggers.cron import Cron
from sereno.triggers.guard import read
from sereno.triggers.instant import MICROSECOND
from sereno.triggers.interval import Every
from sereno.triggers.jitter import jitter
from sereno.triggers.step_cache import CachedTrigger, kept
from sereno.triggers.trigger import Trigger


@kept(65_536)
def trigger_of(text: str, spread: timedelta | None, name: str) -> Trigger:
    """Return the trigger of one version of the schedule `name`; it remembers its last steps."""
    trigger = read(text, name)
    if spread is None and isinstance(trigger, Cron | Every):  # of no name: many schedules have it
        return _shared(trigger)
    return CachedTrigger(trigger if spread is None else jitter(trigger, spread, key=name))


@kept(8_192)
def _shared(trigger: Trigger) -> Trigger:
    return CachedTrigger(trigger)


def next_slot(version: ScheduleVersion, name: str, after: datetime) -> datetime | None:
    """Return the first slot after `after` that lies in the version's window."""
    trigger = trigger_of(version.trigger, version.jitter, name)
    slot = trigger.next_after(_opened(version, after))
    if slot is None or (version.ends_at is not None and slot >= version.ends_at):
        return None
    return slot


def due_slots(
    version: ScheduleVersion, name: str, after: datetime, last: datetime
) -> Iterator[datetime]:
    """Yield the slots of one version in (`after`, `last`] up to its window's end, soonest first.

    Those before its window too: they are due, and skipped. Raises TriggerError where the trigger
    does not go on, as a plugin's may not: the walk would never end.
    """
    trigger = trigger_of(version.trigger, version.jitter, name)
    while (slot := trigger.next_after(after)) is not None and slot <= last:
        if slot <= after:
            raise TriggerError(
                f"schedule '{name}': its trigger answered {slot} for what comes after {after}; it "
                "must answer an instant strictly after it"
            )
        if version.ends_at is not None and slot >= version.ends_at:
            return
        yield slot
        after = slot


def window_slots(
    version: ScheduleVersion, name: str, after: datetime, last: datetime
) -> Iterator[datetime]:
    """Yield the slots of one version in (`after`, `last`] that lie in its window, soonest first."""
    return due_slots(version, name, _opened(version, after), last)


def _opened(version: ScheduleVersion, after: datetime) -> datetime:
    if version.starts_at is None or version.starts_at <= after:
        return after
    return version.starts_at - MICROSECOND  # a slot at the very start lies in the window


def spans(
    versions: Sequence[ScheduleVersion], after: datetime, until: datetime
) -> Iterator[tuple[ScheduleVersion, datetime, datetime]]:
    """Yield each of a schedule's `versions` with the instants (exclusive, inclusive) between which
    its slots are due, within (`after`, `until`].

    A version ends where any later one begins: their instants run backwards when the database's
    clock was set back between two changes.
    """
    if len(versions) == 1:  # as nearly all have
        (version,) = versions
        first = max(after, version.valid_from)
        if first < until and version.state not in ("orphaned", "removed"):
            yield version, first, until
        return
    for n, version in enumerate(versions):
        first = max(after, version.valid_from)
        last = min([until, *(later.valid_from for later in versions[n + 1 :])])
        if first < last and version.state not in ("orphaned", "removed"):
            yield version, first, last
