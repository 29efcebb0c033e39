"""Decides which part of an index holds the rows whose text or number is a time in a range: pure.

The time that is made of a column has no index; the column itself may have one. Digits come in one
order in every collation, and before all letters, so texts as 2026-03-01 10:00:00.25 are in the
order of time: those with a blank among themselves, and those with a T. What is found so is looked
at again as a time: it may be too much, never too little.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sereno_etl_ivr import position
from sereno_etl_ivr.layout import SourceColumn
from sereno_etl_ivr.page import Range
from sereno_etl_ivr.time_format import PER_SECOND

_LAST = 9999_12_31_23_59_59
_BEHIND = "a"  # behind each digit
_ROUNDED = timedelta(seconds=1)  # a fraction of an epoch may be


def is_ordered(time_format: str, *, is_text: bool) -> bool:
    """Tell whether texts or numbers of a format are in the order of time."""
    return time_format == "iso" if is_text else time_format in PER_SECOND


def within_index(
    cursor: SourceColumn, name: str, within: Range, highest: int, *, joined: bool = False
) -> str:
    """Write which part of the index of `cursor` may hold a range, as ``AND ...``.

    `name`: of the column, quoted. `highest`: the last second since 1970 that is a time there.
    """
    if not cursor.ordered:
        return ""
    if _is_epoch(cursor):
        if within.is_null:
            return f" AND {no_time(cursor, name, highest)}"
        return f" AND {seconds(name, within, highest, cursor.per_second)}"
    return "" if within.is_null else f" AND {texts(name, within, joined=joined)}"


def some_time(cursor: SourceColumn, name: str, highest: int) -> str:
    """Write where rows with a time are, for an index of the text or the number."""
    if not cursor.ordered:
        return "true"
    if _is_epoch(cursor):
        return f"({name} >= 0 AND {name} <= {highest * cursor.per_second})"
    return digits(name)


def no_time(cursor: SourceColumn, name: str, highest: int) -> str:
    """Write where rows without a time may be, for an index of a number."""
    if not (cursor.ordered and _is_epoch(cursor)):
        return "true"
    return f"({name} IS NULL OR {name} < 0 OR {name} > {highest * cursor.per_second})"


def texts(name: str, within: Range, *, joined: bool = False) -> str:
    """Write where texts in a range are; `joined`: in one piece, which is in the column's order."""
    start, end = position.text(within.start), position.text(within.end)
    bounds = [(start, end), (start.replace(" ", "T"), end.replace(" ", "T"))]
    if within.end > _LAST:
        bounds = [(start, _BEHIND)]
    elif joined:
        bounds = [(bounds[0][0], bounds[1][1])]
    pieces = [f"({name} >= '{first}' AND {name} < '{last}')" for first, last in bounds]
    return f"({' OR '.join(pieces)})"


def digits(name: str) -> str:
    """Write where texts that begin with a digit are: others are no time."""
    return f"({name} >= '0' AND {name} < '{_BEHIND}')"


def seconds(name: str, within: Range, highest: int, many: int) -> str:
    """Write where times since 1970 in a range are. `highest`: the last second that is a time;
    `many`: how many there are of what is counted in a second."""
    first = max(_second(within.start, -_ROUNDED), 0)
    last = highest if within.end > _LAST else min(_second(within.end, _ROUNDED), highest)
    return f"({name} >= {first * many} AND {name} <= {last * many})"


def ends(cursor: SourceColumn, first: Any, last: Any) -> tuple[int | None, int | None]:
    """Return the first and last position that were found; with the whole days of both, where texts
    with a blank and texts with a T stand each in an order of their own."""
    if first is None or last is None:
        return None, None
    if not cursor.ordered or cursor.family == "instant":
        return int(first), int(last)
    return int(first) // 1_000_000 * 1_000_000, int(last) // 1_000_000 * 1_000_000 + 235959


def _is_epoch(cursor: SourceColumn) -> bool:
    return cursor.family == "instant"


def _second(at: int, by: timedelta) -> int:
    moment = position.moment(at).replace(tzinfo=UTC)
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC) + by).total_seconds())
