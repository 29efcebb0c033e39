"""Decides how many connections the pages may have, and which one goes when another wants in.

Anyone who reaches the port can open connections and say nothing. Each costs a descriptor of this
process, which jobs, the database and log files need as well: so the pages have a part of them, and
a newcomer takes the place of the connection that is worth least. A scraper or a probe gets its
answer however many there are that ask nothing.
"""

import logging
import resource
from collections import Counter
from collections.abc import Iterable

from sereno.engine.clock import steady
from sereno.http.connection import Connection

log = logging.getLogger("sereno.http")

MOST = 256
"""Connections, where this process may have descriptors enough."""

_LEAST = 8
_PART = 4
_LOGGED_EVERY = 60.0


def most() -> int:
    """Return how many connections there may be: a quarter of this process's descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(_LEAST, min(MOST, soft // _PART))


class Room:
    """Room for so many connections."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._logged_at = float("-inf")

    def make(self, connections: Iterable[Connection]) -> bool:
        """Have room for one more: end the one that is worth least. False: all are being answered.

        One that is ended leaves by itself, with the next turn of the loop.
        """
        there = [c for c in connections if not c.dropped]
        if len(there) < self.places:
            return True
        self._log_full(there)
        idle = [(c.worth, n) for n, c in enumerate(there) if c.worth is not None]
        if not idle:
            return False
        there[min(idle)[1]].drop()
        return True

    def _log_full(self, there: list[Connection]) -> None:
        if steady() - self._logged_at < _LOGGED_EVERY:
            return
        self._logged_at = steady()
        peer, count = Counter(c.peer for c in there).most_common(1)[0]
        log.warning(
            "the pages have as many connections as they may, idle ones are ended",
            extra={"connections": len(there), "most": self.places, "peer": peer, "of_peer": count},
        )
