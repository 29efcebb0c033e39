"""A clock that stands still until a test moves it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sereno.engine.clock import Clock
from sereno.model.duration import parse_duration

_START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock(Clock):
    """Tells the time that `advance` has set; nothing ever sleeps for real.

    Callable, so that it serves where a plain function of the time is asked for. Not for use from
    several threads.
    """

    def __init__(self, start: datetime = _START) -> None:
        super().__init__()
        self._now = start.astimezone(UTC)
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []
        self._arrival = asyncio.Event()

    def now(self) -> datetime:
        """Return the time that was set, aware UTC."""
        return self._now

    def __call__(self) -> datetime:
        """Return the time that was set, as a plain function of the time would."""
        return self._now

    def until(self, instant: datetime) -> float:
        """Return the seconds from now to `instant`, negative when it is past."""
        return (instant - self._now).total_seconds()

    @property
    def offset(self) -> float:
        """How many seconds the wall clock is ahead: none."""
        return 0.0

    def observe(self, there: datetime, sent: float, received: float) -> None:
        """Believe nobody but the test."""

    @property
    def sleepers(self) -> list[datetime]:
        """Return the instants that are waited for, the next one first."""
        return sorted(instant for instant, future in self._sleepers if not future.done())

    async def sleep(self, duration: str | float | timedelta) -> None:
        """Return once the clock has been advanced by `duration`."""
        await self.sleep_until(self._now + parse_duration(duration))

    async def sleep_until(self, instant: datetime) -> None:
        """Return once the clock shows `instant`."""
        if instant <= self._now:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((instant, future))
        self._arrival.set()
        await future

    def call_at(self, instant: datetime, callback: Callable[[datetime], None]) -> None:
        """Have the loop call `callback(instant)` once the clock shows it."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda _: callback(instant))
        self._sleepers.append((instant, future))

    async def asleep(self, count: int = 1) -> None:
        """Return once `count` tasks wait for this clock: an advance then comes to none too soon."""
        while len(self.sleepers) < count:
            self._arrival.clear()
            await self._arrival.wait()

    def advance(self, by: str | float | timedelta) -> datetime:
        """Move the clock by `by`, wake who is due, earliest first, and return the new time."""
        self._now += parse_duration(by)
        due = [s for s in self._sleepers if s[0] <= self._now]
        self._sleepers = [s for s in self._sleepers if s[0] > self._now]
        for _, future in sorted(due, key=lambda sleeper: sleeper[0]):
            if not future.done():
                future.set_result(None)
        return self._now

    def advance_to(self, instant: datetime) -> datetime:
        """Move the clock on to `instant`. Raises ValueError when it is past: time goes one way."""
        return self.advance(instant - self._now)
