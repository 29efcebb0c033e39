"""The job `etl_ivr.backfill`: reads a range of the source again, beside the regular sync.

It gives the table's lock back every few seconds, so that a sync gets its turn, and keeps a
checkpoint, so that a run that was cut off goes on where it was.
"""

import asyncio
import time
from datetime import timedelta
from typing import Any

from msgspec import Struct

from sereno import RunContext, job, retry
from sereno_etl_ivr import position
from sereno_etl_ivr.feed import CALLS, chosen_feed
from sereno_etl_ivr.instants import local_position
from sereno_etl_ivr.layout import Layout
from sereno_etl_ivr.page import Range
from sereno_etl_ivr.pager import ranges
from sereno_etl_ivr.session import Session, opened, patiently
from sereno_etl_ivr.tally import RowTally
from sereno_etl_ivr.target import Batch

_MOVE_FOR = timedelta(seconds=5)
_PAUSE_SECONDS = 0.5
_PATIENCE = timedelta(minutes=15)


class BackfillParams(Struct, frozen=True, forbid_unknown_fields=True):
    """The range from `since` to before `until`: local times of the source, as 2026-03-01."""

    since: str
    until: str
    table: str = CALLS

    def __post_init__(self) -> None:
        if local_position(self.since) >= local_position(self.until):
            raise ValueError(f"since is {self.since}, it must lie before until, {self.until}")


@job(
    "etl_ivr.backfill",
    params=BackfillParams,
    timeout="12h",
    retry=retry(10, delay="30s", factor=2, max_delay="10m"),
)
async def backfill(run: RunContext[BackfillParams]) -> dict[str, Any]:
    """Read a range of the source again, in chunks that survive a restart."""
    begun, tally = time.monotonic(), RowTally()
    at = run.saved["at"] if run.saved else local_position(run.params.since)
    progress = [at]
    partial = await patiently(run, lambda: _attempted(run, progress, tally))
    return {
        "since": position.text(at),
        "until": position.text(local_position(run.params.until)),
        "reached": position.text(progress[0]),
        "partial": partial,
        "read": tally.read,
        "inserted": tally.inserted,
        "updated": tally.updated,
        "unchanged": tally.unchanged,
        "rejected": tally.rejected,
        "duration": round(time.monotonic() - begun, 3),
    }


async def _attempted(run: RunContext[BackfillParams], progress: list[int], tally: RowTally) -> bool:
    """Go on from `progress`; True when the time was up before the end."""
    end = local_position(run.params.until)
    async with opened(run, chosen_feed(run.settings, run.params.table), tally) as session:
        layout, zone = await session.describe()
        session.total = tally.read + await session.source.count(
            layout, Range(progress[0], end), 10**9
        )
        while progress[0] < end:
            if session.is_late() or not await session.target.lock(_PATIENCE):
                return True
            await session.target.hold(zone)
            progress[0] = await _move(session, layout, Range(progress[0], end))
            await session.target.finish(None)
            run.checkpoint({"at": progress[0]})
            await run.flush()
            await session.target.unlock()
            await asyncio.sleep(_PAUSE_SECONDS if progress[0] < end else 0)
    return False


async def _move(session: Session, layout: Layout, rest: Range) -> int:
    """Move pages for `_MOVE_FOR`; return where the next move begins."""
    _, zone = await session.describe()
    stop = time.monotonic() + _MOVE_FOR.total_seconds()
    async for within in ranges(session.source, layout, rest, session.settings.batch_size):
        whole = within.part == 0
        if whole and within.start > rest.start and (time.monotonic() > stop or session.is_late()):
            return within.start
        page = await session.source.page(layout, within)
        await session.write(layout, zone, Batch(within, None), page)
    return rest.end
