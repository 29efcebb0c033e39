"""What wakes the firing loop between its instants: notifications and ends of runs."""

import asyncio
from contextlib import suppress


class Wakeup:
    """Collects reasons to wake; `wait` returns them all at once."""

    def __init__(self) -> None:
        self._reasons: set[str] = set()
        self._event = asyncio.Event()

    def ring(self, reason: str) -> None:
        """Wake whoever waits, for `reason`."""
        self._reasons.add(reason)
        self._event.set()

    async def wait(self, timeout: float) -> set[str]:
        """Return the reasons that have come, at the latest after `timeout` seconds.

        Others have their turn in any case, so that a loop with always something due starves
        nobody.
        """
        if timeout <= 0 or self._reasons:
            await asyncio.sleep(0)
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._event.wait()
        self._event.clear()
        reasons, self._reasons = self._reasons, set()
        return reasons
