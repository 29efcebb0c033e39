"""Carries bulks out beside the firing loop, chunk after chunk, while this node leads.

States: idle, woken by a notification or every few seconds for an indexed look; busy, on the oldest
bulk, with a rest after each chunk as long as the chunk took. Invariants: the firing loop never
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
from sereno.store.bulk_queue import following

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

    def wake(self) -> None:
        """Take note that somebody has asked for a bulk."""
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
        """Do a chunk of the oldest bulk; tell whether there was one."""
        self._woken.clear()
        bulk = await following(self._term.db)
        if bulk is None:
            return False
        # What looks for runs is loaded with the first bulk: most nodes never meet one.
        await lazy("sereno.store.bulks").carry_on(self._term.db, self._term.number, bulk)
        return True

    async def _rest(self, busy: bool, took: float) -> None:
        if busy:
            await asyncio.sleep(REST * took)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY):
                await self._woken.wait()
