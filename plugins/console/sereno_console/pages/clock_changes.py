"""Tells which slots a change of the clock touches, in the zone that their trigger follows."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Literal

import msgspec

from sereno import TriggerError, find_zone, parse

Touch = Literal["", "first", "second", "skipped", "forward", "back"]
"""``first``, ``second``: of two times that the clock shows it; ``skipped``: the time that was meant
is none of that day; ``forward``, ``back``: the clock has gone so since the slot before."""

_STEP = timedelta(microseconds=1)


class ShownSlot(msgspec.Struct, frozen=True, kw_only=True):
    """A slot, and what a change of the clock does to it."""

    at: datetime
    touch: Touch = ""


def zone_of(trigger: str) -> str | None:
    """Return the zone whose clock `trigger` follows, None where no change can touch it."""
    try:
        return parse(trigger).zone
    except TriggerError:
        return None


def shown_slots(slots: Sequence[datetime], trigger: str, since: datetime) -> list[ShownSlot]:
    """Return `slots`, the first ones after `since`, each with what the clock does to it."""
    name = zone_of(trigger)
    if name is None or name == "UTC":
        return [ShownSlot(at=slot) for slot in slots]
    zone, before, found = find_zone(name), since, []
    for slot in slots:
        found.append(ShownSlot(at=slot, touch=_touch(before, slot, zone)))
        before = slot
    return found


def _touch(before: datetime, slot: datetime, zone: tzinfo) -> Touch:
    here = slot.astimezone(zone)
    early, late = here.replace(fold=0).utcoffset(), here.replace(fold=1).utcoffset()
    if early is not None and late is not None and early > late:
        return "first" if here.fold == 0 else "second"
    if _offset(slot, zone) > _offset(slot - _STEP, zone):
        return "skipped"
    moved = _offset(slot, zone) - _offset(before, zone)
    if not moved:
        return ""
    return "forward" if moved > timedelta(0) else "back"


def _offset(instant: datetime, zone: tzinfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)
