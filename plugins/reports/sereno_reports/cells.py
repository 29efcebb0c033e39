"""Reads what PostgreSQL can hold and Python cannot, and writes cells as a report keeps them."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec

_EPOCH = date(2000, 1, 1)
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097
"""The calendar repeats itself."""

_MICROSECOND = timedelta(microseconds=1)
_DAY_US = timedelta(days=1) // _MICROSECOND
_MONTH_DAYS = 30  # of an interval, as PostgreSQL counts it in seconds
_ENDLESS = {
    2**63 - 1: "infinity",
    -(2**63): "-infinity",
    2**31 - 1: "infinity",
    -(2**31): "-infinity",
}


async def read_any_time(connection: Any) -> None:
    """Have `connection` read dates and instants of any year, and intervals as seconds.

    What Python has no place for comes as text: one cell would cost the whole report.
    """
    for name, decoder, encoder in (
        ("date", _date, lambda day: ((day - _EPOCH).days,)),
        ("timestamp", _moment(""), lambda at: (_since(at, None),)),
        ("timestamptz", _moment("+00:00"), lambda at: (_since(at.astimezone(UTC), UTC),)),
        ("interval", _seconds, _parts),
    ):
        await connection.set_type_codec(
            name, schema="pg_catalog", format="tuple", decoder=decoder, encoder=encoder
        )


def kept_cell(cell: Any) -> Any:
    """Return `cell` as what JSON keeps."""
    if isinstance(cell, Decimal):
        cell = float(cell)
    if isinstance(cell, float):
        if cell != cell or cell in (float("inf"), float("-inf")):
            return None
        return int(cell) if cell.is_integer() else round(cell, 4)
    if cell is None or isinstance(cell, bool | int | str):
        return cell
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).isoformat() if cell.tzinfo else cell.isoformat()
    if isinstance(cell, bytes):
        return f"\\x{cell.hex()}"
    if isinstance(cell, list | dict):
        return msgspec.json.encode(cell, enc_hook=kept_cell).decode()
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def _date(parts: tuple[int]) -> date | str:
    if parts[0] in _ENDLESS:
        return _ENDLESS[parts[0]]
    cycles, day = _in_calendar(parts[0])
    return _far(cycles, day.isoformat()) if cycles else day


def _moment(offset: str) -> Callable[[tuple[int]], datetime | str]:
    def read(parts: tuple[int]) -> datetime | str:
        if parts[0] in _ENDLESS:
            return _ENDLESS[parts[0]]
        days, us = divmod(parts[0], _DAY_US)
        cycles, day = _in_calendar(days)
        at = datetime.combine(day, time()) + us * _MICROSECOND
        if cycles:
            return _far(cycles, at.isoformat()) + offset
        return at.replace(tzinfo=UTC) if offset else at

    return read


def _in_calendar(days: int) -> tuple[int, date]:
    """Return a day since 2000, and how many cycles it was moved into the years 1 to 9999."""
    last = (date.max - _EPOCH).days
    first = (date.min - _EPOCH).days
    if first <= days <= last:
        return 0, _EPOCH + timedelta(days=days)
    cycles = (days - first) // _CYCLE_DAYS
    return cycles, _EPOCH + timedelta(days=days - cycles * _CYCLE_DAYS)


def _far(cycles: int, text: str) -> str:
    """Return an ISO text of a year that Python's calendar has not; 0 is the year 1 BC."""
    year, rest = text.split("-", 1)
    return f"{int(year) + cycles * _CYCLE_YEARS:05}-{rest}"


def _since(at: datetime, tz: Any) -> int:
    return (at - datetime(2000, 1, 1, tzinfo=tz)) // _MICROSECOND


def _seconds(parts: tuple[int, int, int]) -> float:
    months, days, us = parts
    return (months * _MONTH_DAYS + days) * 86_400 + us / 1_000_000


def _parts(value: timedelta) -> tuple[int, int, int]:
    return (0, value.days, value.seconds * 1_000_000 + value.microseconds)
