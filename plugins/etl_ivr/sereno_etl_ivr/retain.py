"""The job `etl_ivr.retain`: deletes what is older than it is to be kept, in small batches by key.

Figures of quarter hours outlive their calls: what calls are to go is counted first, and then their
quarter hours are frozen, and the facts of each call while these stay. Rows without a real time are
kept: the source would give them again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from sereno import RunContext, job, retry
from sereno_etl_ivr.feed import CALLS, Feed, feeds
from sereno_etl_ivr.plan import floor
from sereno_etl_ivr.session import patiently
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.target import AGGREGATED, Retention

_ROWS = 2000
_MARGIN = timedelta(seconds=10)


class RetainParams(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to say: the settings say it."""


@job(
    "etl_ivr.retain",
    params=RetainParams,
    timeout="30m",
    overdue_after="50h",
    retry=retry(2, delay="5m"),
)
async def retain(run: RunContext[RetainParams]) -> dict[str, Any]:
    """Delete what is older than it is to be kept."""
    return await patiently(run, lambda: _attempted(run))


async def _attempted(run: RunContext[RetainParams]) -> dict[str, Any]:
    begun = time.monotonic()
    settings: Settings = run.settings
    moved = feeds(settings)
    url = settings.target_url or run.database_url
    result: dict[str, Any] = {"partial": False, "tables": {}}
    async with Retention.connected(url) as retention:
        now = await retention.now()
        for name, feed in moved.items():
            found = result["tables"][name] = await _table(
                run, retention, feed, now, list(moved.values())
            )
            result["partial"] |= found.pop("partial")
        if settings.keep_figures:
            before = now - settings.keep_figures
            sources = {feed.source for feed in moved.values()}
            await retention.forget_figures(sorted(sources), before)
            counts = [
                await _all(run, lambda s=source: retention.quarters(s, before, _ROWS))  # type: ignore[misc]
                for source in sorted(sources)
            ]
            result["figures"] = sum(rows for rows, _ in counts)
            result["partial"] |= any(late for _, late in counts)
    return {**result, "duration": round(time.monotonic() - begun, 3)}


async def _table(
    run: RunContext[RetainParams],
    retention: Retention,
    feed: Feed,
    now: datetime,
    moved: list[Feed],
) -> dict[str, Any]:
    """Delete what is old of one table, its rejects, and what was taken out of it."""
    settings: Settings = run.settings
    found: dict[str, Any] = {"rows": 0, "partial": False}
    keep = feed.keep
    if keep:
        cutoff, instant = floor(now, keep, feed.zone)
        counted = feed.table.target in AGGREGATED and bool(settings.aggregate)
        if counted and not await retention.is_counted(feed.source, cutoff, moved):
            run.log.warning("rows are old and not counted yet", extra={"table": feed.name})
            found["waits_for_figures"] = True
        else:
            if feed.name == CALLS and counted:
                await retention.freeze(feed.source, instant)
                found["facts"], late = await _facts(run, retention, feed, now)
                found["partial"] |= late
            rows = retention.rows(feed, cutoff, _ROWS)
            found["rows"], late = await _all(run, rows)
            found["partial"] |= late
            if feed.name == CALLS and counted and settings.facts_kept:
                old, _ = floor(now, settings.facts_kept, feed.zone)
                _, late = await _all(run, lambda: retention.holds(feed.source, old, _ROWS))
                found["partial"] |= late
    for name, kept in (("rejects", settings.keep_rejects), ("deleted", settings.keep_deleted)):
        if kept:
            before = now - kept
            found[name], late = await _all(
                run,
                lambda n=name, b=before: retention.aside(n, feed, b, _ROWS),  # type: ignore[misc]
            )
            found["partial"] |= late
    return found


async def _facts(
    run: RunContext[RetainParams], retention: Retention, feed: Feed, now: datetime
) -> tuple[int, bool]:
    """Delete what is old of the facts of calls, which outlive them; return calls, and if late."""
    keep: timedelta = run.settings.facts_kept
    if not keep:
        return 0, False
    _, instant = floor(now, keep, feed.zone)
    await retention.forget_facts(feed.source, instant)
    return await _all(run, lambda: retention.facts(feed.source, instant, _ROWS))


async def _all(
    run: RunContext[RetainParams], batch: Callable[[], Awaitable[int]]
) -> tuple[int, bool]:
    """Delete batch after batch, each followed by a pause as long; return rows, and if late."""
    total = 0
    while True:
        if run.deadline is not None and run.now() + _MARGIN > run.deadline:
            return total, True
        begun = time.monotonic()
        rows = await batch()
        total += rows
        if not rows:
            return total, False
        await asyncio.sleep(time.monotonic() - begun)
