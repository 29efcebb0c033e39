"""What a sync asks of a source, whatever server that is."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from sereno_etl_ivr.layout import Layout, SourceColumn, SourceTable
from sereno_etl_ivr.page import Range, Row, SourcePage
from sereno_etl_ivr.plan import Digest, Extent


class Source(Protocol):
    """A table, read through read-only sessions. Raises SourceError.

    Each statement is short and reads one range of the cursor's index: no cursor stays open, no
    transaction spans two calls. `sessions`: how many calls have a session of their own; others wait
    for their turn.
    """

    sessions: int

    async def describe(self) -> SourceTable:
        """Read the table's columns, key and indexes from the catalogue."""
        ...

    def as_time(self, column: SourceColumn, time_format: str) -> SourceColumn:
        """Return a text or a number as the time that a format makes of it."""
        ...

    async def extent(self, layout: Layout) -> Extent:
        """Read the first and last position, and the source's clock."""
        ...

    async def bound(self, layout: Layout, within: Range, rows: int) -> int | None:
        """Return the position of the row after the first `rows` ones, None when there is none."""
        ...

    async def count(self, layout: Layout, within: Range, limit: int) -> int:
        """Count the rows, up to `limit`."""
        ...

    async def digests(
        self, layout: Layout, within: Range, *, checksums: bool = True
    ) -> dict[int, Digest]:
        """Digest the rows of each day; without `checksums` only their number is right."""
        ...

    async def names(self, table: str, key: str, name: str) -> dict[str, str]:
        """Read names from a table of the source, by their keys."""
        ...

    async def page(self, layout: Layout, within: Range) -> SourcePage:
        """Read all rows of a range as COPY text, in one statement and so of one instant."""
        ...

    def rows(self, layout: Layout, within: Range) -> AsyncGenerator[Sequence[Row], None]:
        """Read the rows of a range cell by cell, a few at a time: for a page that was damaged."""
        ...
