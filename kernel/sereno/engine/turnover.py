"""How soon a place of another node is free again, as what has ended there tells: pure counting.

Where places are soon free, runs stand in line for them at their node, so that none waits for the
leader between two. As many as end there in `WAIT`, by the count of the last second; none where
nothing has ended for as long: what takes longer than that is handed to a free place alone.
"""

from sereno.engine.clock import steady

WAIT = 0.25
"""Seconds that a run is to stand in line at most."""

LONGEST = 32
"""Runs in line at one node, for one executor: what the leader refills by halves, in one
statement."""

_SPAN = 1.0


class Turnover:
    """What has ended of late in one executor of one node: of this second, and of the one before."""

    def __init__(self) -> None:
        self._since = self._last = float("-inf")
        self._count = self._before = 0

    def ended(self) -> None:
        """Count one more that has ended."""
        self._last = now = steady()
        self._shift(now)
        self._count += 1

    def line(self) -> int:
        """Return how many may stand in line there now."""
        now = steady()
        if now - self._last > WAIT:
            return 0
        self._shift(now)
        second = self._before * (1 - (now - self._since) / _SPAN) + self._count
        return min(LONGEST, int(WAIT * second / _SPAN))

    def _shift(self, now: float) -> None:
        passed = now - self._since
        if passed >= _SPAN:
            new = passed >= 2 * _SPAN
            self._before = 0 if new else self._count
            self._since = now if new else self._since + _SPAN
            self._count = 0
