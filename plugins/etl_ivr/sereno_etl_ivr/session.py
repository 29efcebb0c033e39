"""Holds both ends for one attempt of a run, and writes pages until all is read or time is up.

States of an attempt: opened (connected to both ends, nothing is locked); locked (no other run moves
this table); moving; over, as all is read, or as the time is nearly up and the next run goes on; or
broken off. Where an end was away, `patiently` makes another attempt, from the beginning.

Invariants: what was committed is whole pages, each with its watermark, so an attempt that is broken
off loses nothing, and the next one goes on from the watermark; a page that another attempt has
written already changes nothing. Only absence is tried again here: what the ends refuse now, they
refuse in a minute as well. Longer waits are those of the job's own `retry`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from sereno import RunContext, RunError
from sereno_etl_ivr import position
from sereno_etl_ivr.errors import RejectsError, SourceAwayError, TargetAwayError
from sereno_etl_ivr.feed import Feed
from sereno_etl_ivr.layout import Layout, SourceTable, match
from sereno_etl_ivr.page import Copy, PageDamaged, SourcePage
from sereno_etl_ivr.pager import ahead, each
from sereno_etl_ivr.plan import Extent
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.source import Source, open_source
from sereno_etl_ivr.source.careful import careful_rows
from sereno_etl_ivr.table import FORMS, FOUND_OUT
from sereno_etl_ivr.tally import RowTally
from sereno_etl_ivr.target import AGGREGATED, Batch, Target, WatermarkPlace

_MARGIN = timedelta(seconds=5)
"""Time that is left for the end of a run however quick its pages are: the last commits, and to hang
up."""

_FIRST_WAIT = 1.0
_FACTOR = 3
"""Waits of 1, 3 and 9 seconds fit into the `patience` of half a minute: soon after an end that was
only restarted, and then no burden to one that is still starting."""

T = TypeVar("T")


class Session(msgspec.Struct):
    """One attempt's hold on a source's table and its target. `begun`: on the monotonic clock.

    `since` to `present`: the positions between which rows are filled in where the target holds
    none; nothing by default. `rejects_are_known`: they do not fail the run.
    """

    run: RunContext[Any]
    settings: Settings
    feed: Feed
    source: Source
    target: Target
    begun: float
    tally: RowTally = msgspec.field(default_factory=RowTally)
    slowest: timedelta = timedelta(0)
    total: int | None = None
    since: int = 0
    present: int = -1
    read_seconds: float = 0.0
    write_seconds: float = 0.0
    prepared: list[Target] = []
    writing: list[asyncio.Task[None]] = []
    rejects_are_known: bool = False

    async def describe(self) -> tuple[Layout, ZoneInfo]:
        """Return how the source's table is laid out today, and the zone of its cursor."""
        found = await self.source.describe()
        layout = self._match(found)
        if layout.cursor.source.reading and self.feed.table.time_format == FOUND_OUT:
            layout = await self._of_its_form(found, layout)
        is_utc = layout.cursor.source.family == "instant"  # a column with a zone shows UTC
        return layout, ZoneInfo("UTC") if is_utc else self.feed.zone

    def _match(self, found: SourceTable, form: str | None = None) -> Layout:
        feed, table = self.feed, self.feed.table
        if form is not None:
            table = msgspec.structs.replace(table, time_format=form)
        return match(table, found, feed.source_table, self.source.as_time)

    async def _of_its_form(self, found: SourceTable, first: Layout) -> Layout:
        """Return the layout of the first form in which some row has a time, be it of the likeliest
        where there is none, or no row."""
        for form in FORMS:
            layout = self._match(found, form)
            extent = await self.source.extent(layout)
            if extent.last is not None and extent.last >= position.OLDEST:
                return layout
        return first

    async def move(
        self,
        layout: Layout,
        zone: ZoneInfo,
        reading: AsyncGenerator[list[tuple[Batch, SourcePage]], None],
    ) -> bool:
        """Write page after page; True when the time was up before the last.

        Two sessions of the target take turns: one is given the next page while the other still
        merges the last, and a page's text is made before it is its turn. A batch commits only after
        the one before it.
        """
        last: asyncio.Task[None] | None = None
        before: asyncio.Task[None] | None = None
        late = False
        lanes = [self.target]
        begun = time.monotonic()
        async with AsyncExitStack() as stack:
            # Twice: what was read waits here, while the source is at what comes after it.
            coming = await stack.enter_async_context(aclosing(each(ahead(ahead(reading)))))
            stack.push_async_exit(self._settle)
            async for batch, page in coming:
                self.read_seconds += time.monotonic() - begun
                if self.is_late():
                    late = True
                    break
                copy = await page.copied()
                if before is not None and len(lanes) == 1:
                    lanes.append(await stack.enter_async_context(self.target.lane()))
                    stack.push_async_exit(self._settle)
                if last is not None:
                    await last
                    self.writing.remove(last)
                lanes.reverse()
                task = asyncio.create_task(
                    self._written(lanes[0], layout, zone, batch, page, copy, before)
                )
                self.writing.append(task)
                last, before = before, task
                begun = time.monotonic()
            if before is not None:
                await before
        return late

    async def _settle(self, error: type[BaseException] | None, *_: object) -> None:
        """Wait for what is being written; when the run ends in an error, end it too."""
        if error is not None:
            for task in self.writing:
                task.cancel()
        await asyncio.gather(*self.writing, return_exceptions=True)

    async def write(self, layout: Layout, zone: ZoneInfo, batch: Batch, page: SourcePage) -> None:
        """Write one page."""
        copy = await page.copied()
        await self._written(self.target, layout, zone, batch, page, copy, None)

    async def _written(
        self,
        target: Target,
        layout: Layout,
        zone: ZoneInfo,
        batch: Batch,
        page: SourcePage,
        copy: Copy,
        before: asyncio.Task[None] | None,
    ) -> None:
        """Write one page, after `before` has been; before the first, make the target ready."""
        begun = time.monotonic()

        async def wait() -> None:
            nonlocal begun
            if before is not None:
                await asyncio.shield(before)
            begun = time.monotonic()

        if target not in self.prepared:
            await target.prepare(layout, zone, self.since, self.present)
            self.prepared.append(target)
        try:
            if page.fault is not None:
                raise PageDamaged(page.fault)
            tally = await target.load(page, copy, batch, self.run.run_id, wait)
        except PageDamaged as fault:
            await wait()
            self.run.log.info("a page is read again cell by cell", extra={"fault": str(fault)})
            reading = self.source.rows(layout, batch.range)
            if page.fault is not None:
                reading = careful_rows(self.source, layout, batch.range)
            async with aclosing(reading) as rows:
                tally = await target.load_rows(rows, batch, self.run.run_id)
        spent = time.monotonic() - begun
        self.write_seconds += spent
        self.tally.add(tally)
        self.slowest = max(self.slowest, timedelta(seconds=spent))
        self._report()
        self._check_rejects()

    def check_times(self, layout: Layout, extent: Extent) -> None:
        """Raise RunError where the source has rows, and none has a time in its form: each would be
        loaded without one, and no figure be made of it."""
        source = layout.cursor.source
        if source.reading and extent.nulls and extent.first is None:
            raise RunError(
                f"source table '{self.feed.source_table}': what '{source.name}' holds is in no row "
                "a time; let its time_format say in which form it is, as %d/%m/%Y %H:%M:%S"
            )

    def check_loaded(self) -> None:
        """Raise RejectsError when nothing of what was read could be loaded, be it one row."""
        read, rejected = self.tally.read, self.tally.rejected + self.tally.still_rejected
        if 0 < read <= rejected:
            raise RejectsError(
                f"source '{self.feed.source}': none of the {read} rows that were read could be "
                "loaded; ivr.rejects says why"
            )

    def is_late(self) -> bool:
        """Tell whether the next batch might not end before the run's time is up."""
        deadline = self.run.deadline
        # A page may take twice as long as any before it; one that the timeout cuts off is undone.
        margin = max(2 * self.slowest, min(_MARGIN, self.settings.timeout / 10))
        return deadline is not None and self.run.now() + margin > deadline

    def _report(self) -> None:
        rate = self.tally.read / max(time.monotonic() - self.begun, 0.001)
        note = f"{rate:,.0f} rows a second"
        if rate and self.total is not None and self.total > self.tally.read:
            note += f", {timedelta(seconds=round((self.total - self.tally.read) / rate))} left"
        self.run.progress(self.tally.read, self.total, note)

    def _check_rejects(self) -> None:
        if self.rejects_are_known:
            return
        rejected = self.tally.rejected + self.tally.still_rejected
        share = rejected / max(self.tally.read, 1)
        if rejected > self.settings.reject_limit and share > self.settings.reject_share:
            raise RejectsError(
                f"source '{self.feed.source}': {rejected} of {self.tally.read} rows could not "
                f"be loaded, more than reject_limit ({self.settings.reject_limit}) and "
                f"reject_share ({self.settings.reject_share:.0%}) allow; ivr.rejects says why"
            )


