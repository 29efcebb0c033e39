"""The jobs `etl_ivr.sync` and `etl_ivr.sync.<table>`: move what is new or has changed.

Two layers try again. `session.patiently` waits out an end that is away for moments, within one run
of the kernel; what it could not wait out, and other errors, is for the job's `retry`. Neither can
load a row twice, so neither needs to know how far the one before it came.
"""

import time
from datetime import timedelta
from typing import Any

from msgspec import Struct

from sereno import Job, RunContext, job, retry
from sereno_etl_ivr import position
from sereno_etl_ivr.feed import CALLS, Feed, chosen_feed
from sereno_etl_ivr.layout import Layout
from sereno_etl_ivr.names import keep_names
from sereno_etl_ivr.pager import pages
from sereno_etl_ivr.plan import Extent, Segment, segments, unsettled, wall
from sereno_etl_ivr.session import Session, opened, patiently
from sereno_etl_ivr.tally import RowTally
from sereno_etl_ivr.target import Mark

_COUNTED = 1_000_000
_ZONE_TOLERANCE = timedelta(minutes=20)
_POLICIES: dict[str, Any] = {
    "timeout": "10m",
    "overdue_after": "7h",
    "severity": "critical",
    "retry": retry(4, delay="15s", factor=3, max_delay="5m"),
}


class SyncParams(Struct, frozen=True, forbid_unknown_fields=True):
    """`dry_run`: say what would be read, and move nothing."""

    dry_run: bool = False


@job("etl_ivr.sync", params=SyncParams, **_POLICIES)
async def sync(run: RunContext[SyncParams]) -> dict[str, Any]:
    """Move new and changed calls from the source into PostgreSQL."""
    return await synced(run, CALLS)


def sync_of(name: str) -> Job:
    """Return the job that moves one of the settings' other tables."""

    async def moving(run: RunContext[SyncParams]) -> dict[str, Any]:
        return await synced(run, name)

    description = f"Move new and changed rows of table '{name}' from the source into PostgreSQL."
    declared: Job = job(
        f"etl_ivr.sync.{name}", params=SyncParams, description=description, **_POLICIES
    )(moving)
    return declared


async def synced(run: RunContext[SyncParams], name: str) -> dict[str, Any]:
    """Move one feed; what an attempt moved before an end was away counts too."""
    begun = time.monotonic()
    feed = chosen_feed(run.settings, name)
    tally = RowTally()
    return await patiently(run, lambda: _attempted(run, feed, tally, begun))


async def _attempted(
    run: RunContext[SyncParams], feed: Feed, tally: RowTally, begun: float
) -> dict[str, Any]:
    async with opened(run, feed, tally) as session:
        if run.params.dry_run:
            return await _planned(session)
        if not await session.target.lock():
            run.log.info("another run moves this table", extra={"source": feed.source})
            return _result(begun, tally, skipped=True)
        return await _moved(session, begun)


async def _moved(session: Session, begun: float) -> dict[str, Any]:
    settings, target = session.settings, session.target
    layout, zone = await session.describe()
    extent = await session.source.extent(layout)
    session.check_times(layout, extent)
    before = await target.hold(zone)
    if not await target.widen(layout, session.is_late):
        session.run.log.info("ivr.calls gets columns with fractions; the next run goes on")
        return _result(begun, session.tally, partial=True)
    open_from = unsettled(extent, settings.overlap, zone)
    kept_from = session.feed.kept_from(extent.clock, zone)
    planned = list(segments(extent, before.settled, zone, kept_from))
    session.since = position.NULL if before.reached is None else before.reached
    session.present = wall(extent.clock, zone)
    session.total = await _count(session, layout, planned)
    rows = settings.batch_size, settings.max_rows_per_second
    partial = await session.move(
        layout, zone, pages(session.source, layout, planned, *rows, open_from)
    )
    # A source without a past may be yet to be filled, as from a copy: of that nothing is over.
    over = open_from if extent.has_past(zone) else None
    reached = await target.finish(None if partial else Mark(session.present, over), session.tally)
    session.check_loaded()
    if session.feed.name == CALLS:
        await keep_names(session)
    return _result(
        begun,
        session.tally,
        partial=partial,
        watermark_before=None if before.reached is None else position.text(before.reached),
        watermark=None if reached is None else position.text(reached),
        read_s=round(session.read_seconds, 3),
        write_s=round(session.write_seconds, 3),
        max_late_s=_lateness(session.tally, before.reached),
        **await _state(session, layout, extent),
    )


async def _state(session: Session, layout: Layout, extent: Extent) -> dict[str, Any]:
    """Return how old the newest row of the target is, and whether the zone seems to be right."""
    newest = None
    if extent.last is not None:
        newest = await session.target.highest(layout, session.present)
    lag = None
    if newest is not None:
        lag = (position.moment(session.present) - position.moment(newest)).total_seconds()
    apart = None
    if session.tally.inserted and newest is not None:
        apart = await session.target.zone_offset(layout, newest)
    if apart is not None and abs(apart) > _ZONE_TOLERANCE:
        session.run.log.warning(
            "source_timezone seems to be wrong: calls do not begin when their uniqueid says",
            extra={"zone": session.feed.zone.key, "apart_s": apart.total_seconds()},
        )
    return {
        "lag_s": lag,
        "zone_apart_s": None if apart is None else apart.total_seconds(),
    }


async def _planned(session: Session) -> dict[str, Any]:
    """Return what a sync would read now."""
    layout, zone = await session.describe()
    extent = await session.source.extent(layout)
    settled = await session.target.settled()
    kept_from = session.feed.kept_from(extent.clock, zone)
    ranges = [
        {
            "from": _shown(segment.range.start),
            "to": _shown(segment.range.end),
            "rows": await session.source.count(layout, segment.range, _COUNTED),
        }
        for segment in segments(extent, settled, zone, kept_from)
    ]
    return {"dry_run": True, "source_clock": str(extent.clock), "ranges": ranges}


def _shown(at: int) -> str | None:
    return position.text(at) if at >= 0 else None


def _lateness(tally: RowTally, reached: int | None) -> float:
    """Return by how much the latest row lay behind the watermark."""
    if tally.earliest is None or reached is None or not 0 <= tally.earliest < reached:
        return 0.0
    return (position.moment(reached) - position.moment(tally.earliest)).total_seconds()


async def _count(session: Session, layout: Layout, planned: list[Segment]) -> int | None:
    """Count what there is to read, for the progress; None when it is very much."""
    counts = [await session.source.count(layout, s.range, _COUNTED) for s in planned]
    return None if _COUNTED in counts else sum(counts)


def _result(
    begun: float, tally: RowTally, *, skipped: bool = False, **more: object
) -> dict[str, Any]:
    return {
        "processed": tally.processed,
        "inserted": tally.inserted,
        "updated": tally.updated,
        "rejected": tally.rejected,
        "duration": round(time.monotonic() - begun, 3),
        "read": tally.read,
        "unchanged": tally.unchanged,
        "still_rejected": tally.still_rejected,
        "settled_rejects": tally.settled_rejects,
        "vanished": tally.vanished,
        "batches": tally.batches,
        "repaired": tally.repaired,
        "skipped": skipped,
        **more,
    }
