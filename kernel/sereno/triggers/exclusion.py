"""A trigger without its slots on certain days, such as holidays, or with those alone."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import reduce
from zoneinfo import ZoneInfo

from sereno.model.calendar import WEEKDAYS, Days, check_calendar_name
from sereno.model.call import explained
from sereno.model.errors import DeclarationError, TriggerError
from sereno.model.zone import default_zone, find_zone
from sereno.triggers.arguments import Arguments
from sereno.triggers.cron import cron
from sereno.triggers.instant import MICROSECOND
from sereno.triggers.trigger import EPOCH, Trigger, require_trigger
from sereno.triggers.zone import jump, readings, zone_name

DAY = timedelta(days=1)
_LAST_DAY = date.max - 2 * DAY
TEN_YEARS = timedelta(days=3653)


@dataclass(frozen=True, slots=True)
class ExceptOn(Trigger):
    """The slots of `trigger`, but for `days` of zone `tz` and those on which `others` fire.

    `named`: calendars whose days are yet to be put in their place.
    """

    trigger: Trigger
    days: frozenset[date]
    others: tuple[Trigger, ...]
    tz: str
    named: tuple[str, ...] = ()

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first slot after `instant` whose day is not left out, or None.

        None also after ten years without one, and a hundred days that would have had one.
        """
        zone = self._zone()
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

    def _zone(self) -> ZoneInfo:
        if self.named:
            raise TriggerError(
                f"trigger {self.text!r:.120}: calendar '{self.named[0]}' is not known here"
            )
        return find_zone(self.tz)

    def put_off(self, instant: datetime) -> dict[datetime, datetime]:
        """Return what the trigger has put off, to a day that is not left out."""
        zone = find_zone(self.tz)
        return {
            due: slot
            for due, slot in self.trigger.put_off(instant).items()
            if not self._leaves_out(slot.astimezone(zone).date(), zone)
        }

    def brought_forward(self, instant: datetime) -> datetime | None:
        """The trigger's own."""
        return self.trigger.brought_forward(instant)

    @property
    def text(self) -> str:
        """As in ``except_on (cron 0 8 * * * UTC) 2026-12-25 (cron 0 0 1 * * UTC) tz=UTC``."""
        days = [day.isoformat() for day in sorted(self.days)]
        others = [f"({other.text})" for other in self.others]
        names = [f"calendar={','.join(self.named)}"] if self.named else []
        inner = f"({self.trigger.text})"
        return " ".join([self._kind(), inner, *days, *others, *names, f"tz={self.tz}"])

    @property
    def calendars(self) -> tuple[str, ...]:
        """Those whose days it does not know yet."""
        inner = (name for each in (self.trigger, *self.others) for name in each.calendars)
        return (*self.named, *inner)

    def with_days(self, days_of: Callable[[str], Days]) -> Trigger:
        """Return this trigger with the days of its calendars."""
        found = reduce(Days.joined, map(days_of, self.named), Days())
        others = (*(other.with_days(days_of) for other in self.others), *_fixed(found, self.tz))
        return replace(
            self,
            trigger=self.trigger.with_days(days_of),
            days=self.days | found.dates,
            others=tuple(dict.fromkeys(others)),
            named=(),
        )

    def _kind(self) -> str:
        return "except_on"

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


