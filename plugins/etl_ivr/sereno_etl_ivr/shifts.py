"""Finds the local times that a zone's clock repeats or skips: pure, over zoneinfo."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

LONGEST = timedelta(hours=24)
"""The furthest that a zone has ever put its clock: Samoa skipped a day in 2011."""

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


class Shift(msgspec.Struct, frozen=True):
    """Local times in [start, end) occur twice (`before` > `after`) or never.

    `before`, `after`: the offsets from UTC on the two sides.
    """

    start: datetime
    end: datetime
    before: timedelta
    after: timedelta


def shifts(zone: ZoneInfo, start: datetime, end: datetime) -> list[Shift]:
    """Return the shifts that touch the local times in [start, end]; both are naive."""
    found = []
    at = _in_utc(start) - LONGEST
    stop = _in_utc(end) + LONGEST
    while at < stop:
        then = min(at + _DAY, stop)
        if _offset(zone, at) != _offset(zone, then):
            shift = _shift(zone, at, then)
            if shift.start <= end and start < shift.end:
                found.append(shift)
        at = then
    return found


def furthest_back(zone: ZoneInfo, around: datetime) -> timedelta:
    """Return by how much the clock went back within a day of the naive local time `around`."""
    backs = [s.before - s.after for s in shifts(zone, around - _DAY, around + _DAY)]
    return max([timedelta(0), *backs])


def _shift(zone: ZoneInfo, low: datetime, high: datetime) -> Shift:
    before, after = _offset(zone, low), _offset(zone, high)
    while high - low > _SECOND:
        middle = low + (high - low) / 2
        if _offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    change = high.replace(microsecond=0, tzinfo=None)
    start, end = sorted((change + before, change + after))
    return Shift(start, end, before, after)


def _in_utc(moment: datetime) -> datetime:
    """Read a naive local time as if it were UTC: good to a day, and never past the calendar."""
    low, high = datetime(1, 1, 4, tzinfo=UTC), datetime(9999, 12, 28, tzinfo=UTC)
    return min(max(moment.replace(tzinfo=UTC), low), high)


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta(0)
