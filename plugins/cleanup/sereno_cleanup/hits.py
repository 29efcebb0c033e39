"""Asks what an application counts of a cache of its own."""

import math
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
    hits, misses = _number(found.get("hits")), _number(found.get("misses"))
    asked = None if hits is None or misses is None else hits + misses
    rate = round(100 * (hits or 0) / asked, 1) if asked else None
    evictions = _number(found.get("evictions"))
    return rate, None if evictions is None else int(evictions)


def _number(value: Any) -> float | None:
    """Return a count of whatever type, a text too; None for what is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None
