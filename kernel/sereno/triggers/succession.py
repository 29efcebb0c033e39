"""Decides from when on a new version of a schedule rules, and what is the first slot that it has.

A slot that jitter has put off is under way: nobody would settle it if the new version, which knows
nothing of it, ruled at once. So the version before rules on until the last of those. One that
jitter has had early is over: the version before rules on until it is due, so that the new one does
not have it again.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from itertools import chain

import msgspec

from sereno.model.ledger import ScheduleVersion
from sereno.triggers.instant import MICROSECOND
from sereno.triggers.occurrences import due_slots, next_slot, spans, trigger_of
from sereno.triggers.step_cache import in_passing

log = logging.getLogger(__name__)


def succeed(
    versions: Sequence[ScheduleVersion], following: ScheduleVersion, name: str
) -> tuple[ScheduleVersion, datetime | None]:
    """Return `following` as it rules after `versions`, and the next slot of the schedule `name`.

    `versions`: those that still make slots due, none where the schedule was orphaned or removed.
    """
    at = following.valid_from
    if staying := _staying(versions, following, name):
        following = msgspec.structs.replace(following, valid_from=staying[-1])
    if following.state != "active":
        return following, None
    early = _early(versions, name, at)
    if early is not None and early > following.valid_from:
        following = msgspec.structs.replace(following, valid_from=early)
        due = (due_slots(v, name, a, b) for v, a, b in spans([*versions, following], at, early))
        first = next(chain.from_iterable(due), None)
        return following, first or foreseen(following, name, early)
    return following, staying[0] if staying else foreseen(following, name, at)


def foreseen(version: ScheduleVersion, name: str, after: datetime) -> datetime | None:
    """Return the next slot; None also when the trigger cannot tell, as when its plugin is gone.

    The leader says so each time it looks at the schedule, and leads the others on.
    """
    try:
        with in_passing():
            return next_slot(version, name, after)
    except Exception as error:
        log.error("a trigger cannot tell its next slot", extra={"schedule": name}, exc_info=error)
        return None


def _staying(
    versions: Sequence[ScheduleVersion], following: ScheduleVersion, name: str
) -> list[datetime]:
    try:
        with in_passing():
            return dropped(versions, following, name, following.valid_from)
    except Exception:  # a trigger that cannot tell, as when its plugin is gone, has nothing to come
        return []


def _early(versions: Sequence[ScheduleVersion], name: str, at: datetime) -> datetime | None:
    before = next((v for v, _, _ in spans(versions, at, at + MICROSECOND)), None)
    if before is None or before.state != "active":
        return None
    try:
        with in_passing():
            return trigger_of(before.trigger, before.jitter, name).brought_forward(at)
    except Exception:
        return None


def dropped(
    versions: Sequence[ScheduleVersion], following: ScheduleVersion, name: str, at: datetime
) -> list[datetime]:
    """Return the slots after `at` that one of `versions` has put off, by its jitter, and that
    nobody would settle any more if `following` ruled from `at` on, soonest first.

    One whose own instant `following` puts off too is moved, and not dropped.
    """
    if following.state in ("orphaned", "removed"):
        return []  # then nothing is due, on somebody's word
    found = _put_off(versions, name, at)
    if not found:
        return []
    moved = trigger_of(following.trigger, following.jitter, name).put_off(at)
    return sorted(
        slot
        for due, slot in found.items()
        if due not in moved and next_slot(following, name, slot - MICROSECOND) != slot
    )


def ended(versions: Sequence[ScheduleVersion], name: str, at: datetime) -> list[datetime]:
    """Return the slots after `at` that one of `versions` has put off, by its jitter, soonest first:
    those that end unbegun where nothing of the schedule is due from `at` on."""
    try:
        with in_passing():
            return sorted(_put_off(versions, name, at).values())
    except Exception:  # a trigger that cannot tell, as when its plugin is gone, has nothing to come
        return []


def _put_off(
    versions: Sequence[ScheduleVersion], name: str, at: datetime
) -> dict[datetime, datetime]:
    """Return what the version that rules at `at` has put off beyond it, by its own instant."""
    before = next((v for v, _, _ in spans(versions, at, at + MICROSECOND)), None)
    if before is None or before.state != "active":
        return {}
    found = trigger_of(before.trigger, before.jitter, name).put_off(at)
    return {d: s for d, s in found.items() if before.ends_at is None or s < before.ends_at}
