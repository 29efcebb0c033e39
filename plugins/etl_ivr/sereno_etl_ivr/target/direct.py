"""Decides which pages go into the target as they are, without a staging table: pure.

Such a page meets nothing that it could be compared with, all of its rows have one offset from UTC,
and each cell has a column. COPY then needs the offset behind each row's time, and what is the same
in all rows.
"""

from datetime import timedelta
from zoneinfo import ZoneInfo

from sereno_etl_ivr import position
from sereno_etl_ivr.layout import Layout
from sereno_etl_ivr.page import DELIMITER, Range
from sereno_etl_ivr.shifts import shifts

_LONGEST = timedelta(days=1000)


def is_direct(layout: Layout, within: Range, zone: ZoneInfo) -> bool:
    """Tell whether rows that all differ may be copied into a range that is empty yet."""
    if layout.extras or layout.cursor.source.fine:
        return False
    if within.is_null or within.start < position.OLDEST:
        return False
    start, end = position.moment(within.start), position.moment(within.end)
    return end - start <= _LONGEST and not shifts(zone, start, end)


def columns(layout: Layout) -> list[str]:
    """Return the target's columns in the order of the text."""
    names = [cell.name for cell in layout.cells]
    return ["content", "position", *names, layout.table.instant, "source", "ordinal"]


def ending(source: str, zone: ZoneInfo, within: Range) -> bytes:
    """Return what stands behind the time of each row, with the end of its line."""
    offset = position.moment(within.start).replace(tzinfo=zone).utcoffset() or timedelta(0)
    sign, seconds = "-" if offset < timedelta(0) else "+", abs(offset) // timedelta(seconds=1)
    written = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    for plain, coded in (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), (DELIMITER, "\\x1f")):
        source = source.replace(plain, coded)
    return f"{written}{DELIMITER}{source}{DELIMITER}1\n".encode()
