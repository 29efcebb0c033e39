"""What all forms of a report show: its figures in words, with targets and comparisons judged."""

from datetime import date
from functools import cached_property
from typing import Any, Literal

import msgspec

from sereno_reports.declared import Card, ReportColumn, ReportTable, Text, in_language
from sereno_reports.figures import Figures, Row, total, usual, value
from sereno_reports.look import Look
from sereno_reports.words import Words, words_in

MOST_SHOWN = 1000
"""Rows of a table on a page: more are for a spreadsheet, and would take paper minutes and a
gigabyte."""

SMALL = 30  # below so many calls offered, a percentage says little

Verdict = Literal["", "met", "missed"]


class Cell(msgspec.Struct, frozen=True):
    """A cell as it is read; `raw`: as it is counted with. `name`: of the agent or queue."""

    text: str
    raw: Any
    column: ReportColumn
    verdict: Verdict = ""
    name: str = ""

    @property
    def is_counted(self) -> bool:
        """Tell whether the cell is a count: a row without any stands back."""
        return self.column.unit == "count"

    @property
    def is_number(self) -> bool:
        """Tell whether the cell stands to the right, as numbers do."""
        return self.column.unit not in ("text", "date", "instant")


class CardView(msgspec.Struct, frozen=True):
    """A figure in the head: what stands above and below it, and how it compares."""

    title: str
    value: Cell
    below: str
    target: str
    against: str
    tone: str


class TableView(msgspec.Struct, frozen=True):
    """A table in words."""

    table: ReportTable
    title: str
    note: str
    columns: list[ReportColumn]
    titles: list[str]
    rows: list[list[Cell]]
    total: list[Cell] | None
    raw: list[Row]

    @property
    def shown(self) -> int:
        """Return how many rows a page shows at most."""
        return min(self.table.top or MOST_SHOWN, MOST_SHOWN)

    @property
    def named(self) -> dict[str, str]:
        """Return the titles by column."""
        return {c.name: title for c, title in zip(self.columns, self.titles, strict=True)}


