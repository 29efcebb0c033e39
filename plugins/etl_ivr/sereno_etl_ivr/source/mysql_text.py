"""Writes the SQL with which MariaDB and MySQL join a page of rows into one value: pure.

aiomysql parses rows in Python, some 30,000 a second. So the server joins the cells of each row, and
the rows of a page, into one value, with separators that are control characters; `mysql_copy` makes
COPY text of it. A separator inside a cell makes one cell or row too many; a NULL is written as a
control character, and the server counts the NULLs, so that such a character in a cell is noticed.
In each case the page is read again cell by cell. Where no column may be NULL nothing is counted.
"""

from collections.abc import Iterable

import msgspec

from sereno_etl_ivr import position, sargable
from sereno_etl_ivr.layout import Layout, LayoutCell, SourceColumn
from sereno_etl_ivr.page import GIANT, LONGEST_CELL, Range
from sereno_etl_ivr.time_format import MYSQL_HIGHEST, PER_SECOND, mysql_time

_NULL = "x'1a'"
_DELIMITER = "x'1f'"
_LAST = 9999_12_31_23_59_59
_LONG = {"mediumtext", "longtext", "mediumblob", "longblob", "json"}
_AS_THEY_ARE = {"number", "moment", "instant"}
_UTF8 = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext"}


def quoted(name: str) -> str:
    """Quote an identifier."""
    return f"`{name.replace('`', '``')}`"


def quoted_table(name: str) -> str:
    """Quote ``table`` or ``database.table``."""
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
    reading = mysql_time(quoted(column.name), time_format, is_text=is_text)
    return msgspec.structs.replace(
        column,
        family="instant" if time_format in PER_SECOND else "moment",
        reading=reading,
        ordered=sargable.is_ordered(time_format, is_text=is_text),
        per_second=PER_SECOND.get(time_format, 1),
        nullable=True,
        fine=True,
    )


def cell(column: SourceColumn) -> str:
    """Write a column's value as UTF-8 bytes, or NULL."""
    name = name_of(column)
    if column.family == "text":
        return f"CAST({name if column.unicode else f'CONVERT({name} USING utf8mb4)'} AS BINARY)"
    if column.family == "hex":
        return f"HEX({name})"
    if column.family == "binary":
        return _text_or_hex(name)
    if column.family == "bits":
        return f"CAST({name}+0 AS BINARY)"
    if column.family == "shape":
        return f"CAST(ST_AsText({name}) AS BINARY)"
    if column.family == "other":
        return f"CAST(CONVERT(CAST({name} AS CHAR) USING utf8mb4) AS BINARY)"
    return f"CAST({name} AS BINARY)"


def _text_or_hex(name: str) -> str:
    """Write bytes as the text that they are, or as \\x and their digits where they are none.

    Text is UTF-8 without what PostgreSQL cannot hold, and without what stands between cells.
    """
    again = f"CAST(CONVERT({name} USING utf8mb4) AS BINARY)"
    controls = "+".join(f"LOCATE(x'{sign}',{name})" for sign in ("00", "1a", "1e", "1f"))
    is_text = f"IFNULL({again}={name} AND OCTET_LENGTH({again})=OCTET_LENGTH({name}),0)"
    return f"IF({is_text} AND {controls}=0,{again},CONCAT(x'5c78',HEX({name})))"


def position_of(cursor: LayoutCell) -> str:
    """Write the position of a row."""
    number = f"({name_of(cursor.source)}+0)"
    if cursor.source.fine:
        number = f"TRUNCATE({number},0)"
    return f"IFNULL({number},{position.NULL})" if cursor.source.nullable else number


def line(layout: Layout) -> str:
    """Write one row: its position and its cells, with their separator between them."""
    return f"CONCAT_WS({_DELIMITER},{position_of(layout.cursor)},{_cells(layout.cells)})"


def day_of(cursor: LayoutCell) -> str:
    """Write the day of a row, as YYYYMMDD."""
    return f"{position_of(cursor)} DIV 1000000"


def checksum(layout: Layout) -> str:
    """Write a number from a row's hash, the one that `mysql_copy.content` gives its line."""
    escaped = line(layout)
    for plain, coded in (("5c", "5c5c"), ("0a", "5c6e"), ("0d", "5c72")):
        escaped = f"REPLACE({escaped},x'{plain}',x'{coded}')"
    return f"CAST(CONV(LEFT(MD5({escaped}),12),16,10) AS UNSIGNED)"


def single_cell(column: SourceColumn) -> str:
    """Write a column's value as `cell` does; of a giant only a sign, its size and its beginning."""
    value = cell(column)
    if column.type not in _LONG:
        return value
    size = f"OCTET_LENGTH({quoted(column.name)})"
    short = f"CONCAT('{GIANT}',{size},' bytes',x'00',LEFT({value},200))"
    return f"IF({size}>{LONGEST_CELL},{short},{value})"


def null_count(layout: Layout) -> str:
    """Write the number of NULLs in the rows of a group; NULL where there can be none."""
    names = (name_of(c.source) for c in layout.cells if c.source.nullable)
    nulls = "+".join(f"({name} IS NULL)" for name in names)
    return f"IFNULL(SUM({nulls}),0)" if nulls else "NULL"


def where(layout: Layout, within: Range) -> str:
    """Write the condition of a range; the cursor stands alone, for its index."""
    name = name_of(layout.cursor.source)
    if within.is_null:
        condition = f"{name} IS NULL"
    else:
        condition = f"{name} >= '{position.text(within.start)}'"
        if within.end <= _LAST:
            condition += f" AND {name} < '{position.text(within.end)}'"
    cursor = layout.cursor.source
    condition += sargable.within_index(cursor, quoted(cursor.name), within, MYSQL_HIGHEST)
    if within.parts > 1:
        condition += f" AND CRC32({_part_key(layout)}) % {within.parts} = {within.part}"
    return condition


def _cells(cells: Iterable[LayoutCell]) -> str:
    return ",".join(
        f"IFNULL({_joined(c.source)},{_NULL})" if c.source.nullable else _joined(c.source)
        for c in cells
    )


def _joined(column: SourceColumn) -> str:
    """Write a column as a part of a joined value: the separator makes UTF-8 bytes of the whole."""
    plain = column.family in _AS_THEY_ARE or (column.type in _UTF8 and column.unicode)
    return name_of(column) if plain else cell(column)


def _part_key(layout: Layout) -> str:
    return f"CONCAT_WS({_DELIMITER},{_cells(layout.key or layout.cells)})"


def some_time(cursor: LayoutCell) -> str:
    """Write where rows with a time are, for an index of the text or the number."""
    return sargable.some_time(cursor.source, quoted(cursor.source.name), MYSQL_HIGHEST)


def no_time(cursor: LayoutCell) -> str:
    """Write where rows without a time may be, for an index of a number."""
    return sargable.no_time(cursor.source, quoted(cursor.source.name), MYSQL_HIGHEST)
