"""Decides whether slots of a schedule fall closer together than its job allows."""

from datetime import datetime, timedelta

from sereno.model.duration import format_duration
from sereno.model.errors import DeclarationError
from sereno.model.ledger import ScheduleVersion
from sereno.triggers.occurrences import next_slot

_SLOTS = 1_000
_SPAN = timedelta(days=400)
"""How far is looked: over a year's changes of the clock, where slots are not dense."""


def check_min_interval(
    version: ScheduleVersion, name: str, least: timedelta | None, after: datetime
) -> None:
    """Raise DeclarationError when two slots after `after` lie closer together than `least`.

    As they fall, jitter and changes of the clock included, among the next 1,000 slots of 400 days.
    """
    if least is None:
        return
    last, end = next_slot(version, name, after), after + _SPAN
    for _ in range(_SLOTS):
        slot = None if last is None or last > end else next_slot(version, name, last)
        if last is None or slot is None:
            return
        if slot - last < least:
            spread = version.jitter
            jitter = f" with jitter {format_duration(abs(spread))}" if spread else ""
            raise DeclarationError(
                f"schedule '{name}': '{version.trigger}'{jitter} has slots {last:%F %T} and "
                f"{slot:%F %T} UTC, {format_duration(slot - last)} apart, and min_interval of its "
                f"job is {format_duration(least)}; choose a trigger that is due less often"
            )
        last = slot
