"""The job `etl_ivr.sync`: moves what is new or changed since the last run."""

import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sereno import RunContext, job, retry
from sereno_etl_ivr import position
from sereno_etl_ivr.errors import RejectsError
from sereno_etl_ivr.layout import Layout, match
from sereno_etl_ivr.page import Page, PageDamaged
from sereno_etl_ivr.pager import ahead, pages
from sereno_etl_ivr.plan import Segment, segments, unsettled, wall
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.source import Source, open_source
from sereno_etl_ivr.table import CDR
from sereno_etl_ivr.tally import Tally
from sereno_etl_ivr.target import Batch, Mark, Target

_COUNTED = 1_000_000
_MARGIN = timedelta(seconds=5)


@job(
    "etl_ivr.sync",
    timeout="10m",
    overdue_after="7h",
    severity="critical",
    retry=retry(4, delay="15s", factor=3, max_delay="5m"),
)
async def sync(run: RunContext[dict[str, Any]]) -> dict[str, Any]:
    """Move new and changed calls from the source into PostgreSQL."""
    begun = time.monotonic()
    settings: Settings = run.settings
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(open_source(settings))
        target = await stack.enter_async_context(
            Target.connected(
                settings.target_url or run.database_url,
                settings.source,
                settings.source_table,
                _fence(run, settings),
            )
        )
        if not await target.lock():
            run.log.info("another run moves this table", extra={"source": settings.source})
            return _result(begun, Tally(), skipped=True)
        return await Sync(run, settings, source, target, begun).moved()


def _fence(run: RunContext[Any], settings: Settings) -> Any:
    """Return what binds a batch to this run: the kernel's fence, where it can see the run."""
    if settings.target_url in (None, run.database_url):
        return run.fence

    async def elsewhere(_: object) -> None:
        """Leave it to the watermark's holder alone."""

    return elsewhere


@dataclass(slots=True)
class Sync:
    """One run that has the lock. `begun`: on the monotonic clock."""

    run: RunContext[Any]
    settings: Settings
    source: Source
    target: Target
    begun: float
    tally: Tally = field(default_factory=Tally)
    slowest: timedelta = timedelta(0)
    total: int | None = None

    async def moved(self) -> dict[str, Any]:
        """Move pages until all is read or the time is nearly up, and return what came of it."""
        layout = match(CDR, await self.source.describe(), self.settings.source_table)
        zone = _zone(layout, self.settings)
        extent = await self.source.extent(layout)
        before = await self.target.hold()
        open_from = unsettled(extent, self.settings.overlap, zone)
        planned = list(segments(extent, before.settled, zone))
        self.total = await self._count(layout, planned)
        reading = pages(self.source, layout, planned, self.settings.batch_size, open_from)
        partial = await self._move(layout, zone, wall(extent.clock, zone), reading)
        reached = await self.target.finish(
            None if partial else Mark(wall(extent.clock, zone), open_from)
        )
        return _result(
            self.begun,
            self.tally,
            partial=partial,
            watermark_before=None if before.reached is None else position.text(before.reached),
            watermark=None if reached is None else position.text(reached),
        )

    async def _move(
        self,
        layout: Layout,
        zone: ZoneInfo,
        present: int,
        reading: AsyncGenerator[tuple[Batch, Page], None],
    ) -> bool:
        """Write page after page; True when the time was up before the last."""
        ready = False
        async with aclosing(ahead(reading)) as coming:
            async for batch, page in coming:
                if self._is_late():
                    return True
                if not ready:
                    counted = page.nulls is not None
                    await self.target.prepare(layout, zone, present, count_nulls=counted)
                    ready = True
                await self._load(layout, batch, page)
        return False

    async def _load(self, layout: Layout, batch: Batch, page: Page) -> None:
        begun = time.monotonic()
        try:
            tally = await self.target.load(page, batch)
        except PageDamaged as fault:
            self.run.log.info("a page is read again cell by cell", extra={"fault": str(fault)})
            async with aclosing(self.source.rows(layout, batch.range)) as rows:
                tally = await self.target.load_rows(rows, batch, self.run.run_id)
        self.tally.add(tally)
        self.slowest = max(self.slowest, timedelta(seconds=time.monotonic() - begun))
        self._report()
        self._check_rejects()

    async def _count(self, layout: Layout, planned: list[Segment]) -> int | None:
        """Count what there is to read, for the progress; None when it is very much."""
        counts = [await self.source.count(layout, s.range, _COUNTED) for s in planned]
        return None if _COUNTED in counts else sum(counts)

    def _is_late(self) -> bool:
        """Tell whether the next batch might not end before the run's time is up."""
        deadline = self.run.deadline
        margin = max(2 * self.slowest, min(_MARGIN, self.settings.timeout / 10))
        return deadline is not None and self.run.now() + margin > deadline

    def _report(self) -> None:
        seconds = max(time.monotonic() - self.begun, 0.001)
        self.run.progress(
            self.tally.read, self.total, f"{self.tally.read / seconds:,.0f} rows a second"
        )

    def _check_rejects(self) -> None:
        rejected = self.tally.rejected + self.tally.still_rejected
        share = rejected / max(self.tally.read, 1)
        if rejected > self.settings.reject_limit and share > self.settings.reject_share:
            raise RejectsError(
                f"source '{self.settings.source}': {rejected} of {self.tally.read} rows could not "
                f"be loaded, more than reject_limit ({self.settings.reject_limit}) and "
                f"reject_share ({self.settings.reject_share:.0%}) allow; ivr.rejects says why"
            )


def _zone(layout: Layout, settings: Settings) -> ZoneInfo:
    """Return the zone in which the source shows its cursor: a column with a zone shows UTC."""
    return ZoneInfo("UTC") if layout.cursor.source.family == "instant" else settings.zone


def _result(begun: float, tally: Tally, *, skipped: bool = False, **more: object) -> dict[str, Any]:
    return {
        "processed": tally.processed,
        "inserted": tally.inserted,
        "updated": tally.updated,
        "rejected": tally.rejected,
        "duration": round(time.monotonic() - begun, 3),
        "read": tally.read,
        "unchanged": tally.unchanged,
        "still_rejected": tally.still_rejected,
        "vanished": tally.vanished,
        "batches": tally.batches,
        "repaired": tally.repaired,
        "skipped": skipped,
        **more,
    }
