"""The job that clears cache tables of what has expired, and tells how well they serve."""

import time
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import msgspec

from sereno import Message, RunContext, cron, job, retry
from sereno_cleanup.database import connected
from sereno_cleanup.expiry.pace import Pace
from sereno_cleanup.expiry.rows import ExpiredRows
from sereno_cleanup.expiry.shape import ShapeError, shape_of
from sereno_cleanup.fault import STOPPED, sentence
from sereno_cleanup.hits import statistics
from sereno_cleanup.logs import CleanupFailedError
from sereno_cleanup.query import filled
from sereno_cleanup.settings import CacheRule, Settings
from sereno_cleanup.tally import SweepCount, add

_TITLE = 200
_NO_FIGURES = ("table", "warnings")


class CacheCleared(msgspec.Struct):
    """What became of one cache. `hit_rate` (percent), `evictions`: None where nobody counts."""

    table: str
    timestamp: str
    entries_before: int
    entries_after: int
    entries_removed: int
    memory_freed_kb: int
    duration_ms: float
    hit_rate: float | None
    evictions: int | None
    warnings: list[str]


class Sizes:
    """Adds up what the rows that go have taken."""

    columns = "pg_column_size(expired.*)"
    durable = False

    def __init__(self) -> None:
        self.total_bytes = 0

    async def keep(self, rows: list[Any]) -> None:
        """Count `rows`."""
        self.total_bytes += sum(row[0] for row in rows)

    async def settle(self) -> None:
        """Do nothing: what is counted is counted."""


@job(
    "cleanup.caches",
    schedule=cron("0 * * * *"),
    timeout="10m",
    retry=retry(3, delay="30s"),
    overdue_after="2h",
    severity="warning",
)
async def caches(run: RunContext[dict[str, Any]]) -> dict[str, Any]:
    """Delete expired entries of each cache table.

    Warnings (too full, too few hits) are logged, stand in the result, and are told to people once a
    day. Raises CleanupFailedError, after every cache had its turn, when one could not be cleared.
    """
    settings: Settings = run.settings
    cleared: list[CacheCleared] = []
    failures: list[str] = []
    for rule in settings.caches:
        url = rule.database_url or settings.database_url or run.database_url
        try:
            async with connected(url, "cleanup.caches") as database:
                cleared.append(await _clear(run, database, rule))
        except STOPPED:
            raise
        except Exception as error:  # a cache's fault is its own
            failures.append(f"{rule.table}: {sentence(error)}")
    counts = [
        SweepCount(one.table, "deleted", one.entries_removed, 1024 * one.memory_freed_kb)
        for one in cleared
    ]
    await add(run.database_url, run.job, counts)
    if failures:
        raise CleanupFailedError("; ".join(failures))
    return {"caches": msgspec.to_builtins(cleared)}


async def _clear(run: RunContext[dict[str, Any]], database: Any, rule: CacheRule) -> CacheCleared:
    began = time.perf_counter()
    shape = await shape_of(database, rule.table, rule.column, timedelta(0), "UTC", cascade=True)
    if shape is None:
        raise ShapeError("there is no such table")
    count = filled("count_rows", table=shape.table)
    before = await database.fetchval(count)
    removed, sizes, refused = 0, Sizes(), list[str]()
    pace = Pace(run, database)
    for leaf in shape.leaves:
        rows = ExpiredRows(database, shape, leaf.name, "true", rule.batch)
        async with aclosing(rows.delete(sizes)) as batches:
            async for gone in batches:
                removed += gone
                run.progress(removed, note=rule.table)
                if not await pace.pause():
                    break
        refused += rows.refused
    after = await database.fetchval(count)
    hit_rate, evictions = await statistics(database, rule)
    cleared = CacheCleared(
        table=rule.table,
        timestamp=run.now().isoformat(),
        entries_before=before,
        entries_after=after,
        entries_removed=removed,
        memory_freed_kb=sizes.total_bytes // 1024,
        duration_ms=round(1000 * (time.perf_counter() - began), 2),
        hit_rate=hit_rate,
        evictions=evictions,
        warnings=[*_warnings(rule, after, hit_rate), *refused[:1]],
    )
    run.log.info("cache cleared", extra=msgspec.to_builtins(cleared))
    for warning in cleared.warnings:
        run.log.warning("cache needs a look", extra={"table": rule.table, "warning": warning})
    if cleared.warnings:
        run.notify(_warning_message(cleared), key=f"{rule.table} {cleared.timestamp[:10]}")
    return cleared


def _warning_message(cleared: CacheCleared) -> Message:
    """Return what people are told of a cache, with all that is known of it."""
    figures = {k: v for k, v in msgspec.to_builtins(cleared).items() if k not in _NO_FIGURES}
    lines = [f"{name}: {'unknown' if v is None else v}" for name, v in figures.items()]
    title = " ".join(f"cache {cleared.table}: {cleared.warnings[0]}".split())
    return Message(
        title if len(title) <= _TITLE else f"{title[: _TITLE - 1]}…",
        "\n".join([*cleared.warnings, "", *lines]),
        severity="warning",
    )


def _warnings(rule: CacheRule, entries: int, hit_rate: float | None) -> list[str]:
    found = []
    if rule.capacity is not None and entries > rule.full_above * rule.capacity:
        found.append(
            f"{100 * entries / rule.capacity:.1f} % of its capacity is taken ({entries} of "
            f"{rule.capacity}): make it larger, or its entries shorter-lived"
        )
    if hit_rate is not None and hit_rate < 100 * rule.hit_rate_below:
        found.append(f"only {hit_rate} % of what is asked of it is there")
    return found
