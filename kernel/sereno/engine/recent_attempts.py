"""Remembers which attempts have begun on this node, so that one that never did can be given back.

A claim whose answer was lost has made a run this node's that nobody here knows. If it has certainly
not begun it waits again and nothing is lost; if it may have, it counts as an attempt.
"""

from collections import OrderedDict
from datetime import datetime, timedelta
from uuid import UUID

KEPT = 10_000
"""Attempts that are remembered: those of ten seconds at a thousand a second, and more than a
standby's lag lets a promotion forget."""

_SLACK = timedelta(seconds=1)
"""What this node's idea of the database's time may be off by."""


class RecentAttempts:
    """The newest attempts that have begun, by their tokens."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._begun: OrderedDict[UUID, datetime] = OrderedDict()
        self._forgotten: datetime | None = None

    def add(self, token: UUID, at: datetime) -> None:
        """Note that an attempt begins, at the database's time `at`."""
        self._begun[token] = at
        if len(self._begun) > self._kept:
            _, self._forgotten = self._begun.popitem(last=False)

    def never(self, token: UUID, claimed: datetime) -> bool:
        """Return whether an attempt that was claimed for this node at `claimed` has certainly not
        begun."""
        if token in self._begun:
            return False
        return self._forgotten is None or self._forgotten + _SLACK < claimed
