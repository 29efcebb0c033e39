"""A node that watches and carries, with carriers of a test, on one database."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import msgspec

from sereno import Carrier
from sereno.app.bus import Bus
from sereno.app.carrying import Carrying, carrying
from sereno.app.node import Node, new_status
from sereno.engine.clock import Clock
from sereno.model.message_counts import MessageCounts
from sereno.observe.job_watch import JobWatch
from sereno.observe.overdue_watch import OverdueWatch
from sereno.plugins import HookDispatcher, collect, load_plugins
from sereno.settings import Settings


@asynccontextmanager
async def carrying_on(
    dsn: str,
    counts: MessageCounts | None = None,
    publish: Callable[[object], None] = lambda event: None,
    *,
    leading: bool = True,
    **carriers: Carrier,
) -> AsyncIterator[tuple[OverdueWatch, Carrying]]:
    """Give what watches and what carries on a node, whose `carriers` are plugins' states."""
    settings = Settings()
    registry = collect(load_plugins(settings, entry_points=False), settings)
    registry = msgspec.structs.replace(registry, states=carriers)
    status = new_status(settings, uuid4())
    status.leading = leading
    node = Node(settings, registry, dsn, status, Bus(HookDispatcher(registry)), clock=Clock())
    await node.db.open()
    watch = JobWatch(node.db, fresh=0.0)
    try:
        async with carrying(
            node, dsn, publish, counts or MessageCounts([]), watch, every=0.05, patience=0.0
        ) as found:
            yield found
    finally:
        await watch.close()
        await node.close()
