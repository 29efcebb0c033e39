"""Writes a report as XLSX: a sheet for each table, and cells that are numbers, times and dates."""

import io
import re
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sereno import lazy
from sereno_reports.figures import Figures
from sereno_reports.look import Look
from sereno_reports.view import Cell, TableView, View

_LONGEST = 32_767  # letters in a cell
_EXACT = 10**15
"""From here on a spreadsheet would keep other digits: such a number is written as text."""

_FORMATS = {
    "count": "#,##0",
    "number": "#,##0.0",
    "share": "0.0%",
    "duration": "[h]:mm:ss",
    "date": "dd/mm/yyyy",
    "instant": "dd/mm/yyyy hh:mm",
    "text": "@",
}


def to_xlsx(figures: Figures, look: Look) -> bytes:
    """Return the workbook; equal figures and looks are equal bytes."""
    book = _Book(View(figures, look))
    return book.written()


class _Book:
    """The workbook while it is written."""

    def __init__(self, view: View) -> None:
        xlsxwriter: Any = lazy("xlsxwriter")  # loaded by the first workbook
        self._view = view
        self._out = io.BytesIO()
        self._book = xlsxwriter.Workbook(
            self._out,
            {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False},
        )
        made = datetime.fromisoformat(view.figures.day)
        self._book.set_properties({"title": view.title, "created": made})
        self._names = {"history"}  # which spreadsheets keep for themselves
        colours = {"met": "#1f7a72", "missed": "#b3341c"}
        self._formats = {
            (unit, verdict, bold): self._book.add_format(
                {"num_format": written, "bold": bold, "font_color": colours.get(verdict, "#1c2530")}
            )
            for unit, written in _FORMATS.items()
            for verdict in ("", "met", "missed")
            for bold in (False, True)
        }
        self._head = self._book.add_format(
            {"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"}
        )
        self._unknown = self._book.add_format({"align": "right", "font_color": "#5b6672"})

    def written(self) -> bytes:
        self._summary()
        for table in self._view.tables:
            self._table(table)
        self._book.close()
        return self._out.getvalue()

    def _sheet(self, title: str) -> Any:
        """Add a sheet: a name has 31 letters, and is there once."""
        name = re.sub(r"[\[\]:*?/\\]", " ", title).strip("' ")[:31] or "-"
        n = 1
        while name.lower() in self._names:
            n += 1
            name = f"{name[:27]} {n}"
        self._names.add(name.lower())
        return self._book.add_worksheet(name)

    def _summary(self) -> None:
        view, words = self._view, self._view.words
        sheet = self._sheet(words.phrase("summary"))
        sheet.set_column(0, 0, 36)
        sheet.set_column(1, 2, 18)
        head = [view.title, view.heading, words.phrase("zone", zone=view.figures.zone), *view.notes]
        for n, line in enumerate(head):
            sheet.write_string(n, 0, line[:_LONGEST])
        at = len(head) + 1
        for n, title in enumerate(("figure", "value", "target")):
            sheet.write_string(at, n, words.phrase(title), self._head)
        for n, card in enumerate(view.cards, at + 1):
            sheet.write_string(n, 0, card.title)
            self._cell(sheet, n, 1, card.value)
            sheet.write_string(n, 2, card.target)

    def _table(self, table: TableView) -> None:
        sheet = self._sheet(table.title)
        sheet.freeze_panes(1, 1)
        at = 0
        places = []
        for column, title in zip(table.columns, table.titles, strict=True):
            places.append(at)
            sheet.write_string(0, at, title, self._head)
            sheet.set_column(at, at, 24 if column.unit in ("text", "date") else 13)
            if column.names is not None:
                at += 1
                sheet.write_string(0, at, self._view.words.phrase("name"), self._head)
                sheet.set_column(at, at, 28)
            at += 1
        rows = table.rows if table.total is None else [*table.rows, table.total]
        for n, row in enumerate(rows, 1):
            for place, cell in zip(places, row, strict=True):
                self._cell(sheet, n, place, cell, bold=row is table.total)
                if cell.name:
                    sheet.write_string(n, place + 1, cell.name[:_LONGEST])

    def _cell(self, sheet: Any, row: int, column: int, cell: Cell, *, bold: bool = False) -> None:
        raw, unit = cell.raw, cell.column.unit
        written = self._formats[unit, cell.verdict, bold]
        if raw is None:
            sheet.write_string(row, column, cell.text, written if bold else self._unknown)
        elif isinstance(raw, bool) or unit == "text" or cell.column.values:
            sheet.write_string(row, column, cell.text[:_LONGEST], written)
        elif unit in ("date", "instant"):
            self._moment(sheet, row, column, str(raw), written)
        elif unit == "duration" and isinstance(raw, int | float):
            sheet.write_number(row, column, raw / timedelta(days=1).total_seconds(), written)
        elif isinstance(raw, float) or (isinstance(raw, int) and abs(raw) < _EXACT):
            sheet.write_number(row, column, raw, written)
        else:
            sheet.write_string(row, column, str(raw)[:_LONGEST], written)

    def _moment(self, sheet: Any, row: int, column: int, raw: str, written: Any) -> None:
        try:
            found = datetime.fromisoformat(raw)
            if found.tzinfo is not None:
                found = found.astimezone(ZoneInfo(self._view.figures.zone)).replace(tzinfo=None)
        except (ValueError, OverflowError):  # the zone's year may be beyond the calendar
            sheet.write_string(row, column, raw[:_LONGEST], written)
            return
        if found.year < date(1900, 1, 1).year:  # before a spreadsheet's time
            sheet.write_string(row, column, raw[:_LONGEST], written)
        else:
            sheet.write_datetime(row, column, found, written)
