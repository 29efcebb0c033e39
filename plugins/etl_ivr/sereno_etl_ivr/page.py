"""What travels from a source to the target: a range of positions, and the rows found in it."""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter

import msgspec

from sereno_etl_ivr import position

DELIMITER = "\x1f"
"""Between cells; a cell that holds it makes COPY fail, and the page is then read row by row."""

LONGEST_CELL = 8 * 2**20
"""A longer cell is no call record's: its row is rejected, and the cell never leaves the source."""

LONGEST_ID = 1000
"""Bytes: no call, channel or agent is known by more, and no index of the target holds much more."""

LONGEST_NAME = 200
"""Letters: a longer name of an agent or queue is cut, as it stands in each table of a report."""

GIANT = "sereno: a cell of "
"""What stands for a longer cell, with its size, U+0000 and its beginning."""

_ROWS_AT_ONCE = 250

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


class Copy(msgspec.Struct, frozen=True):
    """A page as COPY text. `distinct`: no two rows are equal in everything."""

    chunks: list[bytes]
    distinct: bool


class SourcePage(msgspec.Struct, frozen=True):
    """The rows of a range, a line each, found by one statement. `rows`: what the source counted.

    `place`: where a line has its position; 14 digits from `position.OLDEST` on. `text`: makes COPY
    text of lines, and gives their hashes. A line is there: content, position, the layout's cells,
    and the cursor's time to the second, as 20260301T100000; NULL is written as `null`. `fault`:
    at some row the source's server raised, with these words, and there is no line.
    """

    range: Range
    rows: int
    lines: Sequence[bytes]
    place: slice
    text: Callable[[Sequence[bytes]], tuple[bytes, set[bytes]]]
    null: str
    fault: str | None = None

    @classmethod
    def faulty(cls, within: Range, fault: str) -> "SourcePage":
        """Return a page that could not be read: its rows must be read with care."""
        return cls(within, 0, (), slice(0), lambda _: (b"", set()), "", fault)

    @property
    def is_whole(self) -> bool:
        """Tell whether there is a line for each row; if not, it must be read in another way."""
        return len(self.lines) == self.rows

    def has_longer_than(self, most: int, cells: Sequence[int]) -> bool:
        """Tell whether one of the `cells` (numbers in a row) of some row may have more bytes."""
        before = 2 if self.place.start else 1
        for line in self.lines:
            if len(line) > most:
                found = line.split(DELIMITER.encode())[before:]
                if any(len(found[n]) > most for n in cells if n < len(found)):
                    return True
        return False

    def cut(self, rows: int) -> Iterator["SourcePage"]:
        """Yield pages of about `rows`, in order, which together are this one: `OLDEST` or younger.

        Each ends between two seconds: it has fewer rows, or all of one second.
        """
        at = itemgetter(self.place)
        lines = sorted(self.lines, key=at)
        first, start = 0, self.range.start
        while first < len(lines):
            last = first + rows
            if last < len(lines):
                last = bisect_left(lines, at(lines[last]), first, key=at)
                if last == first:
                    last = bisect_right(lines, at(lines[first]), first, key=at)
            end = int(at(lines[last])) if last < len(lines) else self.range.end
            some = lines[first:last]
            yield msgspec.structs.replace(self, range=Range(start, end), rows=len(some), lines=some)
            first, start = last, end

    async def copied(self) -> Copy:
        """Make the COPY text, some rows at a time: the sessions of both sides wait for the loop."""
        chunks: list[bytes] = []
        distinct: set[bytes] = set()
        for first in range(0, len(self.lines), _ROWS_AT_ONCE):
            chunk, hashes = self.text(self.lines[first : first + _ROWS_AT_ONCE])
            chunks.append(chunk)
            distinct |= hashes
            await asyncio.sleep(0)
        return Copy(chunks, len(distinct) == len(self.lines))


class Row(msgspec.Struct, frozen=True):
    """One row as the source shows it, when its page could not be copied as a whole.

    `fault`: why it cannot be read; then cells may be missing.
    """

    content: str
    position: int
    cells: tuple[Cell, ...]
    fault: str | None = None


class PageDamaged(Exception):  # noqa: N818 - no error of the run: the page is read again, row by row
    """The text of a page does not hold what the source counted."""
