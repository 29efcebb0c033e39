"""Cuts segments into pages of a source, and reads the next pages while the last are written."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from typing import TypeVar

from sereno_etl_ivr import position
from sereno_etl_ivr.errors import SourceRowError
from sereno_etl_ivr.layout import Layout
from sereno_etl_ivr.page import Range, SourcePage
from sereno_etl_ivr.plan import Segment, day_range
from sereno_etl_ivr.source import Source
from sereno_etl_ivr.target import Batch, Mark

T = TypeVar("T")

_LARGE_PART = 5000
"""A second with more rows is read in parts; each part costs a look at the whole second."""

_UNINDEXED = 20_000
"""So many rows make a page where each page is a look at the whole table."""

_READ_AT_ONCE = 3
_MOST_AT_ONCE = 3000
"""Up to three pages are read by one statement; more rows than these only where a page has more.

The driver holds the loop while it takes a result over: 3 ms for 1 MB.
"""

_MANY = 2**31


async def pages(
    source: Source,
    layout: Layout,
    segments: Iterable[Segment],
    rows: int,
    rate: int | None,
    unsettled: int,
    *,
    removes: bool = False,
) -> AsyncGenerator[list[tuple[Batch, SourcePage]], None]:
    """Yield every row of `segments` in pages of about `rows`, in order; at most `rate` a second.

    A page ends between two seconds: it has fewer rows than asked for, or all of one second. What
    one statement read is yielded at once.
    """
    for segment in segments:
        at_once = rows
        if rate is None and layout.indexed and segment.range.start >= position.OLDEST:
            at_once = max(rows, min(rows * _READ_AT_ONCE, _MOST_AT_ONCE))
        cut = rows if at_once > rows else None
        sessions = 1 if rate is not None else source.sessions
        begun = time.monotonic()
        within = ranges(source, layout, segment.range, at_once)
        async with aclosing(_read(source, layout, within, cut, sessions)) as reads:
            async for some in reads:
                found = []
                for page in some:
                    mark, end = None, page.range.end
                    if segment.advances and page.range.part == page.range.parts - 1:
                        mark = Mark(end, min(end, unsettled))
                    found.append((Batch(page.range, mark, removes), page))
                yield found
                if rate is not None:
                    read = sum(page.rows for page in some)
                    await asyncio.sleep(max(0, read / rate - (time.monotonic() - begun)))
                begun = time.monotonic()


async def _read(
    source: Source,
    layout: Layout,
    within: AsyncIterator[Range],
    cut: int | None,
    sessions: int,
) -> AsyncGenerator[list[SourcePage], None]:
    """Read ranges, up to `sessions` at once, and yield their pages in order."""
    reading: deque[asyncio.Task[list[SourcePage]]] = deque()
    try:
        async for one in within:
            reading.append(asyncio.create_task(_pages_of(source, layout, one, cut)))
            if len(reading) >= sessions:
                yield await reading.popleft()
        while reading:
            yield await reading.popleft()
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


async def _pages_of(
    source: Source, layout: Layout, within: Range, cut: int | None
) -> list[SourcePage]:
    """Read a range by one statement, `cut` into pages of so many rows; where that is not whole,
    again a page at a time."""
    page = await _page_of(source, layout, within)
    if cut is None or within.parts > 1 or (page.fault is None and page.rows <= cut):
        return [page]
    await asyncio.sleep(0)
    if page.fault is None and page.is_whole:
        return list(page.cut(cut))
    return [
        await _page_of(source, layout, part) async for part in ranges(source, layout, within, cut)
    ]


async def _page_of(source: Source, layout: Layout, within: Range) -> SourcePage:
    try:
        return await source.page(layout, within)
    except SourceRowError as error:
        return SourcePage.faulty(within, str(error))


async def ranges(source: Source, layout: Layout, within: Range, rows: int) -> AsyncIterator[Range]:
    """Cut `within` into the ranges of its pages."""
    if not layout.indexed and not within.is_null:
        async for days in _by_days(source, layout, within, rows):
            yield days
        return
    start = within.start
    while start < within.end:
        rest = Range(start, within.end)
        bound = await source.bound(layout, rest, rows)
        if bound is None:
            yield rest
            return
        if bound > start:
            yield Range(start, bound)
            start = bound
            continue
        second = Range(start, within.end if within.is_null else position.successor(start))
        parts = -(-await source.count(layout, second, _MANY) // max(rows, _LARGE_PART))
        for part in second.split(max(parts, 1)):
            yield part
        start = second.end


async def _by_days(
    source: Source, layout: Layout, within: Range, rows: int
) -> AsyncIterator[Range]:
    """Cut `within` between days: without an index each page costs a look at the whole table."""
    start, held = within.start, 0
    counts = await source.digests(layout, within, checksums=False)
    for day in sorted(counts):
        begins = max(day_range(day).start, within.start)
        if held and held + counts[day].rows > max(rows, _UNINDEXED):
            yield Range(start, begins)
            start, held = begins, 0
        held += counts[day].rows
    yield Range(start, within.end)


async def ahead(items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """Yield `items`, with the next one already on its way. Closing ends it, and `items`."""
    coming = asyncio.ensure_future(anext(items, None))
    try:
        while (item := await coming) is not None:
            coming = asyncio.ensure_future(anext(items, None))
            yield item
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
        await items.aclose()


async def each(items: AsyncGenerator[list[T], None]) -> AsyncGenerator[T, None]:
    """Yield what is in the lists. Closing ends it, and `items`."""
    async with aclosing(items):
        async for some in items:
            for one in some:
                yield one
