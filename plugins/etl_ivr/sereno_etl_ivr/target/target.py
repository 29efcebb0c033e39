"""Writes pages into the target, each in one transaction with its rejects and its watermark."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sereno_etl_ivr import position
from sereno_etl_ivr.errors import TargetError
from sereno_etl_ivr.layout import Layout
from sereno_etl_ivr.page import LONGEST_ID, LONGEST_NAME, Copy, PageDamaged, Range, Row, SourcePage
from sereno_etl_ivr.plan import Digest
from sereno_etl_ivr.query import query
from sereno_etl_ivr.shifts import Shift, shifts
from sereno_etl_ivr.tally import RowTally
from sereno_etl_ivr.target.batch import Batch, Mark
from sereno_etl_ivr.target.connection import BAD_ROW, connected, translated
from sereno_etl_ivr.target.copying import copy_page
from sereno_etl_ivr.target.counts import merge_tally
from sereno_etl_ivr.target.direct import columns, ending, is_direct
from sereno_etl_ivr.target.letters import fitting
from sereno_etl_ivr.target.repair import Reject, Repair
from sereno_etl_ivr.target.schema import ensure_schema
from sereno_etl_ivr.target.statements import Statements, statements
from sereno_etl_ivr.target.watermark import Watermark, WatermarkPlace
from sereno_etl_ivr.target.widening import needs_widening, widen

_PATIENCE = timedelta(seconds=5)
_LONG = timedelta(days=1000)
"""A longer range is searched for shifts of the clock only where it has calls."""

_HOURS = timedelta(hours=12)

Wait = Callable[[], Awaitable[None]]


class Target:
    """One session in the target, which holds the lock of one source's table. Raises TargetError.

    `beside`: another session of the same run, with whose right this one writes.
    """

    def __init__(
        self, connection: Any, url: str, place: WatermarkPlace, beside: "Target | None" = None
    ) -> None:
        self._connection = connection
        self._url = url
        self._place = place
        self._source = place.source
        self._table = place.table
        token = None if beside is None else beside._watermark.token
        self._watermark: Watermark = Watermark(connection, place, token)
        self._layout: Layout
        self._written: Statements
        self._repair: Repair
        self._free = range(0)
        self._has_rejects = False
        # Two that add to the end of one index at once look for their places anew for each row, and
        # cut its leaves in halves.
        self._copying: asyncio.Lock = asyncio.Lock() if beside is None else beside._copying
        self._zone = ZoneInfo("UTC")

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str, place: WatermarkPlace) -> AsyncIterator["Target"]:
        """Connect, and make the tables that are missing."""
        async with connected(url) as connection:
            with translated(url):
                await ensure_schema(connection)
            yield cls(connection, url, place)

    @asynccontextmanager
    async def lane(self) -> AsyncIterator["Target"]:
        """Open a second session that writes with this one's right, in turn with it."""
        async with connected(self._url) as connection:
            yield Target(connection, self._url, self._place, self)

    async def lock(self, patience: timedelta = _PATIENCE) -> bool:
        """Take the lock of this source's table; False when another session keeps it so long."""
        with translated(self._url):
            return await self._watermark.lock(patience)

    async def hold(self, zone: ZoneInfo) -> Mark:
        """Become the one who may move the watermark, and return where it stands.

        `zone`: of the source's local times.
        """
        with translated(self._url):
            return await self._watermark.hold(zone)

    async def prepare(self, layout: Layout, zone: ZoneInfo, since: int, present: int) -> None:
        """Make the staging table for `layout`. `zone`: of the source's local times.

        `since` to `present`: where rows may lie behind all that the target holds.
        """
        held = await self._ensure(layout, statements(layout))
        written = statements(layout, held)
        self._layout = layout
        self._written = written
        encoding = self._connection.get_settings().server_encoding
        self._repair = Repair(layout, written, utf8=encoding == "UTF8")
        self._zone = zone
        with translated(self._url):
            await self._connection.execute("DROP TABLE IF EXISTS pg_temp.page")
            await self._connection.execute(written.stage)
            highest = await self._connection.fetchval(written.highest, self._source, present)
        self._has_rejects = bool(await self.rejected())
        self._free = range(since if highest is None else max(highest + 1, since), present + 1)

    async def load(
        self, page: SourcePage, copy: Copy, batch: Batch, run_id: int, wait: Wait
    ) -> RowTally:
        """Merge a page as it came. Raises PageDamaged when it must be read cell by cell.

        `wait` is awaited before what the target holds is read. A page that is only filled in
        need not wait so long: its rows stand beside those of the page before, and commit after.
        """
        if page.has_longer_than(LONGEST_ID, self._layout.ids):
            raise PageDamaged("an id is longer than an index holds")
        try:
            with translated(self._url, of_rows=True):
                async with self._connection.transaction():
                    filled = None
                    if self._is_free(batch.range):
                        filled = await self._filled(page, copy)
                    else:
                        await self._copy(page, copy)
                    if filled is not None:
                        await wait()
                        await self._watermark.claim(
                            batch.mark, filled.inserted, self._layout.table.target, batch.range
                        )
                        return filled
                    found = await self._shifts(batch.range)
                    await wait()
                    await self._watermark.claim(batch.mark)
                    merged = await self._merged(batch.range, found)
                    tally = merge_tally(merged, batch, *await self._tidied(batch, run_id))
                    await self._watermark.count(tally, self._layout.table.target, batch.range)
        except BAD_ROW as error:
            raise PageDamaged(str(error)) from error
        return tally

    async def load_rows(
        self, rows: AsyncIterator[Sequence[Row]], batch: Batch, run_id: int
    ) -> RowTally:
        """Merge rows that came cell by cell; those that do not fit go to the rejects."""
        async with self._transaction(batch.mark):
            rejects = await self._repair.stage(self._connection, rows)
            found = await self._shifts(batch.range)
            merged = await self._repair.merge(
                self._connection, lambda: self._merged(batch.range, found), rejects
            )
            new = await self._reject(rejects, run_id)
            tally = merge_tally(merged, batch, *await self._tidied(batch, run_id))
            tally.read += len(rejects)
            tally.rejected = new
            tally.still_rejected = len(rejects) - new
            tally.repaired = 1
            await self._watermark.count(tally, self._layout.table.target, batch.range)
        return tally

    async def rejected(self) -> list[int]:
        """Return the positions at which rejects are kept."""
        with translated(self._url):
            found = await self._connection.fetch(
                query("rejected_positions"), self._source, self._table
            )
        return [row["position"] for row in found]

    async def widen(self, layout: Layout, is_late: Callable[[], bool]) -> bool:
        """Make room for fractions of a second where they are needed; False when time was up."""
        with translated(self._url):
            has = await self._connection.fetch(query("target_columns"), layout.table.target)
            if not needs_widening(layout, {row[0]: row[1] for row in has}):
                return True
            return await widen(self._connection, is_late)

    async def digests(self, layout: Layout, within: Range) -> dict[int, Digest]:
        """Digest what the target holds of each day, rejects included."""
        await self._ensure(layout, statements(layout))
        with translated(self._url):
            found = await self._connection.fetch(
                query("digests").format(target=layout.table.target),
                self._source,
                self._table,
                within.start,
                within.end,
            )
        return {f["day"]: Digest(f["rows"], int(f["checksum"])) for f in found}

    async def highest(self, layout: Layout, before: int) -> int | None:
        """Return the highest position before one that the target holds."""
        with translated(self._url):
            found: int | None = await self._connection.fetchval(
                query("highest").format(target=layout.table.target), self._source, before
            )
        return found

    async def settled(self) -> int | None:
        """Return where the next sync starts, and hold nothing."""
        with translated(self._url):
            return await self._watermark.settled()

    async def put_names(self, kind: str, names: Mapping[str, str], origin: str) -> None:
        """Keep how agents or queues are called; what `origin` gives no more is forgotten."""
        clean = {
            k: v.replace("\0", "").strip()[:LONGEST_NAME]
            for k, v in names.items()
            if "\0" not in k and len(k.encode()) <= LONGEST_ID
        }
        with translated(self._url):
            clean = await fitting(self._connection, clean)
            async with self._connection.transaction():
                ids = list(clean)
                await self._connection.execute(query("names_drop"), self._source, kind, ids, origin)
                await self._connection.execute(
                    query("names_put"), self._source, kind, ids, list(clean.values()), origin
                )

    async def unlock(self) -> None:
        """Give the lock back; the session stays."""
        with translated(self._url):
            await self._watermark.unlock()

    async def zone_offset(self, layout: Layout, newest: int) -> timedelta | None:
        """Return by how much instants mostly differ from uniqueids in the hours up to `newest`."""
        if layout.epoch is None:
            return None
        with translated(self._url):
            found: timedelta | None = await self._connection.fetchval(
                query("zone_offset").format(
                    target=layout.table.target,
                    instant=layout.table.instant,
                    epoch=query("epoch").format(column=layout.epoch.name),
                ),
                self._source,
                position.earlier(newest, _HOURS),
                newest,
            )
        return found

    async def _ensure(self, layout: Layout, written: Statements) -> dict[str, str]:
        """Make the target's table where it is missing; refuse one that lacks a column.

        Returns the types of its columns; none where it was made.
        """
        target = layout.table.target
        with translated(self._url):
            has = await self._connection.fetch(query("target_columns"), target)
            if not has:
                async with self._connection.transaction():
                    await self._connection.execute(query("schema_lock"))
                    await self._connection.execute(written.made)
                return {}
        missing = set(written.needs) - {row[0] for row in has}
        if missing:
            raise TargetError(
                f"target {target}: column '{min(missing)}' is missing; add what is missing, as in "
                f"the table that the plugin would make: {' '.join(written.made.split())}"
            )
        return {row[0]: row[1] for row in has}

    async def finish(self, mark: Mark | None, tally: RowTally | None = None) -> int | None:
        """Move the watermark a last time, wait until all is on disk, and return how far it is.

        `tally`: of a sync, whose share of rejects is kept.
        """
        async with self._transaction(mark, durable=True) as reached:
            if tally is not None:
                await self._watermark.record(tally)
            return reached

    @asynccontextmanager
    async def _transaction(
        self, mark: Mark | None, *, durable: bool = False
    ) -> AsyncIterator[int | None]:
        """Open a transaction that has the right to write; give the watermark's position."""
        with translated(self._url):
            async with self._connection.transaction():
                if durable:
                    await self._connection.execute(query("durable"))
                yield await self._watermark.claim(mark)

    async def _copy(self, page: SourcePage, copy: Copy) -> None:
        """Fill the staging table."""
        cells = [cell.name for cell in self._layout.cells]
        names = ["content", "position", *cells, "cursor time"]
        await copy_page(self._connection, page, copy, "pg_temp.page", names)

    def _is_free(self, within: Range) -> bool:
        """Tell whether no row that the target holds can be in a range.

        Only the watermark's holder writes, each page once; parts of one second share their range,
        and rows without a time have their instant from elsewhere.
        """
        if within.is_null or within.parts > 1:
            return False
        return within.start in self._free and within.end in self._free

    async def _filled(self, page: SourcePage, copy: Copy) -> RowTally | None:
        """Insert a page that meets nothing it could be compared with, by way of the staging table
        where each row needs another value; None when it is in that table alone, to be merged.
        """
        layout, zone = self._layout, self._zone
        if copy.distinct and is_direct(layout, page.range, zone):
            end, names = ending(self._source, zone, page.range), columns(layout)
            await copy_page(
                self._connection, page, copy, layout.table.target, names, end, self._copying
            )
        else:
            await self._copy(page, copy)
            if not copy.distinct or await self._shifts(page.range):
                return None
            await self._connection.execute(self._written.fill, self._source, zone.key)
        return RowTally(read=page.rows, inserted=page.rows, batches=1)

    async def _tidied(self, batch: Batch, run_id: int) -> tuple[int, int]:
        """Take out what the source no longer has, and rejects that are settled; count both.

        Of a part of a second it cannot be told what is missing.
        """
        within = batch.range
        if within.parts > 1:
            return 0, 0
        removed = 0
        if batch.removes:
            removed = await self._connection.fetchval(
                self._written.remove, self._source, within.start, within.end, self._table, run_id
            )
        settled = 0
        if self._has_rejects:
            settled = await self._connection.fetchval(
                query("settle_rejects"), self._source, self._table, within.start, within.end
            )
        return removed, settled

    async def _merged(self, within: Range, found: Sequence[Shift]) -> Any:
        return await self._connection.fetchrow(
            self._written.merge,
            self._source,
            within.start,
            within.end,
            self._zone.key,
            [shift.start for shift in found],
            [shift.end for shift in found],
            [shift.before for shift in found],
            [shift.after for shift in found],
        )

    async def _shifts(self, within: Range) -> list[Shift]:
        """Return the shifts of the clock that may concern the page in the staging table."""
        if within.is_null:
            return []
        zone = self._zone
        start, end = position.moment(within.start), position.moment(within.end)
        if end - start <= _LONG:
            return shifts(zone, start, end)
        days = [row[0] for row in await self._connection.fetch(self._written.days)]
        ends = [day.replace(hour=23, minute=59, second=59) for day in days]
        found = [s for day, end in zip(days, ends, strict=True) for s in shifts(zone, day, end)]
        return list(dict.fromkeys(found))

    async def _reject(self, rejects: Sequence[Reject], run_id: int) -> int:
        if not rejects:
            return 0
        self._has_rejects = True
        return int(
            await self._connection.fetchval(
                query("reject"),
                self._source,
                self._table,
                [reject.position for reject in rejects],
                [UUID(reject.content) for reject in rejects],
                [reject.reason for reject in rejects],
                [reject.raw for reject in rejects],
                run_id,
            )
        )
