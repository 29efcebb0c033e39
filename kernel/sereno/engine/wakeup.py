"""What wakes the firing loop between its instants: notifications and ends of runs."""

import asyncio

_ROUNDED = 0.0005
"""Seconds by which uvloop's timers may ring early, as they count whole milliseconds: nothing would
be due yet, and whoever waits would go round for nothing."""


class Wakeup:
    """Collects reasons to wake; `wait` returns them all at once."""

    def __init__(self) -> None:
        self._reasons: set[str] = set()
        self._waiting: asyncio.Future[None] | None = None

    def ring(self, reason: str) -> None:
        """Wake whoever waits, for `reason`."""
        self._reasons.add(reason)
        if self._waiting is not None:
            _end(self._waiting)

    async def wait(self, timeout: float) -> set[str]:
        """Return the reasons that have come, at the latest after `timeout` seconds.

        The loop serves others in any case, so that a loop with always something due starves
        nobody.
        """
        if timeout <= 0 or self._reasons:
            await asyncio.sleep(0)
        else:
            loop = asyncio.get_running_loop()
            self._waiting = waiting = loop.create_future()
            alarm = loop.call_later(timeout + _ROUNDED, _end, waiting)
            try:
                await waiting
            finally:
                alarm.cancel()
                if self._waiting is waiting:  # a second one may wait while this one is cancelled
                    self._waiting = None
        reasons, self._reasons = self._reasons, set()
        return reasons


def _end(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
