"""A trigger without its slots on certain days, such as holidays."""

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sereno.model.call import explained
from sereno.model.errors import TriggerError
from sereno.model.zone import find_zone
from sereno.triggers.arguments import Arguments
from sereno.triggers.instant import MICROSECOND
from sereno.triggers.trigger import EPOCH, Trigger, require_trigger
from sereno.triggers.zone import jump, readings, zone_name

DAY = timedelta(days=1)
TEN_YEARS = timedelta(days=3653)


@dataclass(frozen=True, slots=True)
class ExceptOn(Trigger):
    """The slots of `trigger`, but for `days` of zone `tz` and those on which `others` fire."""

    trigger: Trigger
    days: frozenset[date]
    others: tuple[Trigger, ...]
    tz: str

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first slot after `instant` whose day is not left out, or None.

        None also after ten years without one, and a hundred days that would have had one.
        """
        zone = find_zone(self.tz)
        first = slot = self.trigger.next_after(instant)
        skipped = 0
        while first is not None and slot is not None:
            day = slot.astimezone(zone).date()
            if not self._leaves_out(day, zone):
                return slot
            skipped += 1
            if skipped > 100 and slot - first > TEN_YEARS:
                return None
            begin, again = _begin(day + DAY, zone)
            slot = self.trigger.next_after((begin if begin > slot else again) - MICROSECOND)
        return None

    def put_off(self, instant: datetime) -> dict[datetime, datetime]:
        """Return what the trigger has put off, to a day that is not left out."""
        zone = find_zone(self.tz)
        return {
            due: slot
            for due, slot in self.trigger.put_off(instant).items()
            if not self._leaves_out(slot.astimezone(zone).date(), zone)
        }

    @property
    def text(self) -> str:
        """As in ``except_on (cron 0 8 * * * UTC) 2026-12-25 (cron 0 0 1 * * UTC) tz=UTC``."""
        days = [day.isoformat() for day in sorted(self.days)]
        others = [f"({other.text})" for other in self.others]
        return " ".join(["except_on", f"({self.trigger.text})", *days, *others, f"tz={self.tz}"])

    @property
    def zone(self) -> str:
        """The zone whose days are left out."""
        return self.tz

    def keyed(self, key: str) -> Trigger:
        """Pass `key` on to the trigger and the exceptions."""
        others = tuple(other.keyed(key) for other in self.others)
        return replace(self, trigger=self.trigger.keyed(key), others=others)

    def _leaves_out(self, day: date, zone: ZoneInfo) -> bool:
        if day in self.days:
            return True
        begin, _ = _begin(day, zone)
        _, end = _begin(day + DAY, zone)
        for other in self.others:
            found = other.next_after(begin - MICROSECOND)
            if found is not None and found < end:
                return True
        return False


@explained
def except_on(
    trigger: Trigger, *exceptions: date | str | Trigger, tz: str | ZoneInfo | None = None
) -> ExceptOn:
    """Fire as `trigger` does, but not on the days that `exceptions` name.

    An exception is a date (ISO text will do) or a trigger, which takes out every whole day on which
    it fires. Days are those of zone `tz`, by default the trigger's own, else UTC. Raises
    TriggerError if nothing is left, and on a trigger that follows another zone.
    """
    require_trigger("except_on", trigger)
    if not exceptions:
        raise TriggerError("trigger 'except_on': it names no day; add dates or a trigger")
    others = tuple(dict.fromkeys(each for each in exceptions if isinstance(each, Trigger)))
    days = frozenset(_date(each) for each in exceptions if not isinstance(each, Trigger))
    name = zone_name(tz or trigger.zone or "UTC")
    for other in others:
        if other.zone not in (None, name):
            raise TriggerError(
                f"trigger 'except_on': the exception {other.text!r:.120} follows {other.zone}, but "
                f"the days are those of {name}; give both the same zone"
            )
    found = ExceptOn(trigger, days, others, name)
    if found.next_after(EPOCH) is None:
        raise TriggerError(
            f"trigger {found.text!r:.200}: it never fires; its exceptions take out every "
            "day on which it would, as an exception takes out whole days"
        )
    return found


def parse_except_on(arguments: Arguments) -> ExceptOn:
    """Read ``except_on (TRIGGER) DATE... (TRIGGER)... [tz=ZONE]``."""
    options = arguments.only("tz")
    trigger, others = arguments.first()
    return except_on(trigger, *arguments.words, *others, tz=options.get("tz"))


def _date(value: date | str) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value)  # type: ignore[arg-type] # a datetime is refused as well
    except (ValueError, TypeError):
        raise TriggerError(
            f"trigger 'except_on': {value!s:.60} is no date; write it like 2026-12-25"
        ) from None


def _begin(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return when `day` begins: twice the same instant, unless the clock repeats midnight."""
    first, second = readings(zone, datetime.combine(day, time()))
    if first > second:
        first = second = jump(zone, second, first)
    return first, second
