"""Decides whether this node may lead, as people have asked: it is drained, another is to, all rest.

What is asked stands in the database; a notification has it read at once, and it is read now and
then besides. A node that cannot read it goes by what it has read last: nobody is kept from leading
by a table that is locked.
"""

import asyncio
import logging
from uuid import UUID

from sereno.engine.aside import Aside
from sereno.engine.clock import steady
from sereno.engine.status import Status
from sereno.store.pool import Database
from sereno.store.standing import Standing, refuse, standing

log = logging.getLogger("sereno.leader")

READ_EVERY = 5.0
"""Seconds between readings: a notification brings one at once."""

HEARD = 0.3
"""Seconds in which all nodes hear of an order, and its own may refuse it: longer than a follower
waits between two tries."""

_YIELD = 2.5
"""Seconds for which a node leaves the lead to the one that is to have it: no longer, as that one
may be gone."""


class Orders:
    """What is asked of this node, as last read. `leads`: it takes the lead at all."""

    def __init__(self, db: Database, limit: float, status: Status, *, leads: bool = True) -> None:
        self._db = db
        self._leads = leads
        self._aside = Aside(limit)
        self._status = status
        self._known = Standing()
        self._next = 0.0
        self._yield_until = 0.0
        self._yielded_to: UUID | None = None
        self._woken = asyncio.Event()

    def observe(self, reason: str) -> None:
        """Take an order as a reason to read at once; any other notification is none."""
        if reason == "order":
            self._next = 0.0
            self._woken.set()

    async def obey(self, leaving: asyncio.Event, until: asyncio.Event) -> None:
        """Set `until` when this leader is `leaving`, or people ask it to give the lead up."""
        left = asyncio.ensure_future(leaving.wait())
        try:
            asked = False
            while not left.done():
                if await self.poll():
                    if asked:  # and nobody has taken it back
                        why = self._status.maintenance
                        log.info("asked to give the lead up", extra={"maintenance": why})
                        return
                    asked = True
                    await asyncio.wait({left}, timeout=HEARD)
                    continue
                asked = False
                woken = asyncio.ensure_future(self._woken.wait())
                await asyncio.wait(
                    {left, woken}, timeout=READ_EVERY, return_when=asyncio.FIRST_COMPLETED
                )
                woken.cancel()
                self._woken.clear()
        finally:
            left.cancel()
            until.set()

    async def poll(self) -> bool:
        """Tell whether this node is to leave the lead to others now; reads where that is due."""
        if steady() >= self._next:
            self._next = steady() + READ_EVERY
            node = self._status.node
            found = await self._aside.ask(lambda: standing(self._db, node))
            if found is not None:
                self._take(found)
                if found.successor == node and not self._leads:
                    await self._aside.ask(lambda: refuse(self._db, node))
        return self.held_back

    @property
    def held_back(self) -> bool:
        """Tell whether this node is to leave the lead to others, by what it knows."""
        if self._known.draining or self._known.maintenance is not None:
            return True
        return steady() < self._yield_until

    def _take(self, found: Standing) -> None:
        self._known = found
        self._status.draining = found.draining
        self._status.maintenance = found.maintenance
        if found.successor == self._yielded_to:
            return  # once for each: a node that is gone holds the others back no longer
        self._yielded_to = found.successor
        mine = found.successor in (None, self._status.node)
        self._yield_until = 0.0 if mine else steady() + _YIELD
