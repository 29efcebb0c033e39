"""Asks what an application counts of a cache of its own."""

from typing import Any

from sereno_cleanup.settings import CacheRule


async def statistics(database: Any, rule: CacheRule) -> tuple[float | None, int | None]:
    """Return hit rate in percent and evictions, as the application's own numbers say."""
    if rule.statistics is None:
        return None, None
    row = await database.fetchrow(rule.statistics)
    if row is None:
        return None, None
    found = dict(row)
    hits, misses = found.get("hits"), found.get("misses")
    asked = None if hits is None or misses is None else hits + misses
    rate = round(100 * float(hits or 0) / float(asked), 1) if asked else None
    evictions = found.get("evictions")
    return rate, None if evictions is None else int(evictions)
