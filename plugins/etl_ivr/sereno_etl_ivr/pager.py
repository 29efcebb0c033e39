"""Cuts segments into pages of a source, and reads the next page while the last is written."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable

from sereno_etl_ivr import position
from sereno_etl_ivr.layout import Layout
from sereno_etl_ivr.page import Page, Range
from sereno_etl_ivr.plan import Segment
from sereno_etl_ivr.source import Source
from sereno_etl_ivr.target import Batch, Mark

_LARGE_PART = 5000
"""A second with more rows is read in parts; each part costs a look at the whole second."""

_MANY = 2**31


async def pages(
    source: Source, layout: Layout, segments: Iterable[Segment], rows: int, unsettled: int
) -> AsyncGenerator[tuple[Batch, Page], None]:
    """Yield every row of `segments` in pages of about `rows`, in order.

    A page ends between two seconds: it has fewer rows than asked for, or all of one second.
    """
    for segment in segments:
        async for within in ranges(source, layout, segment.range, rows):
            mark = None
            if segment.advances and within.part == within.parts - 1:
                mark = Mark(within.end, min(within.end, unsettled))
            yield Batch(within, mark), await source.page(layout, within)


async def ranges(source: Source, layout: Layout, within: Range, rows: int) -> AsyncIterator[Range]:
    """Cut `within` into the ranges of its pages."""
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


async def ahead(
    items: AsyncGenerator[tuple[Batch, Page], None],
) -> AsyncGenerator[tuple[Batch, Page], None]:
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
