"""Decides when a disk will be full, as its last hours went on: a pure function."""

from collections.abc import Sequence

OF_HOURS = 6
_FEWEST = 3
_SHORTEST = 3600.0
_HALF = 0.5
_NOTHING = 0.001
"""Of a disk: where no more is free, it is full."""


def is_full(free: int, size: int) -> bool:
    """Tell whether nothing worth speaking of is left."""
    return free <= _NOTHING * size


def fills_in(measured: Sequence[tuple[float, int]], size: int) -> float | None:
    """Return in how many seconds from the last instant on nothing will be free, None for never.

    `measured`: instants in seconds, in their order, and what was free then. The trend is the line
    of least squares. Never, too: while over half of `size` is free, or before an hour was measured.
    """
    if len(measured) < _FEWEST or measured[-1][0] - measured[0][0] < _SHORTEST:
        return None
    last = measured[-1][1]
    if last >= _HALF * size:
        return None
    mean_at = sum(at for at, _ in measured) / len(measured)
    mean_free = sum(free for _, free in measured) / len(measured)
    spread = sum((at - mean_at) ** 2 for at, _ in measured)
    slope = sum((at - mean_at) * (free - mean_free) for at, free in measured) / spread
    return last / -slope if slope < 0 else None
