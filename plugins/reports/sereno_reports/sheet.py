"""Writes a report as CSV for the reader's spreadsheet: its separator and its decimal sign."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

from sereno_reports.declared import ReportColumn
from sereno_reports.figures import Figures
from sereno_reports.look import Look
from sereno_reports.view import Cell, TableView, View
from sereno_reports.words import Words

MARK = "\ufeff"
"""A byte-order mark: without it a spreadsheet takes accents for something else."""

_SIGN = "[=+\\-@＝＋－＠]"
_TAKEN_AWAY = '[\\s"\ufeff\u200b]*'
_FRONT = re.compile(rf"{_TAKEN_AWAY}{_SIGN}|[\t\r\n]")
_BEHIND = re.compile(rf"([;,|\t\r\n]{_TAKEN_AWAY})({_SIGN})")
"""Where a formula would begin: at the front of a cell, and behind what a spreadsheet of another
locale takes for its end. Spaces and quotes between are taken away there."""


def to_csv(figures: Figures, look: Look, table: str | None = None) -> str:
    """Return the tables below one another, each with its title; or one, as a plain table."""
    view = View(figures, look)
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=view.words.texts["separator"])
    if table is not None:
        writer.writerows(_lines(view.table(table), view.words))
        return out.getvalue()
    writer.writerow([neutral(view.title), neutral(view.heading)])
    for note in view.notes:
        writer.writerow([neutral(note)])
    if view.cards:
        writer.writerow([])
        writer.writerow([view.words.phrase("figure"), view.words.phrase("value")])
        for card in view.cards:
            column = card.value.column
            name = title_of(column, card.title, view.words)
            writer.writerow([neutral(name), plain(card.value, view.words)])
    for found in view.tables:
        writer.writerow([])
        writer.writerow([neutral(found.title)])
        writer.writerows(_lines(found, view.words))
    return out.getvalue()


def title_of(column: ReportColumn, title: str, words: Words) -> str:
    """Return a column's title with the unit of its numbers."""
    if column.unit == "duration":
        return f"{title} ({words.phrase('seconds')})"
    return f"{title} (%)" if column.unit == "share" and "%" not in title else title


def plain(cell: Cell, words: Words) -> str:
    """Return what a spreadsheet reads as a number: seconds, and percent of a share."""
    raw = cell.raw
    if raw is None:
        return neutral(cell.text)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return neutral(cell.text if cell.column.values else str(raw))
    number = round(100 * raw, 2) if cell.column.unit == "share" else round(raw, 1)
    return str(number).replace(".", words.texts["decimal"])


def neutral(cell: str) -> str:
    """Return `cell` so that no spreadsheet takes it for a formula."""
    found = _BEHIND.sub(r"\1'\2", cell)
    return f"'{found}" if _FRONT.match(cell) else found


def _lines(view: TableView, words: Words) -> Iterator[list[Any]]:
    head = []
    for column, title in zip(view.columns, view.titles, strict=True):
        head.append(neutral(title_of(column, title, words)))
        if column.names is not None:
            head.append(words.phrase("name"))
    yield head
    for row in view.rows:
        yield list(_cells(row, words))
    if view.total is not None:
        yield list(_cells(view.total, words))


def _cells(row: list[Cell], words: Words) -> Iterator[str]:
    for cell in row:
        yield plain(cell, words)
        if cell.column.names is not None:
            yield neutral(cell.name)
