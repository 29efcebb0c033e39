"""A business day: from midnight to midnight on the business's clock, 23 or 25 hours at times."""

from collections import Counter
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from sereno_reports.settings import WEEK

HOUR = timedelta(hours=1)


class BusinessDay(msgspec.Struct, frozen=True):
    """`date` on the wall clock of `zone`."""

    date: date
    zone: str

    @property
    def start(self) -> datetime:
        """Return the first instant, in UTC."""
        return _midnight(self.date, self.zone)

    @property
    def end(self) -> datetime:
        """Return the first instant of the following day, in UTC."""
        return _midnight(self.date + timedelta(days=1), self.zone)

    @property
    def hours(self) -> list[tuple[datetime, str]]:
        """Return each hour's start in UTC and its label, ``02:00 CEST`` where one repeats."""
        starts = []
        at = self.start
        while at < self.end:
            starts.append(at)
            at += HOUR
        local = [start.astimezone(ZoneInfo(self.zone)) for start in starts]
        seen = Counter(f"{here:%H:%M}" for here in local)
        return [
            (start, f"{here:%H:%M %Z}" if seen[f"{here:%H:%M}"] > 1 else f"{here:%H:%M}")
            for start, here in zip(starts, local, strict=True)
        ]


def previous_day(at: datetime, zone: str, business_days: Collection[str] = WEEK) -> BusinessDay:
    """Return the last business day that was over at `at`."""
    found = at.astimezone(ZoneInfo(zone)).date() - timedelta(days=1)
    while not is_reported(found, business_days):
        found -= timedelta(days=1)
    return BusinessDay(found, zone)


def is_reported(day: date, business_days: Collection[str]) -> bool:
    """Tell whether `day` is one of `business_days`."""
    return WEEK[day.weekday()] in business_days


def day_at(at: datetime, zone: str) -> BusinessDay:
    """Return the day that `at` belongs to."""
    return BusinessDay(at.astimezone(ZoneInfo(zone)).date(), zone)


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
