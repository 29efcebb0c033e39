"""The database's time, followed with a steady clock that no wall-clock step can move."""

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORGET_AFTER = 60.0
_SUSPEND_AWARE = getattr(time, "CLOCK_BOOTTIME", None)


def steady() -> float:
    """Return seconds on a clock that only grows, and also while the machine is suspended."""
    return time.monotonic() if _SUSPEND_AWARE is None else time.clock_gettime(_SUSPEND_AWARE)


class Clock:
    """Tells the database's time from samples of it.

    A sample's error is at most half its round trip, so the quickest one of the last minute is
    believed, and a later one only when it is quicker or proves the old one wrong.
    """

    def __init__(self) -> None:
        self._offset = time.time() - steady()
        self._trip = float("inf")
        self._taken = float("-inf")

    def now(self) -> datetime:
        """Return the database's time, aware UTC."""
        return _EPOCH + timedelta(seconds=steady() + self._offset)

    def until(self, instant: datetime) -> float:
        """Return the seconds from now to `instant`, negative when it is past."""
        return (instant - _EPOCH).total_seconds() - steady() - self._offset

    @property
    def offset(self) -> float:
        """How many seconds this machine's wall clock is ahead of the database's."""
        return time.time() - steady() - self._offset

    def observe(self, there: datetime, sent: float, received: float) -> None:
        """Take a sample: the database said `there` to a statement sent and answered at these steady
        times."""
        trip = received - sent
        offset = (there - _EPOCH).total_seconds() - (sent + received) / 2
        stale = received - self._taken > _FORGET_AFTER
        wrong = abs(offset - self._offset) > (trip + self._trip) / 2
        if stale or wrong or trip <= self._trip:
            self._offset, self._trip, self._taken = offset, trip, received
