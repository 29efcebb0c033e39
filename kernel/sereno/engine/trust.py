"""How long a leader may believe that it leads: a pure rule on the steady clock."""

MARGIN = 0.1
"""Share of the lease that is given away, for clocks that run at different speeds and scheduling
delays."""


class Trust:
    """The leader trusts itself until the last good heartbeat was *sent* plus the lease less a
    margin.

    The server counts its lease from when it last heard us, which is later; so our trust always ends
    first.
    """

    def __init__(self, lease: float) -> None:
        self._length = lease * (1 - MARGIN)
        self._until = float("-inf")

    def extend(self, sent: float) -> None:
        """A heartbeat sent at this steady time was answered well."""
        self._until = max(self._until, sent + self._length)

    def end(self) -> None:
        """The lead was given up or lost."""
        self._until = float("-inf")

    def holds(self, now: float) -> bool:
        """Tell whether the leader may act at this steady time."""
        return now < self._until
