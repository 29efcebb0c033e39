"""What a test waits on instead of sleeping: things said under a name, from any task or thread."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

Facts = Mapping[str, Any]


@dataclass(slots=True)
class Signals:
    """Keeps what was said until somebody waits for it, so that no order of the two can hang a test.

    Each thing said is taken once: two waits for one name take two.
    """

    said: list[tuple[str, Facts]] = field(default_factory=list)
    _waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def say(self, name: str, **facts: Any) -> None:
        """Say `name`; from any thread."""
        with self._lock:
            self.said.append((name, facts))
            waiters = list(self._waiters)
        for loop, event in waiters:
            loop.call_soon_threadsafe(event.set)

    async def wait(self, name: str, *, limit: float = 10.0, **facts: Any) -> Facts:
        """Take the first `name` said with at least these `facts`, now or later.

        Raises TimeoutError, which tells what was said instead, after `limit` seconds.
        """
        event = asyncio.Event()
        waiter = (asyncio.get_running_loop(), event)
        with self._lock:
            self._waiters.append(waiter)
        try:
            async with asyncio.timeout(limit):
                while (found := self._take(name, facts)) is None:
                    await event.wait()
                    event.clear()
                return found
        except TimeoutError:
            raise TimeoutError(f"nobody said '{name}' with {facts}; said: {self.said}") from None
        finally:
            with self._lock:
                self._waiters.remove(waiter)

    def _take(self, name: str, wanted: Facts) -> Facts | None:
        with self._lock:
            for index, (said, facts) in enumerate(self.said):
                if said == name and wanted.items() <= facts.items():
                    del self.said[index]
                    return facts
        return None
