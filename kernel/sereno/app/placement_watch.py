"""Looks now and then, while this node leads, for runs that no replica may take, so that metrics can
tell of them."""

import asyncio
from collections import Counter
from contextlib import suppress

from sereno.engine.status import Status
from sereno.model.errors import SerenoError
from sereno.store.placement_waits import placement_waits
from sereno.store.pool import Database

EVERY = 30.0
"""Seconds between looks: each reads what waits, up to 10,000 runs; an alert waits for minutes."""


async def watch_placement(db: Database, status: Status, every: float = EVERY) -> None:
    """Note by job how many runs are due that no replica may take, for ever."""
    while True:
        found: Counter[str] = Counter()
        if status.leading:
            with suppress(SerenoError):
                for wait in await placement_waits(db):
                    if not wait.same:
                        found[wait.job] += wait.runs
        status.without_node = found
        await asyncio.sleep(every)
