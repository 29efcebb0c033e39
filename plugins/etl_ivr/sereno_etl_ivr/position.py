# ruff: noqa: DTZ001 - the local times of a source have no zone yet
"""Decides how a local date and time of a source is counted: as the number YYYYMMDDHHMMSS.

Such a position orders every value that MySQL may hold, `0000-00-00`, `2026-00-10` and `2026-02-31`
included, at whole seconds. Fractions stay with their second.
"""

import calendar
from datetime import datetime, timedelta

NULL = -(2**63)
"""The position of rows whose cursor is NULL: before all others."""

OLDEST = 1990_01_01_00_00_00
"""Rows before it (zero dates, 1970 after a power cut) are no part of the flow of time."""

_ONE_SECOND = timedelta(seconds=1)


def position(moment: datetime) -> int:
    """Return the position of a naive local time; its fraction of a second is dropped."""
    return int(f"{moment:%Y%m%d%H%M%S}".rjust(14, "0"))


def successor(at: int) -> int:
    """Return the position right after `at`.

    Days run from 0 to 31 and months from 0 to 12 in any year, so that no value lies between.
    """
    year, month, day, hour, minute, second = _parts(at)
    second += 1
    minute, second = minute + second // 60, second % 60
    hour, minute = hour + minute // 60, minute % 60
    day, hour = day + hour // 24, hour % 24
    month, day = month + day // 32, day % 32
    year, month = year + month // 13, month % 13
    return _joined(year, month, day, hour, minute, second)


def text(at: int) -> str:
    """Write `at` as MySQL writes and reads it, impossible dates included."""
    year, month, day, hour, minute, second = _parts(at)
    return f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"


def moment(at: int) -> datetime:
    """Return the first real local time that is not before `at`, within the calendar."""
    year, month, day, hour, minute, second = _parts(at)
    if year < 1:
        return datetime(1, 1, 1)
    if year > 9999:
        return datetime(9999, 12, 31, 23, 59, 59)
    if month == 0:
        return datetime(year, 1, 1)
    if day == 0:
        return datetime(year, month, 1)
    last = calendar.monthrange(year, month)[1]
    if day > last:
        end = datetime(year, month, last, 23, 59, 59)
        return end if end.year == 9999 and month == 12 else end + _ONE_SECOND
    return datetime(year, month, day, hour, minute, second)


def earlier(at: int, by: timedelta) -> int:
    """Return the position that lies `by` before `at` on the wall clock, not before `OLDEST`."""
    try:
        return max(position(moment(at) - by), OLDEST)
    except OverflowError:
        return OLDEST


def _parts(at: int) -> tuple[int, int, int, int, int, int]:
    rest, second = divmod(at, 100)
    rest, minute = divmod(rest, 100)
    rest, hour = divmod(rest, 100)
    rest, day = divmod(rest, 100)
    year, month = divmod(rest, 100)
    return year, month, day, hour, minute, second


def _joined(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    return ((((year * 100 + month) * 100 + day) * 100 + hour) * 100 + minute) * 100 + second
