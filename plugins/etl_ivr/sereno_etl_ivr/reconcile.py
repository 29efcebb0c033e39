"""The job `etl_ivr.reconcile`: makes each day of the target what it is at the source today.

A sync reads again only what may still change (`overlap`). Renumbered extensions, erased callers and
imported histories change what is older. So each night both sides digest each day, and the days that
differ are read again as a whole. What the source no longer has is taken out, and kept in
`ivr.deleted`, unless the source has cleared the day: then the target is the archive.
"""

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from sereno import RunCancelled, RunContext, RunError, RunSuperseded, job, retry
from sereno_etl_ivr import position
from sereno_etl_ivr.errors import SourceAwayError, TargetAwayError
from sereno_etl_ivr.feed import Feed, chosen_feed, feeds
from sereno_etl_ivr.instants import local_position
from sereno_etl_ivr.layout import Layout
from sereno_etl_ivr.page import Range
from sereno_etl_ivr.pager import pages
from sereno_etl_ivr.plan import Digest, Segment, day_range, differing, is_purge, unsettled
from sereno_etl_ivr.session import Session, opened, patiently
from sereno_etl_ivr.source.careful import careful_digests
from sereno_etl_ivr.tally import RowTally

_AT_ONCE = 7
_LISTED = 60
_PATIENCE = timedelta(minutes=2)
_ALL_ON = 1
"""On this day of a month every day of the history is compared."""

Result = dict[str, Any]


class ReconcileParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Local times of the source, as 2026-03-01; `table` None for each one that is moved.

    `since` None for the last `reconcile_days`, and once a month for all.
    """

    since: str | None = None
    until: str | None = None
    table: str | None = None

    def __post_init__(self) -> None:
        for text in (self.since, self.until):
            if text is not None:
                local_position(text)


@job(
    "etl_ivr.reconcile",
    params=ReconcileParams,
    timeout="30m",
    overdue_after="50h",
    retry=retry(3, delay="5m"),
)
async def reconcile(run: RunContext[ReconcileParams]) -> Result:
    """Compare each day with the source, repair those that differ, and say what was repaired."""
    begun = time.monotonic()
    if run.params.table is not None:
        chosen = [chosen_feed(run.settings, run.params.table)]
    else:
        chosen = list(feeds(run.settings).values())
    found: list[Result] = []
    faults: list[str] = []
    for feed in chosen:
        try:
            found.append(await patiently(run, lambda feed=feed: _attempted(run, feed)))  # type: ignore[misc]
        except (SourceAwayError, TargetAwayError, RunSuperseded, RunCancelled):
            raise
        except RunError as error:  # a table's fault is its own
            faults.append(str(error))
    if faults:
        others = f" ({len(found)} other tables were compared)" if len(chosen) > 1 else ""
        raise RunError(f"{'; '.join(faults)}{others}")
    first = found[0] if len(found) == 1 else {"tables": found}
    return {**first, "duration": round(time.monotonic() - begun, 3)}


async def _attempted(run: RunContext[ReconcileParams], feed: Feed) -> Result:
    async with opened(run, feed) as session:
        if not await session.target.lock(_PATIENCE):
            run.log.info("another run moves this table", extra={"source": feed.source})
            return {"table": feed.name, "skipped": True}
        return await _reconciled(session)


async def _reconciled(session: Session) -> Result:
    layout, zone = await session.describe()
    extent = await session.source.extent(layout)
    await session.target.hold(zone)
    span = _span(session, unsettled(extent, session.settings.overlap, zone))
    kept_from = session.feed.kept_from(extent.clock, zone)
    span = Range(max(span.start, kept_from), max(span.end, kept_from))
    repaired: list[Result] = []
    compared, cleared, partial = 0, 0, False
    for within in _weeks(span, span.end if extent.first is None else extent.first):
        theirs = await careful_digests(session.source, layout, within)
        ours = await session.target.digests(layout, within)
        compared += len(theirs.keys() | ours.keys())
        for day in differing(theirs, ours):
            if day not in theirs:  # the source keeps no such day any more
                cleared += 1
                continue
            partial = session.is_late() or await _repaired(
                session, layout, zone, day, theirs, ours, repaired
            )
            if partial:
                break
        session.run.progress(compared, None, f"{compared} days compared, {len(repaired)} repaired")
        if partial or session.is_late():
            partial = True
            break
    await session.target.finish(None)
    return {
        "table": session.feed.name,
        "days": compared,
        "differing": len(repaired),
        "cleared_at_source": cleared,
        "repairs": repaired[:_LISTED],
        "partial": partial,
        **{name: getattr(session.tally, name) for name in _COUNTS},
    }


_COUNTS = ("inserted", "updated", "deleted", "rejected", "settled_rejects", "vanished")


async def _repaired(
    session: Session,
    layout: Layout,
    zone: ZoneInfo,
    day: int,
    theirs: Mapping[int, Digest],
    ours: Mapping[int, Digest],
    repaired: list[Result],
) -> bool:
    """Read a day again, and add what came of it to `repaired`; True when the time was up."""
    settings = session.settings
    purged = is_purge(theirs[day], ours.get(day), settings.delete_limit, settings.delete_share)
    before = RowTally()
    before.add(session.tally)
    reading = pages(
        session.source,
        layout,
        [Segment(day_range(day), advances=False)],
        settings.batch_size,
        settings.max_rows_per_second,
        position.OLDEST,
        removes=not purged,
    )
    late = await session.move(layout, zone, reading)
    found = {
        "day": position.text(day * 1_000_000)[:10],
        "source": theirs[day].rows,
        "target": ours[day].rows if day in ours else 0,
        "purged_at_source": purged,
        **{name: getattr(session.tally, name) - getattr(before, name) for name in _COUNTS},
    }
    repaired.append(found)
    session.run.log.warning("a day differed from the source", extra=found)
    return late


def _span(session: Session, settled: int) -> Range:
    """Return what is compared: nothing that a sync will read again anyway."""
    params: ReconcileParams = session.run.params
    if params.since is not None:
        start = local_position(params.since)
    elif session.run.slot is not None and session.run.slot.day == _ALL_ON:
        start = position.OLDEST
    else:
        start = position.earlier(settled, timedelta(days=session.settings.reconcile_days))
    end = settled if params.until is None else min(local_position(params.until), settled)
    return Range(start // 1_000_000 * 1_000_000, max(end // 1_000_000 * 1_000_000, start))


def _weeks(span: Range, first: int) -> list[Range]:
    """Cut a span into parts of some days, the newest first, down to the source's `first` row."""
    found: list[Range] = []
    start, end = max(span.start, first // 1_000_000 * 1_000_000), span.end
    while start < end:
        begins = max(position.earlier(end, timedelta(days=_AT_ONCE)), start)
        found.append(Range(begins, end))
        end = begins
    return found
