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

ORDERED = ("iso", "epoch")
"""The formats whose order is that of time."""

_LAST = 9999_12_31_23_59_59
_BEHIND = "a"  # behind each digit
_ROUNDED = timedelta(seconds=1)  # a fraction of an epoch may be


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


def seconds(name: str, within: Range, highest: int) -> str:
    """Write where seconds since 1970 in a range are. `highest`: the last that is a time."""
    first = max(_second(within.start, -_ROUNDED), 0)
    last = highest if within.end > _LAST else min(_second(within.end, _ROUNDED), highest)
    return f"({name} >= {first} AND {name} <= {last})"


def no_seconds(name: str, highest: int) -> str:
    """Write where numbers that are no time are."""
    return f"({name} IS NULL OR {name} < 0 OR {name} > {highest})"


def ends(cursor: SourceColumn, first: Any, last: Any) -> tuple[int | None, int | None]:
    """Return the first and last position that were found; with the whole days of both, where texts
    with a blank and texts with a T stand each in an order of their own."""
    if first is None or last is None:
        return None, None
    if not cursor.ordered or cursor.family == "instant":
        return int(first), int(last)
    return int(first) // 1_000_000 * 1_000_000, int(last) // 1_000_000 * 1_000_000 + 235959


def _second(at: int, by: timedelta) -> int:
    moment = position.moment(at).replace(tzinfo=UTC)
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC) + by).total_seconds())
