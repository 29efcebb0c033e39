"""Writes the SQL with which MariaDB and MySQL format a page of rows as COPY text: pure.

aiomysql parses rows in Python, some 30,000 a second. So the server joins the cells of each row, and
the rows of a page, into one value: cells with the unit separator between them, and in each joined
row the backslashes and line ends escaped, which costs three calls a row instead of three a cell. A
separator inside a cell makes one cell too many, which COPY refuses; a NULL is written as a control
character, and the server counts them, so that such a character in a cell is noticed. In both cases
the page is read again cell by cell.
"""

from sereno_etl_ivr import position
from sereno_etl_ivr.layout import Layout, LayoutCell, SourceColumn
from sereno_etl_ivr.page import Range

NULL_TEXT = "\x1a"
_NULL = "x'1a'"
_DELIMITER = "x'1f'"
_LAST = 9999_12_31_23_59_59


def quoted(name: str) -> str:
    """Quote an identifier."""
    return f"`{name.replace('`', '``')}`"


def quoted_table(name: str) -> str:
    """Quote ``table`` or ``database.table``."""
    return ".".join(map(quoted, name.split(".", 1)))


def cell(column: SourceColumn) -> str:
    """Write a column's value as UTF-8 bytes, or NULL."""
    name = quoted(column.name)
    if column.family == "text":
        return f"CAST({name if column.unicode else f'CONVERT({name} USING utf8mb4)'} AS BINARY)"
    if column.family == "binary":
        return f"CONCAT(x'5c78',HEX({name}))"
    if column.family == "bits":
        return f"CAST({name}+0 AS BINARY)"
    return f"CAST({name} AS BINARY)"


def content(layout: Layout) -> str:
    """Write the hash of all cells. NULLs are counted into it, to tell them from their sign."""
    nulls = _nulls(layout)
    joined = _joined(layout)
    return f"MD5({joined if nulls == '0' else f'CONCAT_WS({_DELIMITER},{joined},{nulls})'})"


def position_of(cursor: LayoutCell) -> str:
    """Write the position of a row."""
    name = quoted(cursor.source.name)
    return f"IFNULL(CAST(TRUNCATE({name}+0,0) AS BINARY),'{position.NULL}')"


def line(layout: Layout) -> str:
    """Write one row as a line of COPY text, without its end."""
    escaped = _joined(layout)
    for plain, coded in (("5c", "5c5c"), ("0a", "5c6e"), ("0d", "5c72")):
        escaped = f"REPLACE({escaped},x'{plain}',x'{coded}')"
    parts = (content(layout), position_of(layout.cursor), escaped)
    return f"CONCAT_WS({_DELIMITER},{','.join(parts)})"


def null_count(layout: Layout) -> str:
    """Write the number of NULLs in the rows of a group."""
    nulls = _nulls(layout)
    return "0" if nulls == "0" else f"SUM({nulls})"


def where(layout: Layout, within: Range) -> str:
    """Write the condition of a range; the cursor stands alone, for its index."""
    name = quoted(layout.cursor.source.name)
    if within.is_null:
        condition = f"{name} IS NULL"
    else:
        condition = f"{name} >= '{position.text(within.start)}'"
        if within.end <= _LAST:
            condition += f" AND {name} < '{position.text(within.end)}'"
    if within.parts > 1:
        condition += f" AND CRC32({_part_key(layout)}) % {within.parts} = {within.part}"
    return condition


def _joined(layout: Layout) -> str:
    cells = (
        f"IFNULL({cell(c.source)},{_NULL})" if c.source.nullable else cell(c.source)
        for c in layout.cells
    )
    return f"CONCAT_WS({_DELIMITER},{','.join(cells)})"


def _nulls(layout: Layout) -> str:
    names = (quoted(c.source.name) for c in layout.cells if c.source.nullable)
    return "+".join(f"({name} IS NULL)" for name in names) or "0"


def _part_key(layout: Layout) -> str:
    if not layout.key:
        return _joined(layout)
    cells = (f"IFNULL({cell(c.source)},{_NULL})" for c in layout.key)
    return f"CONCAT_WS({_DELIMITER},{','.join(cells)})"
