"""Shows on every replica how full cache tables are, and how much of what is asked is there."""

import contextlib

import asyncpg

from sereno import Collector, Metric, Sample
from sereno_cleanup.database import connected
from sereno_cleanup.hits import statistics
from sereno_cleanup.query import filled, query
from sereno_cleanup.settings import Settings
from sereno_cleanup.table import quoted

ENTRIES = Metric("cleanup_cache_entries", "gauge", "Entries of the cache, expired ones too.")
CAPACITY = Metric("cleanup_cache_capacity", "gauge", "How many entries the cache is made for.")

FULL_ABOVE = Metric(
    "cleanup_cache_full_above_ratio",
    "gauge",
    "Share of the capacity above which the cache is full.",
)
HITS = Metric(
    "cleanup_cache_hit_ratio", "gauge", "Share of what is asked of the cache that is there."
)
HITS_BELOW = Metric(
    "cleanup_cache_hit_below_ratio",
    "gauge",
    "Share of hits below which the cache serves too little.",
)


class CacheSizes(Collector):
    """Counts the entries of each cache; a table that is not there has none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Return the families."""
        return ENTRIES, CAPACITY, FULL_ABOVE, HITS, HITS_BELOW

    async def collect(self, database_url: str) -> list[Sample]:
        """Return the samples of each cache."""
        samples = []
        for rule in self._settings.caches:
            url = rule.database_url or self._settings.database_url or database_url
            labels = {"table": rule.table}
            async with connected(url, "cleanup caches") as database:
                samples.append(Sample(ENTRIES, await _count(database, quoted(rule.table)), labels))
                rate = None
                # What the job says is wrong with a statement need not be said with each scrape.
                with contextlib.suppress(asyncpg.PostgresError):
                    rate, _ = await statistics(database, rule)
                if rate is not None:
                    samples.append(Sample(HITS, rate / 100, labels))
                    samples.append(Sample(HITS_BELOW, rule.hit_rate_below, labels))
            if rule.capacity is not None:
                samples.append(Sample(CAPACITY, rule.capacity, labels))
                samples.append(Sample(FULL_ABOVE, rule.full_above, labels))
        return samples


async def _count(database: asyncpg.Connection, table: str) -> int:
    if await database.fetchval(query("table_exists"), table) is None:
        return 0
    return int(await database.fetchval(filled("count_rows", table=table)))
