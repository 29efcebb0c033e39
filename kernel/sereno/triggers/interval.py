"""Equal steps of real time, counted from an anchor and not from the start of a process."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sereno.model.call import explained
from sereno.model.duration import format_duration, parse_duration
from sereno.model.errors import TriggerError
from sereno.triggers.arguments import Arguments
from sereno.triggers.instant import format_instant, parse_instant
from sereno.triggers.trigger import EPOCH, Trigger, in_utc

SHORTEST = timedelta(milliseconds=10)


@dataclass(frozen=True, slots=True)
class Every(Trigger):
    """Every instant that lies a whole number of `interval` from `anchor`, before it as well."""

    interval: timedelta
    anchor: datetime = EPOCH

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first slot strictly after `instant`."""
        if instant.tzinfo is None:
            in_utc(instant)
        try:
            return self.anchor + ((instant - self.anchor) // self.interval + 1) * self.interval
        except OverflowError:  # the end of the calendar
            return None

    @property
    def text(self) -> str:
        """As in ``every 6h`` or ``every 6h anchor=2026-01-01T00:30:00Z``."""
        anchor = "" if self.anchor == EPOCH else f" anchor={format_instant(self.anchor)}"
        return f"every {format_duration(self.interval)}{anchor}"


@explained
def every(interval: str | float | timedelta, anchor: datetime | str = EPOCH) -> Every:
    """Fire each `interval` of real time, at least 10 ms, in step with `anchor`.

    The epoch is the anchor of ``every("6h")``, which so fires at 0, 6, 12 and 18 UTC. The anchor
    sets the phase alone: to begin at an instant use `within`, for a local time each day `cron`.
    """
    length = parse_duration(interval)
    if length < SHORTEST:
        raise TriggerError(f"interval {format_duration(length)}: it must be at least 10ms")
    return Every(length, parse_instant(anchor))


def parse_every(arguments: Arguments) -> Every:
    """Read ``every DURATION [anchor=INSTANT]``."""
    (interval,) = arguments.plain(1, 1)
    return every(interval, **arguments.only("anchor"))
