"""Tells of a session that keeps all nodes from the lead and is none of them."""

import logging
from functools import partial

from sereno.engine.aside import Aside
from sereno.engine.clock import steady
from sereno.store.backend import Backend
from sereno.store.holder import stranger
from sereno.store.pool import Database

log = logging.getLogger("sereno.leader")

_EVERY = 10.0
"""Seconds between a follower's looks at who holds the leader's lock."""


class StrangerWatch:
    """A follower's."""

    def __init__(self, db: Database, aside: Aside) -> None:
        self._db = db
        self._aside = aside
        self._next = 0.0
        self._known: Backend | None = None

    async def poll(self) -> None:
        """Log once who it is, when it is time to look."""
        if steady() < self._next:
            return
        self._next = steady() + _EVERY
        before = self._known
        self._known = await self._aside.ask(partial(stranger, self._db))
        if self._known is not None and self._known != before:
            log.warning(
                "nobody can lead: the leader's lock is held by a session that is no node's",
                extra={"holder": str(self._known), "remedy": self._known.remedy},
            )