@asynccontextmanager
async def opened(
    run: RunContext[Any], feed: Feed, tally: RowTally | None = None
) -> AsyncIterator[Session]:
    """Connect to both ends; nothing is locked yet."""
    settings: Settings = run.settings
    url = settings.target_url or run.database_url
    notes = bool(settings.aggregate) and feed.table.target in AGGREGATED
    place = WatermarkPlace(feed.source, feed.source_table, _fence(run, settings), notes)
    async with (
        open_source(settings, feed.source_table) as source,
        Target.connected(url, place) as target,
    ):
        yield Session(run, settings, feed, source, target, time.monotonic(), tally or RowTally())


async def patiently(run: RunContext[Any], work: Callable[[], Awaitable[T]]) -> T:
    """Do `work`, and again when an end was away, after ever longer waits.

    Gives up when `patience` or the run's time is up. Other errors are not tried again: a password
    that is wrong now will be wrong in a minute.
    """
    settings: Settings = run.settings
    wait = _FIRST_WAIT
    end = time.monotonic() + settings.patience.total_seconds()
    while True:
        try:
            return await work()
        except (SourceAwayError, TargetAwayError) as error:
            late = run.deadline is not None and run.now() + timedelta(seconds=wait) > run.deadline
            if late or time.monotonic() + wait > end:
                raise
            run.log.warning("an end is away", extra={"error": str(error), "wait_s": wait})
            await asyncio.sleep(wait)
            wait *= _FACTOR


def _fence(run: RunContext[Any], settings: Settings) -> Any:
    """Return what binds a batch to this run: the kernel's fence, where it can see the run."""
    if settings.target_url in (None, run.database_url):
        return run.fence

    async def elsewhere(_: object) -> None:
        """Leave it to the watermark's holder alone."""

    return elsewhere