class View(msgspec.Struct, frozen=True, dict=True):
    """A report as it is written."""

    figures: Figures
    look: Look

    @cached_property
    def words(self) -> Words:
        """Return the words of its language."""
        return words_in(self.look.language)

    @property
    def title(self) -> str:
        """Return its title."""
        return self.worded(self.look.declared.title)

    @property
    def heading(self) -> str:
        """Return which day, week or month it is about."""
        figures = self.figures
        first, last = date.fromisoformat(figures.day), date.fromisoformat(figures.last)
        return self.words.period(figures.kind, first, last)

    def worded(self, text: Text) -> str:
        """Return `text` in the report's language, with the seconds that it was counted by."""
        found = in_language(text, self.look.language)
        for name, seconds in self.figures.rules.items():
            found = found.replace(f"[{name}]", self.words.number(seconds))
        return found

    @cached_property
    def cards(self) -> list[CardView]:
        """Return the figures in the head."""
        declared = self.look.declared
        row = self.figures.head(declared.head)
        cells = {card.name: self._cell(card, value(card, row)) for card in declared.cards}
        texts = {name: cell.text for name, cell in cells.items()}
        return [
            CardView(
                title=self.worded(card.title),
                value=cells[card.name],
                below=self.worded(card.below).format(**texts),
                target=self._target(card, cells[card.name].raw),
                against=self._against(card, cells[card.name].raw),
                tone=card.tone if cells[card.name].raw and not cells[card.name].verdict else "",
            )
            for card in declared.cards
            if not card.hidden
        ]

    @cached_property
    def tables(self) -> list[TableView]:
        """Return every table, the empty ones too."""
        return [self._table(table) for table in self.look.declared.tables]

    def table(self, name: str) -> TableView:
        """Return one table; raise KeyError."""
        return {found.table.name: found for found in self.tables}[name]

    @property
    def notes(self) -> list[str]:
        """Return what a reader must know of these figures."""
        found = []
        if self.figures.partial:
            found.append(self.words.phrase("partial"))
        if self.figures.provisional:
            found.append(self.words.phrase("provisional", sources=", ".join(self.figures.behind)))
        for table in self.look.declared.tables:
            if table.name in self.figures.context.gone:
                cells = [cell for row in self.figures.rows(table.name) for cell in row.values()]
                known = any(cell is not None for cell in cells)
                key = "gone_known" if known else "gone"
                found.append(self.words.phrase(key, table=self.worded(table.title)))
        row = self.figures.head(self.look.declared.head)
        offered = row.get("offered")
        if row.get("calls") == 0:
            found.append(self.words.phrase("empty"))
        elif isinstance(offered, int | float) and offered < SMALL:
            found.append(self.words.phrase("small", offered=self.words.number(offered)))
        return found

    def judged(self, column: ReportColumn, found: Any) -> Verdict:
        """Return whether `found` meets the target of `column`: what is written alike does."""
        target = self.look.targets.get(column.name)
        if target is None or column.good is None or not isinstance(found, int | float):
            return ""
        met = found >= target if column.good == "high" else found <= target
        met = met or self._written(column, found) == self._written(column, target)
        return "met" if met else "missed"

    def _table(self, table: ReportTable) -> TableView:
        rows = self.figures.rows(table.name)
        columns = list(table.columns)
        cells = [[self.part(column, value(column, row)) for column in columns] for row in rows]
        last = None
        if table.total and rows:
            last = [self._cell(column, total(column, rows)) for column in columns]
            first = columns[0]
            last[0] = Cell(self.words.phrase("total"), None, first)
            last[1:] = [  # of what has no total, nothing is said
                cell if c.is_summed or c.of else Cell("", None, c)
                for cell, c in zip(last[1:], columns[1:], strict=True)
            ]
        return TableView(
            table=table,
            title=self.worded(table.title),
            note=self.worded(table.note),
            columns=columns,
            titles=[self.worded(column.title) for column in columns],
            rows=cells,
            total=last,
            raw=rows,
        )

    def part(self, column: ReportColumn, found: Any) -> Cell:
        """Return a cell of a row. A count's target is that of all rows together.

        One of them may miss it alone, and cannot meet it.
        """
        cell = self._cell(column, found)
        if column.unit == "count" and (cell.verdict == "met") == (column.good == "low"):
            return msgspec.structs.replace(cell, verdict="")
        return cell

    def _cell(self, column: ReportColumn, found: Any) -> Cell:
        name = self.look.name_of(column.names, found)
        text = self._written(column, found)
        if isinstance(found, str) and found in column.values:
            text = self.worded(column.values[found])
        return Cell(text, found, column, self.judged(column, found), name)

    def _written(self, column: ReportColumn, found: Any) -> str:
        return self.words.cell(column.unit, found, self.figures.zone)

    def _target(self, card: Card, found: Any) -> str:
        """Return the target in words, with its sign and by how much it was missed."""
        verdict = self.judged(card, found)
        target = self.look.targets.get(card.name)
        if target is None or card.good is None:
            return ""
        bound = self.words.cell(card.unit, target)
        text = self.words.phrase(f"target_{card.good}", target=bound)
        if not verdict:
            return text
        if verdict == "met":
            return f"✓ {text}"
        return f"✗ {text} ({self._shift(card.unit, found - target)})"

    def _against(self, card: Card, found: Any) -> str:
        """Return how a figure compares with the periods before, "" where nothing can be said."""
        before = usual(card, self.figures.context.earlier)
        if (
            before is None
            or found is None
            or self.figures.partial
            or not self.figures.context.earlier
        ):
            return ""
        if card.unit == "share":
            change = self._shift("share", found - before)
        elif before:
            change = _signed(found / before - 1, self.words.share(abs(found / before - 1)))
        else:
            return ""
        count = len(self.figures.context.earlier)
        key = "against" if count > 1 else "against_one"
        return self.words.phrase(key, change=change, usual=self._usual(count))

    def _shift(self, unit: str, shift: float) -> str:
        """Write a difference: that of percentages is told in points."""
        if unit == "share":
            points = self.words.number(abs(100 * shift), 1)
            return self.words.phrase("points", points=_signed(shift, points))
        told = self.words.duration if unit == "duration" else self.words.number
        return _signed(shift, told(abs(shift)))

    def _usual(self, count: int) -> str:
        """Name the periods that a figure is compared with."""
        kind = self.figures.kind
        if kind != "day":
            return self.words.phrase(f"earlier_{kind}" + ("s" if count > 1 else ""), count=count)
        weekday = self.words.weekday(date.fromisoformat(self.figures.day))
        plural = weekday if weekday.endswith("s") and self.words.language == "es" else weekday + "s"
        return self.words.phrase(
            "earlier_days" if count > 1 else "earlier_day",
            count=count,
            weekday=plural if count > 1 else weekday,
        )


def _signed(shift: float, text: str) -> str:
    """Return `text` with the sign of `shift`; with both where it is nothing as it is written."""
    if not any(letter in "123456789" for letter in text):
        return f"±{text}"
    return f"{'+' if shift > 0 else '−'}{text}"
