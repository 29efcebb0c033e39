"""Cron by brute force: what a daemon does that looks at the clock once a minute, for two years.

Shares nothing with the code under test: expressions come with the values that they mean, and the
clock's changes are found by asking a zone for its offset hour by hour.
"""

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
DAY = 1440
MATCH = re.compile(rb"\x01")
MARGIN = 3 * DAY  # of wall time around the two years

# Each with the two years in which its clock does something worth seeing.
ZONES = {
    "UTC": 2025,
    "Europe/Madrid": 2025,
    "Europe/London": 2025,
    "Europe/Dublin": 2025,  # winter time is the negative DST
    "America/New_York": 2025,
    "America/Los_Angeles": 2025,
    "America/St_Johns": 2010,  # changed at 00:01
    "America/Havana": 2025,  # midnight
    "America/Santiago": 2025,  # midnight
    "America/Asuncion": 2023,  # midnight
    "America/Sao_Paulo": 2017,  # midnight
    "Africa/Cairo": 2023,  # midnight
    "Africa/Casablanca": 2025,  # Ramadan
    "Asia/Tehran": 2021,  # midnight
    "Asia/Kolkata": 2025,
    "Asia/Beirut": 2025,  # midnight
    "Australia/Lord_Howe": 2025,  # half an hour
    "Pacific/Chatham": 2025,  # 02:45
    "Pacific/Apia": 2010,  # 30 December 2011 did not take place
    "Antarctica/Troll": 2025,  # two hours
    "Asia/Pyongyang": 2014,  # half an hour for good, once each way from 2015 to 2018
}


@dataclass(frozen=True)
class Fields:
    """An expression as text and as the values that it means."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    month_days: frozenset[int]
    months: frozenset[int]
    week_days: frozenset[int]  # 0 is Sunday

    @property
    def follows_real_time(self) -> bool:
        minute, hour, *_ = self.text.split()
        return minute.startswith("*") or hour.startswith("*")

    def on(self, day: date) -> bool:
        _, _, month_day, _, week_day = self.text.split()
        by_month, by_week = day.day in self.month_days, day.isoweekday() % 7 in self.week_days
        if month_day.startswith("*") or week_day.startswith("*"):
            return day.month in self.months and by_month and by_week
        return day.month in self.months and (by_month or by_week)


@dataclass(frozen=True)
class Clock:
    """The two years of one zone, in minutes since `begin`: (from, to, offset) of each stretch."""

    begin: datetime
    stretches: tuple[tuple[int, int, int], ...]

    @property
    def changes(self) -> tuple[datetime, ...]:
        return tuple(self.begin + MINUTE * start for start, _, _ in self.stretches[1:])

    @property
    def end(self) -> datetime:
        return self.begin + MINUTE * self.stretches[-1][1]


@lru_cache
def clock(name: str) -> Clock:
    zone = ZoneInfo(name)
    begin = datetime(ZONES[name], 1, 1, tzinfo=UTC)
    last = (datetime(ZONES[name] + 2, 1, 3, tzinfo=UTC) - begin) // MINUTE

    def offset(minute: int) -> int:
        shift = (begin + MINUTE * minute).astimezone(zone).utcoffset()
        assert shift is not None
        assert shift % MINUTE == timedelta(0)
        return shift // MINUTE

    starts = [0]
    for low, high in pairwise(range(0, last + 1, 60)):
        if offset(low) != offset(high):
            starts.append(next(m for m in range(low, high + 1) if offset(m) == offset(high)))
    ends = [*starts[1:], last]
    return Clock(begin, tuple((a, b, offset(a)) for a, b in zip(starts, ends, strict=True)))


@dataclass(frozen=True)
class Walk:
    """What a walk found: minutes since `begin`, in order."""

    begin: datetime
    minutes: list[int]

    def first_after(self, instant: datetime) -> datetime | None:
        at = bisect_right(self.minutes, (instant - self.begin) // MINUTE)
        return self.begin + MINUTE * self.minutes[at] if at < len(self.minutes) else None

    def between(self, after: datetime, until: datetime) -> list[datetime]:
        low = bisect_right(self.minutes, (after - self.begin) // MINUTE)
        high = bisect_right(self.minutes, (until - self.begin) // MINUTE)
        return [self.begin + MINUTE * minute for minute in self.minutes[low:high]]


@lru_cache(maxsize=64)
def walk(fields: Fields, zone: str, gap: str = "debian", fold: str = "debian") -> Walk:
    """Walk through each minute of the zone's two years and note those at which it is time."""
    if fold == "debian":
        fold = "both" if fields.follows_real_time else "first"
    times = clock(zone)
    wall = _wall(fields, zone)  # one byte a minute, MARGIN before `begin`
    found: list[int] = []
    before = times.stretches[0][2]
    for (start, _, offset), every in zip(times.stretches, _matching(fields, zone), strict=True):
        low, matching = start + offset + MARGIN, every.copy()
        skipped, repeated = offset - before, before - offset
        if repeated > 0 and fold == "first":
            del matching[: bisect_left(matching, start + repeated)]
        if repeated > 0 and fold == "last":
            del found[bisect_left(found, start - repeated) :]
        if skipped > 0 and any(wall[low - skipped : low]) and matching[:1] != [start]:
            small = skipped <= 180 and not fields.follows_real_time
            if gap == "run" or (gap == "debian" and small):
                found.append(start)
        found += matching
        before = offset
    return Walk(times.begin, found)


@lru_cache(maxsize=16)
def _matching(fields: Fields, zone: str) -> list[list[int]]:
    """Return for each stretch the minutes that match, whatever is done about changes."""
    wall = _wall(fields, zone)
    return [
        [found.start() + start for found in MATCH.finditer(wall[low : low + end - start])]
        for start, end, offset in clock(zone).stretches
        for low in [start + offset + MARGIN]
    ]


@lru_cache(maxsize=16)
def _wall(fields: Fields, zone: str) -> bytes:
    times = clock(zone)
    minutes = {hour * 60 + minute for hour in fields.hours for minute in fields.minutes}
    match = bytes(minute in minutes for minute in range(DAY))
    first = (times.begin - MARGIN * MINUTE).date()
    days = (times.end - times.begin) // timedelta(days=1) + 2 * MARGIN // DAY
    dates = (first + timedelta(days=n) for n in range(days))
    return b"".join(match if fields.on(day) else bytes(DAY) for day in dates)
