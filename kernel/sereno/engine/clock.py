"""The database's time, followed with a steady clock that no wall-clock step can move."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FORGET_AFTER = 60.0
_ROUNDING = 2e-6
_SUSPEND_AWARE = getattr(time, "CLOCK_BOOTTIME", None)

# Taken here: a job may put others in their place in the module, as libraries that freeze time do.
_read_clock = getattr(time, "clock_gettime", None)
_monotonic, _wall_time = time.monotonic, time.time


def steady() -> float:
    """Return seconds on a clock that only grows, and also while the machine is suspended."""
    if _SUSPEND_AWARE is None or _read_clock is None:
        return _monotonic()
    return float(_read_clock(_SUSPEND_AWARE))


class _Sample(msgspec.Struct, frozen=True, kw_only=True):
    taken: float
    trip: float
    offset: float

    def contradicts(self, other: "_Sample") -> bool:
        return abs(self.offset - other.offset) > (self.trip + other.trip) / 2 + _ROUNDING


class Clock:
    """Computes the database's time from samples of it.

    A sample's error is at most half its round trip, so the quickest one of the last minute is
    believed. One that cannot be right together with it tells that a clock was set: it alone counts.
    """

    def __init__(self) -> None:
        self._offset = _wall_time() - steady()
        self._samples: deque[_Sample] = deque()  # the quickest first, then newer and slower ones

    def now(self) -> datetime:
        """Return the database's time, aware UTC."""
        return _EPOCH + timedelta(seconds=steady() + self._offset)

    def until(self, instant: datetime) -> float:
        """Return the seconds from now to `instant`, negative when it is past."""
        return (instant - _EPOCH).total_seconds() - steady() - self._offset

    def call_at(self, instant: datetime, callback: Callable[[datetime], None]) -> None:
        """Have the loop call `callback(instant)` then; a timer may fire a little early."""
        asyncio.get_running_loop().call_later(self.until(instant), callback, instant)

    @property
    def offset(self) -> float:
        """How many seconds this machine's wall clock is ahead of the database's."""
        return _wall_time() - steady() - self._offset

    def observe(self, there: datetime, sent: float, received: float) -> None:
        """Take a sample: the database said `there` to a statement sent and answered at these steady
        times."""
        offset = (there - _EPOCH).total_seconds() - (sent + received) / 2
        sample = _Sample(taken=received, trip=received - sent, offset=offset)
        while self._samples and received - self._samples[0].taken > _FORGET_AFTER:
            self._samples.popleft()
        if self._samples and self._samples[0].contradicts(sample):
            self._samples.clear()
        while self._samples and self._samples[-1].trip >= sample.trip:
            self._samples.pop()
        self._samples.append(sample)
        self._offset = self._samples[0].offset
