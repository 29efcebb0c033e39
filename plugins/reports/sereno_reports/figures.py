"""The figures of a report: rows as the SQL gave them, and what is derived from them when read."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sereno_reports.declared import ReportColumn
from sereno_reports.period import Kind

Row = dict[str, Any]


class Grid(msgspec.Struct):
    """The rows of one table. Cells are numbers, texts, ISO dates and instants; None is unknown."""

    columns: list[str]
    rows: list[list[Any]]

    def mappings(self) -> list[Row]:
        """Return each row by column."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Context(msgspec.Struct, kw_only=True):
    """What stands beside the figures of a period, of others: no revision comes of it.

    `earlier`: the head's row of each period before that has a report, the nearest first. `tables`:
    those that cover more than the period. `gone`: tables of the period whose rows are kept no more.
    """

    earlier: list[Row] = []
    tables: dict[str, Grid] = {}
    gone: list[str] = []


class Figures(msgspec.Struct, kw_only=True):
    """What a report counts, in no language; equal figures are the same report.

    `day`, `last`: its first and last day. `partial`: it is not over. `behind`: sources whose calls
    are not loaded to its end. `rules`: seconds that the figures were counted by.
    """

    name: str
    kind: Kind
    day: str
    last: str
    zone: str
    recipient: str = ""
    partial: bool = False
    behind: list[str] = []
    rules: dict[str, float | None] = {}
    tables: dict[str, Grid]
    context: Context = msgspec.field(default_factory=Context)

    @property
    def provisional(self) -> bool:
        """Tell whether calls of a period that is over may be missing."""
        return bool(self.behind) and not self.partial

    def head(self, table: str) -> Row:
        """Return the first row of `table`, by column; without one, nothing is known."""
        rows = self.rows(table)
        return rows[0] if rows else {}

    def rows(self, table: str) -> list[Row]:
        """Return the rows of `table`, by column; none of a table that there is not."""
        found = self.tables.get(table) or self.context.tables.get(table)
        return found.mappings() if found else []


def value(column: ReportColumn, row: Mapping[str, Any]) -> Any:
    """Return what `column` shows of `row`, None where that is unknown or of nothing."""
    if column.of is None or column.per is None:
        return row.get(column.name)
    return ratio(row.get(column.of), row.get(column.per))


def total(column: ReportColumn, rows: Iterable[Mapping[str, Any]]) -> Any:
    """Return what `column` shows of all `rows` together, None where that cannot be told.

    Ratios are made of sums. A part that is unknown makes the sum unknown.
    """
    found = list(rows)
    if column.of is not None and column.per is not None:
        return ratio(_sum(column.of, found), _sum(column.per, found))
    return _sum(column.name, found) if column.is_summed else None


def usual(column: ReportColumn, earlier: list[Row]) -> float | None:
    """Return what was usual in earlier periods: the mean of a sum, the ratio of all together."""
    if not earlier:
        return None
    found = total(column, earlier)
    if found is None or column.of is not None:
        return None if found is None else float(found)
    return float(found) / len(earlier)


def ratio(part: float | None, whole: float | None) -> float | None:
    """Return `part` / `whole`, None where either is unknown or there is no whole."""
    return round(part / whole, 4) if part is not None and whole else None


def _sum(name: str, rows: list[Mapping[str, Any]]) -> Any:
    cells = [row.get(name) for row in rows]
    if not cells or any(cell is None or isinstance(cell, str) for cell in cells):
        return None
    return sum(cells)
