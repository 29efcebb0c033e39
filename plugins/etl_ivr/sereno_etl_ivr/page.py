"""What travels from a source to the target: a range of positions, and the rows found in it."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

import msgspec

from sereno_etl_ivr import position

DELIMITER = "\x1f"
"""Between cells; a cell that holds it makes COPY fail, and the page is then read row by row."""

LONGEST_CELL = 8 * 2**20
"""A longer cell is no call record's: its row is rejected, and the cell never leaves the source."""

GIANT = "sereno: a cell of "
"""What stands for a longer cell, with its size, U+0000 and its beginning."""

Cell = bytes | None


class Range(msgspec.Struct, frozen=True):
    """Every row whose position is in [start, end); `part` i of n when one second holds too many.

    The parts are disjoint and together complete, and rows with the same key are in the same part.
    """

    start: int
    end: int
    part: int = 0
    parts: int = 1

    @property
    def is_null(self) -> bool:
        """Tell whether these are the rows whose cursor is NULL."""
        return self.start == position.NULL

    def split(self, parts: int) -> list["Range"]:
        """Return this range in so many parts."""
        return [Range(self.start, self.end, part, parts) for part in range(parts)]


class Page(msgspec.Struct, frozen=True):
    """The rows of a range as COPY text: content, position, the layout's cells, and the cursor's
    time to the second, as 20260301T100000.

    `null`: how NULL is written. `rows`, and `nulls` where `null` could be a value too: what the
    source counted; the target counts again. `distinct`: no two rows are equal in everything.
    `chunks`: makes the text, some rows at a time, with their hashes; None where it is there.
    """

    range: Range
    rows: int
    copy: Sequence[bytes]
    null: str
    nulls: int | None = None
    distinct: bool = False
    chunks: Callable[[], Iterator[tuple[bytes, set[str]]]] | None = None

    async def ready(self) -> "Page":
        """Return this page with its text; the loop is let go between the chunks."""
        if self.chunks is None:
            return self
        copy: list[bytes] = []
        distinct: set[str] = set()
        for chunk, hashes in self.chunks():
            copy.append(chunk)
            distinct |= hashes
            await asyncio.sleep(0)
        return msgspec.structs.replace(
            self, copy=copy, distinct=len(distinct) == self.rows, chunks=None
        )


class Row(msgspec.Struct, frozen=True):
    """One row as the source shows it, when its page could not be copied as a whole."""

    content: str
    position: int
    cells: tuple[Cell, ...]


class PageDamaged(Exception):  # noqa: N818 - no error of the run: the page is read again, row by row
    """The text of a page does not hold what the source counted."""
