"""A trigger that is heard only from one instant on, or only until another."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from sereno.model.calendar import Days
from sereno.model.call import explained
from sereno.model.errors import TriggerError
from sereno.model.zone import default_zone
from sereno.triggers.arguments import Arguments
from sereno.triggers.instant import MICROSECOND, format_instant, parse_instant
from sereno.triggers.trigger import EPOCH, Trigger, in_utc, require_trigger
from sereno.triggers.zone import zone_name


@dataclass(frozen=True, slots=True)
class Within(Trigger):
    """The slots of `trigger` with start <= slot < end, each bound in UTC or None."""

    trigger: Trigger
    start: datetime | None
    end: datetime | None

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first slot strictly after `instant` that lies within."""
        instant = in_utc(instant)
        if self.start is not None and instant < self.start:
            instant = self.start - MICROSECOND
        slot = self.trigger.next_after(instant)
        return None if slot is None or (self.end is not None and slot >= self.end) else slot

    def put_off(self, instant: datetime) -> dict[datetime, datetime]:
        """Return what the trigger has put off, to within."""
        return {
            due: slot
            for due, slot in self.trigger.put_off(instant).items()
            if (self.start is None or slot >= self.start) and (self.end is None or slot < self.end)
        }

    def brought_forward(self, instant: datetime) -> datetime | None:
        """The trigger's own."""
        return self.trigger.brought_forward(instant)

    @property
    def calendars(self) -> tuple[str, ...]:
        """Those of the trigger."""
        return self.trigger.calendars

    def with_days(self, days_of: Callable[[str], Days]) -> Trigger:
        """Pass the days on to the trigger."""
        return replace(self, trigger=self.trigger.with_days(days_of))

    @property
    def text(self) -> str:
        """As in ``within (every 6h) start=2026-01-01T00:00:00Z end=2026-07-01T00:00:00Z``."""
        start = "" if self.start is None else f" start={format_instant(self.start)}"
        end = "" if self.end is None else f" end={format_instant(self.end)}"
        return f"within ({self.trigger.text}){start}{end}"

    @property
    def zone(self) -> str | None:
        """The zone of the trigger."""
        return self.trigger.zone

    def keyed(self, key: str) -> Trigger:
        """Pass `key` on to the trigger."""
        return replace(self, trigger=self.trigger.keyed(key))


@explained
def within(
    trigger: Trigger,
    *,
    start: datetime | str | None = None,
    end: datetime | str | None = None,
    tz: str | ZoneInfo | None = None,
) -> Within:
    """Fire as `trigger` does from `start` on (inclusive) and until `end` (exclusive).

    A bound without an offset, a bare date too, is read in zone `tz`, by default the trigger's own.
    Raises TriggerError if the window is empty or holds no slot.
    """
    require_trigger("within", trigger)
    if start is None and end is None:
        raise TriggerError("trigger 'within': it has no bounds; give it start, end, or both")
    name = zone_name(tz or trigger.zone or default_zone())
    first = None if start is None else parse_instant(start, name)
    last = None if end is None else parse_instant(end, name)
    if first is not None and last is not None and first >= last:
        bounds = f"start {format_instant(first)} is not before end {format_instant(last)}"
        raise TriggerError(f"trigger 'within': {bounds}")
    found = Within(trigger, first, last)
    begin = EPOCH if first is None else first - MICROSECOND
    if not found.calendars and found.next_after(begin) is None:
        raise TriggerError(f"trigger {found.text!r:.200}: its window holds no slot")
    return found


def parse_within(arguments: Arguments) -> Within:
    """Read ``within (TRIGGER) [start=INSTANT] [end=INSTANT] [tz=ZONE]``."""
    arguments.counted(0, 0)
    return within(arguments.inner(), **arguments.only("start", "end", "tz"))
