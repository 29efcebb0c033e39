"""How long a leader may believe that it leads: a pure rule on the steady clock."""

MARGIN = 0.1
"""Share of the lease that is given away, for clocks that run at different speeds and scheduling
delays."""


class Trust:
    """The leader trusts itself until the last good heartbeat was *sent* plus the lease less a
    margin.

    The server counts its lease from when it last heard us, which is later; so our trust always ends
    first. Once ended it stays ended, whatever answer arrives late, until the lock is granted again.
    `end` may be called from any thread.
    """

    def __init__(self, lease: float) -> None:
        self._length = lease * (1 - MARGIN)
        self._until = float("-inf")
        self._over = True

    @property
    def until(self) -> float:
        """Return the steady time at which trust ends by itself."""
        return self._until

    def begin(self, sent: float) -> None:
        """The lock was granted to a statement sent at this steady time."""
        self._until = sent + self._length
        self._over = False

    def extend(self, sent: float) -> None:
        """A heartbeat sent at this steady time was answered well."""
        self._until = max(self._until, sent + self._length)

    def end(self) -> None:
        """The lead was given up or lost."""
        self._over = True

    def holds(self, now: float) -> bool:
        """Return whether the leader may act at this steady time."""
        return not self._over and now < self._until
