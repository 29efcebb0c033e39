"""Nodes that tell people: the plugin as it is installed, what the kernel gives it, one database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

from sereno import CarrierContext, Notification, Notifier, hookimpl
from sereno.app.bus import Bus
from sereno.app.carrying import Carrying, carrying
from sereno.app.node import Node, new_status
from sereno.app.plugin_tables import tables_made
from sereno.engine.clock import Clock
from sereno.model.message_counts import MessageCounts
from sereno.observe.job_watch import JobWatch
from sereno.observe.overdue_watch import OverdueWatch
from sereno.plugins import HookDispatcher, collect, load_plugins
from sereno.settings import Settings
from sereno.store.pool import Database
from sereno.testing import Signals, make_tables
from sereno_notify import plugin
from sereno_notify.service import Service

QUICK = {"attempts": 3, "delay": "10ms", "jitter": 0}


class Recorder(Notifier):
    """Keeps what it is to send; `faults` are raised first, one a try."""

    name = "chat"

    def __init__(self, *faults: BaseException) -> None:
        self.sent: list[Notification] = []
        self.tries = 0
        self.faults = list(faults)
        self.signals = Signals()

    async def send(self, notification: Notification) -> None:
        self.tries += 1
        self.signals.say("try")
        if self.faults:
            raise self.faults.pop(0)
        self.sent.append(notification)
        self.signals.say("sent", about=notification.key, resolved=notification.resolved)

    async def wait(self, about: str, resolved: bool = False) -> None:
        await self.signals.wait("sent", about=about, resolved=resolved)

    @property
    def told(self) -> list[tuple[str, bool]]:
        return [(n.key, n.resolved) for n in self.sent]


class Post(Recorder):
    name = "post"
    takes_addresses = True


class Telling:
    """One node's service, and what shows it how jobs are."""

    def __init__(
        self, node: Node, service: Service, looking: OverdueWatch, carried: Carrying
    ) -> None:
        self.node = node
        self.service = service
        self.looking = looking
        self.take = service.take
        self.finish = carried.finish


def _notifying(notifiers: tuple[Notifier, ...]) -> Any:
    @hookimpl
    def sereno_register_notifiers() -> list[Notifier]:
        return list(notifiers)

    return SimpleNamespace(__name__="test", sereno_register_notifiers=sereno_register_notifiers)


@asynccontextmanager
async def telling(
    dsn: str,
    *notifiers: Notifier,
    leading: bool = True,
    looks: bool = True,
    publish: Any = lambda event: None,
    counts: MessageCounts | None = None,
    **settings: Any,
) -> AsyncIterator[Telling]:
    """Give a node that tells; `settings`: of the plugin. `looks`: again and again."""
    chosen = Settings(plugins={"notify": {"retry": QUICK, **settings}}, node_name="blue-1")
    planted = [("notify", plugin), ("test", _notifying(notifiers))]
    registry = collect(load_plugins(chosen, extra=planted, entry_points=False), chosen)
    status = new_status(chosen, uuid4())
    status.leading = leading
    hooks = HookDispatcher(registry)
    async with AsyncExitStack() as stack:
        node = Node(chosen, registry, dsn, status, Bus(hooks), clock=Clock())
        stack.push_async_callback(node.close)
        await node.db.open()
        hooks.registry = await tables_made(node.db, registry)
        node.registry = await stack.enter_async_context(hooks.lifespans(dsn))
        watch = JobWatch(node.db, fresh=0.0)
        stack.push_async_callback(watch.close)
        known = counts or MessageCounts(node.registry.notifiers)
        looking, carried = await stack.enter_async_context(
            carrying(node, dsn, publish, known, watch, every=0.05, patience=0.0)
        )
        if looks:
            await stack.enter_async_context(looked(looking))
        yield Telling(node, node.registry.states["notify"], looking, carried)


@asynccontextmanager
async def looked(looking: OverdueWatch) -> AsyncIterator[None]:
    task = asyncio.ensure_future(looking.work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def made(dsn: str) -> None:
    """Make the plugin's tables."""
    await make_tables(plugin, dsn, name="notify")


def context(db: Database, node: int = 1) -> CarrierContext:
    """Return what a node works with that only writes the register."""
    return CarrierContext(
        node=UUID(int=node),
        label="blue-1",
        notifiers={},
        jobs={},
        now=lambda: datetime.now(UTC),
        connect=db.connection,
        on_duty=lambda: False,
        counts=MessageCounts([]),
        shown=lambda told, most: str(told)[:most],
    )


async def rows(
    db: Database, columns: str = "key, notifier, state, resolved"
) -> list[tuple[Any, ...]]:
    """Return what is in the plugin's table, oldest first."""
    async with db.connection() as connection:
        query = f"SELECT {columns} FROM sereno_notify.notification WHERE notifier <> '' ORDER BY id"
        return [tuple(r) for r in await connection.fetch(query)]
