"""Decides how the columns that a source has today become the columns of the target: pure."""

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from sereno import RunError
from sereno_etl_ivr.table import FOUND_OUT, KNOWN, Kind, MovedColumn, MovedTable
from sereno_etl_ivr.time_format import PER_SECOND

Family = Literal["text", "binary", "hex", "bits", "number", "moment", "instant", "shape", "other"]
"""How a source's type is read. `hex`: bytes that the target takes as digits. `shape`: a geometry.
`other`: any type that is not known here, which is read as the text that the source makes of it."""

_NUMBERS = {"integer", "bigint", "numeric"}


class SourceColumn(msgspec.Struct, frozen=True):
    """A column as the source's catalogue describes it. `unicode`: its text is UTF-8 there.

    `fine`: a time with fractions of a second. `fractions`: a number that may have some.
    `reading`: the SQL that makes a time of it. `ordered`: by its own order it is in that of time.
    `per_second`: how many there are of what a number counts.
    """

    name: str
    type: str
    family: Family
    nullable: bool
    unicode: bool = True
    fine: bool = True
    fractions: bool = False
    reading: str = ""
    ordered: bool = False
    per_second: int = 1


class SourceTable(msgspec.Struct, frozen=True):
    """What the catalogue says; `indexed`: the columns that an index begins with."""

    columns: tuple[SourceColumn, ...]
    primary_key: tuple[str, ...] = ()
    indexed: frozenset[str] = frozenset()


class LayoutCell(msgspec.Struct, frozen=True):
    """One cell of each row: where it comes from, and what it is called in the target.

    `extra`: the target has no such column; the cell goes into `extra` under the source's name.
    """

    source: SourceColumn
    name: str
    kind: Kind
    extra: bool = False


class Layout(msgspec.Struct, frozen=True):
    """How one source's table is read and written. Cells are in the order of their source's names.

    `key`: cells that tell which row a changed row was; empty when nothing does.
    """

    table: MovedTable
    cells: tuple[LayoutCell, ...]
    cursor: LayoutCell
    key: tuple[LayoutCell, ...]
    indexed: bool

    @property
    def epoch(self) -> LayoutCell | None:
        """Return the cell that holds the second at which a row's channel began."""
        return next((cell for cell in self.cells if cell.name == self.table.epoch), None)

    @property
    def begun(self) -> LayoutCell | None:
        """Return the cell that holds a second which is not after the row's own time."""
        name = self.table.begun or self.table.epoch
        return next((cell for cell in self.cells if cell.name == name), None)

    @property
    def ids(self) -> tuple[int, ...]:
        """Return the numbers of the cells by which calls and channels are known."""
        return tuple(n for n, cell in enumerate(self.cells) if cell.name in self.table.ids)

    @property
    def mapped(self) -> tuple[LayoutCell, ...]:
        """Return the cells that have a column in the target."""
        return tuple(cell for cell in self.cells if not cell.extra)

    @property
    def extras(self) -> tuple[LayoutCell, ...]:
        """Return the cells that go into `extra`."""
        return tuple(cell for cell in self.cells if cell.extra)


AsTime = Callable[[SourceColumn, str], SourceColumn]
"""Makes a time of a text or a number, by a format, in the SQL of a source."""


def match(
    table: MovedTable, source: SourceTable, name: str, as_time: AsTime | None = None
) -> Layout:
    """Lay `table` over what the source has; raise RunError when the source lacks what it needs.

    `name`: the source's table, for the error. `as_time`: of the source. The
    order of the source's columns does not matter.
    """
    by_name = {column.name.lower(): column for column in source.columns}
    cells: dict[str, LayoutCell] = {}
    for column in table.columns:
        found = next((by_name[n] for n in column.known_as if n in by_name), None)
        if found is not None and _holds(column, found, table):
            read = _read_as(found, column.kind)
            if column.name == table.cursor and as_time is not None:
                read = _timed(read, table.time_format, as_time)
            cells[found.name] = LayoutCell(read, column.name, column.kind)
    _check(table, cells.values(), name, source)
    for n, other in enumerate(source.columns):
        if other.name not in cells:  # the blank: no column of a target has one
            cells[other.name] = LayoutCell(other, f"extra {n}", "text", extra=True)
    ordered = tuple(cells[n] for n in sorted(cells))
    cursor = next(cell for cell in ordered if cell.name == table.cursor)
    if cursor.source.family not in {"moment", "instant"}:
        raise RunError(
            f"source table '{name}': column '{cursor.source.name}' is {cursor.source.type}, and "
            "rows are found by it; it must be a datetime or timestamp, or time_format say how a "
            "text or a number of seconds is one"
        )
    return Layout(
        table=table,
        cells=ordered,
        cursor=cursor,
        key=_key(table, source, ordered),
        indexed=_is_indexed(cursor.source, source),
    )


def _is_indexed(cursor: SourceColumn, source: SourceTable) -> bool:
    return cursor.name in source.indexed and (cursor.ordered or not cursor.reading)


def _timed(column: SourceColumn, time_format: str | None, as_time: AsTime) -> SourceColumn:
    if time_format is None or column.family in {"moment", "instant"}:
        return column
    if column.family == "number":
        return as_time(column, time_format if time_format in PER_SECOND else "epoch")
    return as_time(column, "iso" if time_format == FOUND_OUT else time_format)


def _holds(column: MovedColumn, source: SourceColumn, table: MovedTable) -> bool:
    """Tell whether the target's column may hold what the source has under its name.

    A number that is none by its type goes into `extra`, and costs no row.
    """
    if table.name not in KNOWN or column.kind not in _NUMBERS:
        return True
    return source.family in {"number", "bits", "text"}


def _read_as(source: SourceColumn, kind: Kind) -> SourceColumn:
    """Return the column as it is to be read for a column of `kind`."""
    if kind == "uuid" and source.family == "binary":
        return msgspec.structs.replace(source, family="hex")
    return source


def _check(table: MovedTable, cells: Iterable[LayoutCell], name: str, source: SourceTable) -> None:
    missing = set(table.required) - {cell.name for cell in cells}
    if not source.columns:
        raise RunError(
            f"source table '{name}' is not there, or may not be read; "
            "check plugins.etl_ivr.source_table and the user's rights"
        )
    if missing:
        has = ", ".join(column.name for column in source.columns)
        raise RunError(
            f"source table '{name}': column '{min(missing)}' is missing, and {table.name} cannot "
            f"be synced without it; it has {has}"
        )


def _key(
    table: MovedTable, source: SourceTable, cells: tuple[LayoutCell, ...]
) -> tuple[LayoutCell, ...]:
    by_source = {cell.source.name: cell for cell in cells}
    if source.primary_key:
        return tuple(by_source[name] for name in source.primary_key)
    by_name = {cell.name: cell for cell in cells}
    for key in table.keys:
        if all(name in by_name for name in key):
            return tuple(by_name[name] for name in key)
    return ()
