"""Carries bulks and back-fills out beside the firing loop, in chunks, while this node leads.

States: idle, woken by a notification or every few seconds for an indexed look; busy, on the oldest
bulk and each back-fill in turn, with a rest after each chunk as long as the chunk took; or waiting
for runs of back-fills, whose end wakes it too. Invariants: the firing loop never
waits for it; each chunk is a transaction of its own that carries the term; what a chunk meets, even
a fault of ours, costs that bulk time and the leader nothing.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sereno.engine.backoff import Backoff
from sereno.engine.clock import steady
from sereno.engine.term import Term
from sereno.model.errors import LeaseLostError, StoreError
from sereno.model.lazy import lazy
from sereno.store.bulk_queue import backfills, following

log = logging.getLogger("sereno.leader")

LOOK_EVERY = 5.0
"""Seconds between looks for a bulk of which no notification came."""

REST = 1.0
"""How much longer a rest is than the chunk before it: a bulk takes half of one connection's time,
so that claims and outcomes that meet its rows or the disk get through."""


class BulkWorker:
    """The bulks of one term."""

    def __init__(self, term: Term) -> None:
        self._term = term
        self._woken = asyncio.Event()
        self._filling = False

    def wake(self) -> None:
        """Take note that somebody has asked for a bulk or a back-fill."""
        self._woken.set()

    def run_over(self) -> None:
        """Take note that a run has ended: it may be one that a back-fill waits for."""
        if self._filling:
            self._woken.set()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Carry bulks out until the end of the block; a chunk under way is given up then."""
        task = asyncio.ensure_future(self._work())
        try:
            yield
        finally:
            task.cancel()

    async def _work(self) -> None:
        backoff = Backoff()
        while True:
            began = steady()
            try:
                busy = await self._chunk()
                backoff.reset()
            except LeaseLostError:
                return  # the firing loop learns of it by itself
            except StoreError as error:
                log.debug("a bulk waits", extra={"error": str(error)})
                await asyncio.sleep(backoff.wait())
            except Exception:  # a fault of ours is not worth the lead
                log.exception("a fault in what carries bulks out; it tries again")
                await asyncio.sleep(LOOK_EVERY)
            else:
                await self._rest(busy, steady() - began)

    async def _chunk(self) -> bool:
        """Do a chunk of the oldest bulk, and of each back-fill; tell whether there was any."""
        self._woken.clear()
        db, term = self._term.db, self._term.number
        busy = False
        bulk = await following(db)
        if bulk is not None:
            # What looks for runs is loaded with the first bulk: most nodes never meet one.
            await lazy("sereno.store.bulks").carry_on(db, term, bulk)
            busy = True
        orders = await backfills(db)
        self._filling = bool(orders)
        for order in orders:
            busy = await lazy("sereno.store.backfills").carry_on(db, term, order) or busy
        return busy

    async def _rest(self, busy: bool, took: float) -> None:
        if busy:
            await asyncio.sleep(REST * took)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY):
                await self._woken.wait()
