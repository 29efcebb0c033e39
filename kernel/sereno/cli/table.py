"""Fits a table to a terminal: leaves columns out, cuts or wraps cells, and keeps the rest whole."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

Cell = str | Text
_GAP = 2
_LEAST_GROWN, _LEAST_CUT = 16, 28
"""What columns that may be narrower keep, before others are left out for their sake."""
_LAST_RESORT = 4


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column. How it behaves where the terminal is too narrow:

    `drop`: it is left out, the highest number first; 0 never is. `grows`: its cells take several
    lines. `cut`: they end with an ellipsis.
    """

    title: str
    drop: int = 0
    right: bool = False
    grows: bool = False
    cut: bool = False

    @property
    def heading(self) -> str:
        """Return the title as it is written."""
        return self.title.upper()


def fitting_lines(
    console: Console, columns: Sequence[TableColumn], rows: Sequence[Sequence[Cell]]
) -> Iterator[Text]:
    """Yield the heading and the lines of `rows`, none wider than `console`."""
    natural = [max(cell_len(str(row[i])) for row in rows) for i in range(len(columns))]
    widths = fitted(columns, natural, console.width)
    heading: list[Cell] = [Text(column.heading, style="bold") for column in columns]
    for row in (heading, *rows):
        cells = [_cell(console, row[i], columns[i], width) for i, width in widths.items()]
        for n in range(max(map(len, cells))):
            parts = []
            for lines, column, width in zip(
                cells, (columns[i] for i in widths), widths.values(), strict=True
            ):
                part = lines[n].copy() if n < len(lines) else Text()
                part.align("right" if column.right else "left", width)
                parts.append(part)
            line = Text(" " * _GAP).join(parts)
            line.rstrip()
            yield line


def fitted(columns: Sequence[TableColumn], natural: Sequence[int], room: int) -> dict[int, int]:
    """Return the columns to show with their widths, which together take `room` at most.

    A column that may be dropped is left out too when all its cells are empty or "-".
    """
    full = [max(n, len(c.title)) for n, c in zip(natural, columns, strict=True)]
    kept = [_LEAST_GROWN if c.grows else _LEAST_CUT if c.cut else room for c in columns]
    least = [min(width, keep) for width, keep in zip(full, kept, strict=True)]
    shown = [i for i, c in enumerate(columns) if not c.drop or natural[i] > 1]
    while _total(least[i] for i in shown) > room and any(columns[i].drop for i in shown):
        shown.remove(max(shown, key=lambda i: columns[i].drop))
    widths = {i: full[i] for i in shown}
    while _total(widths.values()) > room:
        able = [i for i in shown if widths[i] > least[i]] or [
            i for i in shown if widths[i] > _LAST_RESORT
        ]
        if not able:
            break
        widths[max(able, key=lambda i: widths[i])] -= 1
    return widths


def _total(widths: Iterable[int]) -> int:
    found = list(widths)
    return sum(found) + _GAP * (len(found) - 1)


def _cell(console: Console, cell: Cell, column: TableColumn, width: int) -> list[Text]:
    text = cell if isinstance(cell, Text) else Text(cell)
    if column.grows:
        return list(text.wrap(console, width, overflow="fold")) or [Text()]
    first = text.split("\n")[0] if "\n" in str(text) else text.copy()
    first.truncate(width, overflow="ellipsis")
    return [first]
