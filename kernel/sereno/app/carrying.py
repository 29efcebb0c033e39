"""Lets plugins carry messages on one node: shows them what goes wrong, and keeps what nobody
carries."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial

from sereno.app.node import Node
from sereno.engine.clock import steady
from sereno.model.carrier import Carrier, CarrierContext, Sight
from sereno.model.errors import StoreError
from sereno.model.fault import message
from sereno.model.message_counts import MessageCounts
from sereno.model.text import shortened, visible
from sereno.observe.job_watch import JobWatch
from sereno.observe.overdue_watch import EVERY, PATIENCE, OverdueWatch
from sereno.plugins.contained import ContainedLifespan, contained
from sereno.settings import redact
from sereno.store.messages import keep_unheard, prune_messages
from sereno.store.pool import DatabaseByUse

log = logging.getLogger("sereno.messages")

CONNECTIONS = 3
_OPENING = 10.0
_LEAVING = 20.0
_LOOKING = 30.0
"""Seconds that a carrier may take to begin, to end, and to tell what it has been shown."""
_KEEP = timedelta(days=30)
_PRUNE_EVERY = 3600.0


class Carrying:
    """The carriers of one node, by plugin, and what is done where there is none."""

    def __init__(self, node: Node, counts: MessageCounts) -> None:
        self._node = node
        self._counts = counts
        self._next_prune = 0.0
        states = node.registry.states
        self.carriers = {p: s for p, s in states.items() if isinstance(s, Carrier)}

    async def begin(self, context: CarrierContext, stack: AsyncExitStack) -> None:
        """Have every carrier at work until `stack` is left; one that fails is left out."""
        for plugin, carrier in list(self.carriers.items()):
            failed = partial(_log_failed, plugin)
            lifespan = ContainedLifespan(_Opened(carrier, context), failed)
            if error := await lifespan.open(_OPENING):
                failed(error)
                del self.carriers[plugin]
            else:
                stack.push_async_callback(self._end, plugin, lifespan)
        if context.notifiers and not self.carriers:
            facts = {"notifiers": sorted(context.notifiers), "remedy": "pip install sereno-notify"}
            log.warning("nobody is told of anything: no plugin carries messages", extra=facts)

    async def _end(self, plugin: str, lifespan: ContainedLifespan) -> None:
        if error := await lifespan.close(_LEAVING):
            _log_failed(plugin, error)

    async def show(self, sight: Sight) -> None:
        """Show `sight` to every carrier; without one, keep what jobs say. Raises StoreError."""
        for plugin, carrier in self.carriers.items():
            if error := await contained(partial(carrier.observe, sight), _LOOKING):
                if isinstance(error, StoreError):
                    raise error
                _log_failed(plugin, error)
        if not self.carriers:
            await self._keep()

    async def finish(self) -> None:
        """Have every carrier carry what is due; without one, keep what jobs say."""
        for plugin, carrier in self.carriers.items():
            if error := await contained(carrier.finish, _LEAVING):
                _log_failed(plugin, error)
        if not self.carriers:
            await self._keep()

    async def _keep(self) -> None:
        db = self._node.db
        while kept := await keep_unheard(db):
            self._counts.keep(len(kept))
            for job, row in kept:
                told = "nobody carries a message of a job, it is kept"
                log.warning(told, extra={"job": job, "message_row": row})
        if steady() >= self._next_prune:
            more = await prune_messages(db, _KEEP)
            self._next_prune = steady() + (0.0 if more else _PRUNE_EVERY)


class _Opened:
    """A carrier's context manager, which is asked for when it is entered: that may fail as well."""

    def __init__(self, carrier: Carrier, context: CarrierContext) -> None:
        self._make = partial(carrier.at_work, context)

    async def __aenter__(self) -> None:
        self._manager = self._make()
        await self._manager.__aenter__()

    async def __aexit__(self, *raised: object) -> None:
        await self._manager.__aexit__(*raised)  # type: ignore[arg-type]


@asynccontextmanager
async def carrying(
    node: Node,
    dsn: str,
    publish: Callable[[object], None],
    counts: MessageCounts,
    watch: JobWatch | None = None,
    *,
    every: float = EVERY,
    patience: float = PATIENCE,
) -> AsyncIterator[tuple[OverdueWatch, Carrying]]:
    """Look for overdue jobs meanwhile, and have plugins carry messages."""
    found = Carrying(node, counts)
    looking = OverdueWatch(
        node.db,
        watch or node.watch,
        node.status,
        publish,
        found.show,
        every=every,
        patience=patience,
    )
    db = DatabaseByUse(dsn, size=CONNECTIONS, application="sereno messages")
    context = CarrierContext(
        node=node.status.node,
        label=node.status.label,
        notifiers=node.registry.notifiers,
        jobs=node.registry.jobs,
        now=node.clock.now,
        connect=db.connection,
        on_duty=lambda: looking.on_duty,
        counts=counts,
        shown=_shown,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(db.close)
        await found.begin(context, stack)
        yield looking, found


@asynccontextmanager
async def watching(
    node: Node, dsn: str, publish: Callable[[object], None], counts: MessageCounts
) -> AsyncIterator[None]:
    """Look again and again, and carry, as a node does."""
    async with carrying(node, dsn, publish, counts) as (looking, _):
        task = asyncio.ensure_future(looking.work())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


def _log_failed(plugin: str, error: BaseException) -> None:
    log.error("messages cannot be carried", exc_info=error, extra={"plugin": plugin})


def _shown(told: str | BaseException, most: int) -> str:
    if isinstance(told, BaseException):
        told = message(told) or type(told).__name__
    return visible(redact(shortened(told, most)))
