"""Remembers which attempts have begun on this node, so that one that never did can be given back.

A claim whose answer was lost has made a run this node's that nobody here knows. If it has certainly
not begun it waits again and nothing is lost; if it may have, it counts as an attempt.
"""

from datetime import datetime, timedelta
from uuid import UUID

KEPT = 10_000
"""Attempts that are remembered at most, and half as many at least: those of five seconds at a
thousand a second, and more than a standby's lag lets a promotion forget."""

_SLACK = timedelta(seconds=1)
"""What this node's idea of the database's time may be off by."""


class RecentAttempts:
    """The newest attempts that have begun, by the bytes of their tokens: two sets, of which the
    older one is forgotten as a whole, cost a fifth of what an order with instants does."""

    def __init__(self, kept: int = KEPT) -> None:
        self._half = max(1, kept // 2)
        self._newer: set[bytes] = set()
        self._older: set[bytes] = set()
        self._turned: datetime | None = None
        self._forgotten: datetime | None = None

    def add(self, token: UUID, at: datetime) -> None:
        """Note that an attempt begins, at the database's time `at`."""
        if len(self._newer) >= self._half:
            self._older, self._newer = self._newer, set()
            self._turned, self._forgotten = at, self._turned
        self._newer.add(token.bytes)

    def never(self, token: UUID, claimed: datetime) -> bool:
        """Return whether an attempt that was claimed for this node at `claimed` has certainly not
        begun."""
        if token.bytes in self._newer or token.bytes in self._older:
            return False
        return self._forgotten is None or self._forgotten + _SLACK < claimed