@dataclass(frozen=True, slots=True)
class OnlyOn(ExceptOn):
    """The slots of `trigger` on those days, and no others."""

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first slot after `instant` on one of the days, or None: also after ten years
        and a hundred days without a slot."""
        zone = self._zone()
        first = slot = self.trigger.next_after(instant)
        tried = 0
        while first is not None and slot is not None:
            day = slot.astimezone(zone).date()
            if not self._leaves_out(day, zone):
                return slot
            following = self._following(day, zone)
            tried += 1
            if following is None or (tried > 100 and slot - first > TEN_YEARS):
                return None
            begin, again = _begin(following, zone)
            slot = self.trigger.next_after((begin if begin > slot else again) - MICROSECOND)
        return None

    def _following(self, day: date, zone: ZoneInfo) -> date | None:
        """Return the first of its days after `day`."""
        if day >= _LAST_DAY:
            return None
        end = _begin(day + DAY, zone)[1] - MICROSECOND
        found = [other.next_after(end) for other in self.others]
        days = [slot.astimezone(zone).date() for slot in found if slot is not None]
        return min([*days, *(one for one in self.days if one > day)], default=None)

    def _leaves_out(self, day: date, zone: ZoneInfo) -> bool:
        return not ExceptOn._leaves_out(self, day, zone)

    def _kind(self) -> str:
        return "only_on"


@explained
def except_on(
    trigger: Trigger,
    *exceptions: date | str | Trigger,
    calendar: str | Iterable[str] = (),
    tz: str | ZoneInfo | None = None,
) -> ExceptOn:
    """Fire as `trigger` does, but not on the days that `exceptions` name.

    An exception is a date (ISO text will do) or a trigger, which takes out every whole day on
    which it fires; `calendar` names calendars, whose days are theirs at the time. Days are
    those of zone `tz`, by default the trigger's own, else that of the settings. Raises
    TriggerError if nothing is left, and on a trigger that follows another zone.
    """
    found = _made(ExceptOn, trigger, exceptions, calendar, tz)
    if not found.calendars and found.next_after(EPOCH) is None:
        raise TriggerError(
            f"trigger {found.text!r:.200}: it never fires; its exceptions take out every "
            "day on which it would, as an exception takes out whole days"
        )
    return found


@explained
def only_on(
    trigger: Trigger,
    *days: date | str | Trigger,
    calendar: str | Iterable[str] = (),
    tz: str | ZoneInfo | None = None,
) -> ExceptOn:
    """Fire as `trigger` does on the days that `except_on` would leave out, and on no others."""
    found = _made(OnlyOn, trigger, days, calendar, tz)
    if not found.calendars and found.next_after(EPOCH) is None:
        raise TriggerError(f"trigger {found.text!r:.200}: it never fires on any of its days")
    return found


def _made(
    kind: type[ExceptOn],
    trigger: Trigger,
    exceptions: Iterable[date | str | Trigger],
    calendar: str | Iterable[str],
    tz: str | ZoneInfo | None,
) -> ExceptOn:
    word = "only_on" if kind is OnlyOn else "except_on"
    require_trigger(word, trigger)
    exceptions = tuple(exceptions)
    named = _names(calendar, word)
    if not exceptions and not named:
        raise TriggerError(f"trigger '{word}': it names no day; add dates, a trigger or a calendar")
    others = tuple(dict.fromkeys(each for each in exceptions if isinstance(each, Trigger)))
    days = frozenset(_date(each) for each in exceptions if not isinstance(each, Trigger))
    name = zone_name(tz or trigger.zone or default_zone())
    for other in others:
        if other.zone not in (None, name):
            raise TriggerError(
                f"trigger '{word}': the exception {other.text!r:.120} follows {other.zone}, but "
                f"the days are those of {name}; give both the same zone"
            )
    return kind(trigger, days, others, name, named)


def _names(calendar: str | Iterable[str], word: str) -> tuple[str, ...]:
    given = calendar.split(",") if isinstance(calendar, str) else calendar
    try:
        return tuple(dict.fromkeys(check_calendar_name(name) for name in given))
    except DeclarationError as error:
        raise TriggerError(f"trigger '{word}': {error}") from error


def _fixed(days: Days, tz: str) -> Iterator[Trigger]:
    """Yield triggers that fire on the days which no list of dates could hold."""
    for month in sorted({month for month, _ in days.yearly}):
        numbers = ",".join(str(day) for m, day in sorted(days.yearly) if m == month)
        yield cron(f"0 0 {numbers} {month} *", tz)
    if days.weekdays:
        names = ",".join(WEEKDAYS[n].upper() for n in sorted(days.weekdays))
        yield cron(f"0 0 * * {names}", tz)


def parse_except_on(arguments: Arguments) -> ExceptOn:
    """Read ``except_on (TRIGGER) DATE... (TRIGGER)... [calendar=NAME,NAME] [tz=ZONE]``."""
    options = arguments.only("calendar", "tz")
    trigger, others = arguments.first()
    return except_on(trigger, *arguments.words, *others, **options)


def parse_only_on(arguments: Arguments) -> ExceptOn:
    """Read ``only_on``, as `parse_except_on`."""
    options = arguments.only("calendar", "tz")
    trigger, others = arguments.first()
    return only_on(trigger, *arguments.words, *others, **options)


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
