"""Reads rows where the source's own server raises on some of them, and names those.

A view, a generated column or a damaged block may hold a value at which the server stops. Ranges
that raise are halved, by time and within a second by key, until a row is left that cannot be read:
it is read cell by cell, and what can be read goes to the rejects with what the server said.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from hashlib import md5

import msgspec

from sereno_etl_ivr import position
from sereno_etl_ivr.errors import SourceRowError
from sereno_etl_ivr.layout import Layout
from sereno_etl_ivr.page import Cell, Range, Row
from sereno_etl_ivr.plan import Digest, day_range
from sereno_etl_ivr.source.protocol import Source

_MANY = 2**31
_MOST_PARTS = 2**16
_MOST_FAULTS = 200
"""With more of them on one page the source is at fault, not its rows."""

_UNKNOWN = -1
"""No day's checksum: a day that cannot be digested is read again, each time."""


async def careful_rows(
    source: Source, layout: Layout, within: Range
) -> AsyncGenerator[Sequence[Row], None]:
    """Read the rows of a range cell by cell; those that cannot be read have a `fault`."""
    waiting, faults = [within], 0
    while waiting:
        one = waiting.pop()
        error = await _error(source, layout, one)
        if error is None:
            async with aclosing(source.rows(layout, one)) as rows:
                async for some in rows:
                    yield some
        elif halves := await _halves(source, layout, one):
            waiting += reversed(halves)
        else:
            found = await _broken(source, layout, one, error)
            faults += len(found)
            if faults > _MOST_FAULTS:
                raise error
            yield found


async def careful_digests(source: Source, layout: Layout, within: Range) -> dict[int, Digest]:
    """Digest the rows of each day; a day on which the server raises equals no other side's."""
    try:
        return await source.digests(layout, within)
    except SourceRowError:
        found = await source.digests(layout, within, checksums=False)
    for day in found:
        whole = day_range(day)
        part = Range(max(whole.start, within.start), min(whole.end, within.end))
        try:
            found[day] = (await source.digests(layout, part)).get(day, found[day])
        except SourceRowError:
            found[day] = Digest(found[day].rows, _UNKNOWN)
    return found


async def _error(source: Source, layout: Layout, within: Range) -> SourceRowError | None:
    try:
        async with aclosing(source.rows(layout, within)) as rows:
            async for _ in rows:
                pass
    except SourceRowError as error:
        return error
    return None


async def _halves(source: Source, layout: Layout, within: Range) -> list[Range]:
    """Cut a range in two; nothing where one row is left, or rows that no key tells apart."""
    try:
        count = await source.count(layout, within, _MANY)
        if count <= 1 or within.parts >= _MOST_PARTS:
            return []
        if within.parts == 1 and not within.is_null:
            cut = await source.bound(layout, within, count // 2)
            if cut is None or cut <= within.start:
                cut = position.successor(within.start)
            if within.start < cut < within.end:
                return [Range(within.start, cut), Range(cut, within.end)]
    except SourceRowError:  # the key itself cannot be read
        return []
    part, parts = within.part, within.parts
    return [Range(within.start, within.end, n, 2 * parts) for n in (part, part + parts)]


async def _broken(
    source: Source, layout: Layout, within: Range, error: SourceRowError
) -> list[Row]:
    """Return the rows of a range that cannot be read as a whole, with what can be read of one."""
    cells: list[Cell] = []
    for cell in layout.cells:
        alone = msgspec.structs.replace(layout, cells=(cell,))
        try:
            async with aclosing(source.rows(alone, within)) as rows:
                some: Sequence[Row] = await anext(rows, ())
                cells.append(some[0].cells[0] if some else None)
        except SourceRowError:
            cells.append(None)
    at = within.start
    if not within.is_null:
        at = await source.bound(layout, Range(within.start, within.end), 0) or at
    shown = b"\0".join(b"" if cell is None else cell for cell in cells)
    content = md5(b"%d %s" % (at, shown), usedforsecurity=False).hexdigest()
    try:
        count = await source.count(layout, within, _MOST_FAULTS + 1)
    except SourceRowError:
        count = 1
    return [Row(content, at, tuple(cells), str(error))] * max(count, 1)
