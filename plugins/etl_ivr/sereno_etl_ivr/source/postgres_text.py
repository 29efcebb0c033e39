"""Writes the SQL with which PostgreSQL hands out a page of rows as COPY text: pure."""

from collections.abc import Sequence

import msgspec

from sereno_etl_ivr import position, sargable
from sereno_etl_ivr.layout import Layout, LayoutCell, SourceColumn
from sereno_etl_ivr.page import Range
from sereno_etl_ivr.time_format import PER_SECOND, POSTGRES_HIGHEST, postgres_time

NULL_TEXT = "\\N"
POSITION = slice(33, 47)
"""Where a line of COPY text has its position: behind the hash."""

_LAST = 9999_12_31_23_59_59


def quoted(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


def quoted_table(name: str) -> str:
    """Quote ``table`` or ``schema.table``."""
    return ".".join(map(quoted, name.split(".", 1)))


def name_of(column: SourceColumn) -> str:
    """Write a column's name, or the time that is made of it."""
    return column.reading or quoted(column.name)


def order_of(column: SourceColumn) -> str:
    """Write what an index has in the order of the column's time."""
    return quoted(column.name) if column.ordered else name_of(column)


def as_time(column: SourceColumn, time_format: str) -> SourceColumn:
    """Return a text or a number as a time; an epoch's is UTC's."""
    is_text = column.family != "number"
    reading = f"({postgres_time(quoted(column.name), time_format, is_text=is_text)})"
    return msgspec.structs.replace(
        column,
        family="instant" if time_format in PER_SECOND else "moment",
        reading=reading,
        ordered=sargable.is_ordered(time_format, is_text=is_text),
        per_second=PER_SECOND.get(time_format, 1),
        nullable=True,
    )


def cell(column: SourceColumn) -> str:
    """Write a column's value as text, or NULL."""
    name = name_of(column)
    if column.family == "hex":
        return f"encode({name},'hex')"
    if column.family == "binary":  # text where it is ASCII: what is none has a backslash
        escaped = f"encode({name},'escape')"
        return f"CASE WHEN strpos({escaped},'\\')=0 THEN {escaped} ELSE {name}::text END"
    return f"{name}::text"


def copied(lines: Sequence[bytes]) -> tuple[bytes, set[bytes]]:
    """Return lines as the COPY text that they came from, and their hashes."""
    return b"".join([line + b"\n" for line in lines]), {line[:32] for line in lines}


def content(layout: Layout) -> str:
    """Write the hash of all cells."""
    return f"md5(ROW({','.join(cell(c.source) for c in layout.cells)})::text)"


def position_of(cursor: LayoutCell) -> str:
    """Write the position of a row."""
    name = name_of(cursor.source)
    return f"coalesce(to_char({name},'YYYYMMDDHH24MISS')::bigint,{position.NULL})"


def moment_of(cursor: LayoutCell) -> str:
    """Write the time of a row to the second, as PostgreSQL reads it."""
    return f"to_char({name_of(cursor.source)},'YYYYMMDD\"T\"HH24MISS')"


def day_of(cursor: LayoutCell) -> str:
    """Write the day of a row, as YYYYMMDD."""
    return f"{position_of(cursor)} / 1000000"


def checksum(layout: Layout) -> str:
    """Write a number from a row's hash."""
    return f"('x'||left({content(layout)},12))::bit(48)::bigint"


def where(layout: Layout, within: Range, *, in_order: bool = False) -> str:
    """Write the condition of a range; the cursor stands alone, for its index.

    `in_order`: so that an index gives the rows in the order of time, be they a few more.
    """
    name = name_of(layout.cursor.source)
    if within.is_null:
        condition = f"{name} IS NULL"
    else:
        condition = f"{name} >= '{position.moment(within.start)}'"
        last = "10000-01-01" if within.end > _LAST else position.moment(within.end)
        condition += f" AND {name} < '{last}'"
    cursor = layout.cursor.source
    condition += sargable.within_index(
        cursor, quoted(cursor.name), within, POSTGRES_HIGHEST, joined=in_order
    )
    if within.parts > 1:
        keys = layout.key or layout.cells
        row = f"ROW({','.join(cell(c.source) for c in keys)})::text"
        # Eight hex digits of the hash, as a number of 0 or more.
        number = f"('x'||left(md5({row}),8))::bit(32)::bigint"
        condition += f" AND {number} % {within.parts} = {within.part}"
    return condition


def some_time(cursor: LayoutCell) -> str:
    """Write where rows with a time are, for an index of the text or the number."""
    return sargable.some_time(cursor.source, quoted(cursor.source.name), POSTGRES_HIGHEST)


def no_time(cursor: LayoutCell) -> str:
    """Write where rows without a time may be, for an index of a number."""
    return sargable.no_time(cursor.source, quoted(cursor.source.name), POSTGRES_HIGHEST)
