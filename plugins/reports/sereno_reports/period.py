"""What a report is about: a day, a week or a month on the business's clock, from midnight on."""

from collections import Counter
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from sereno_reports.settings import WEEK

Kind = Literal["day", "week", "month"]
Step = Literal["half_hour", "hour", "day"]
_STEPS = {"half_hour": timedelta(minutes=30), "hour": timedelta(hours=1)}


class Period(msgspec.Struct, frozen=True):
    """A whole day, ISO week or month; `first`: its first day in `zone`."""

    kind: Kind
    first: date
    zone: str

    @property
    def after(self) -> date:
        """Return the day after the last."""
        if self.kind == "day":
            return self.first + timedelta(days=1)
        if self.kind == "week":
            return self.first + timedelta(weeks=1)
        return _month(self.first, 1)

    @property
    def last(self) -> date:
        """Return the last day."""
        return self.after - timedelta(days=1)

    @property
    def start(self) -> datetime:
        """Return the first instant, in UTC."""
        return _midnight(self.first, self.zone)

    @property
    def end(self) -> datetime:
        """Return the first instant after it, in UTC."""
        return _midnight(self.after, self.zone)

    def earlier(self, count: int) -> list["Period"]:
        """Return the periods to compare with, the nearest first: of a day, the same weekdays."""
        if self.kind == "month":
            firsts = [_month(self.first, -back) for back in range(1, count + 1)]
        else:
            firsts = [self.first - timedelta(weeks=back) for back in range(1, count + 1)]
        return [Period(self.kind, first, self.zone) for first in firsts]

    def buckets(self, step: Step) -> list[tuple[datetime, str]]:
        """Return where each step of the clock begins, in UTC, and its label.

        Steps end where the clock's hour does, whatever the clock does meanwhile; those that show
        the same on the clock twice are told apart by the zone's abbreviation.
        """
        if step == "day":
            days = (self.after - self.first).days
            every = [self.first + timedelta(days=n) for n in range(days)]
            return [(_midnight(day, self.zone), day.isoformat()) for day in every]
        return _clock(self.start, self.end, ZoneInfo(self.zone), _STEPS[step])


def containing(kind: Kind, day: date, zone: str) -> Period:
    """Return the period that `day` belongs to."""
    if kind == "week":
        day -= timedelta(days=day.weekday())
    elif kind == "month":
        day = day.replace(day=1)
    return Period(kind, day, zone)


def at_instant(kind: Kind, at: datetime, zone: str) -> Period:
    """Return the period that `at` belongs to."""
    return containing(kind, at.astimezone(ZoneInfo(zone)).date(), zone)


def previous(kind: Kind, at: datetime, zone: str, business_days: Collection[str] = WEEK) -> Period:
    """Return the last period that was over at `at`: of days, the last business day."""
    last = at_instant(kind, at, zone).first - timedelta(days=1)
    while kind == "day" and not is_reported(last, business_days):
        last -= timedelta(days=1)
    return containing(kind, last, zone)


def is_reported(day: date, business_days: Collection[str]) -> bool:
    """Tell whether `day` is one of `business_days`."""
    return WEEK[day.weekday()] in business_days


def _clock(
    start: datetime, end: datetime, zone: ZoneInfo, step: timedelta
) -> list[tuple[datetime, str]]:
    found: list[tuple[datetime, datetime]] = []  # where it begins, and what the clock shows
    at = start
    while at < end:
        local = at.astimezone(zone)
        wall = datetime.combine(local, time())
        shown = wall + (local.replace(tzinfo=None) - wall) // step * step
        found.append((at, shown))
        at = _changed(at, at + (shown + step - local.replace(tzinfo=None)), zone)
    seen = Counter(f"{shown:%H:%M}" for _, shown in found)
    return [
        (
            at,
            f"{shown:%H:%M}" + (f" {at.astimezone(zone):%Z}" if seen[f"{shown:%H:%M}"] > 1 else ""),
        )
        for at, shown in found
    ]


def _changed(at: datetime, until: datetime, zone: ZoneInfo) -> datetime:
    """Return when the clock is changed between `at` and `until`; `until` when it is not."""
    offset = at.astimezone(zone).utcoffset()
    if until.astimezone(zone).utcoffset() == offset:
        return until
    step = timedelta(minutes=1)
    while at < until and at.astimezone(zone).utcoffset() == offset:
        at += step
    return at


def _month(first: date, months: int) -> date:
    years, month = divmod(first.month - 1 + months, 12)
    return date(first.year + years, month + 1, 1)


def _midnight(day: date, zone: str) -> datetime:
    """Return when `day` begins: at 01:00 where the clock skips midnight."""
    local = datetime.combine(day, time(), ZoneInfo(zone))
    found = local.astimezone(UTC)
    if found.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local.replace(tzinfo=None):
        return found
    before = local.replace(fold=1).astimezone(UTC)  # the two readings of a gap lie around it
    return _first_of(day, min(found, before), ZoneInfo(zone))


def _first_of(day: date, at: datetime, zone: ZoneInfo) -> datetime:
    step = timedelta(minutes=1)
    while at.astimezone(zone).date() < day:
        at += step
    return at
