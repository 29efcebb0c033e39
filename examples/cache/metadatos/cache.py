"""The cache of a process: entries live for a time; the least used go where it is full."""

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple


class Cleaned(NamedTuple):
    """What a clean-up found and took away."""

    before: int
    after: int
    freed_bytes: int


class Cache:
    """At most `max_size` entries, each for `ttl` seconds; for all threads of a process."""

    def __init__(
        self, max_size: int = 2000, ttl: float = 3600, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.max_size, self.ttl = max_size, ttl
        self.hits = self.misses = self.evictions = 0
        self._clock, self._lock = clock, Lock()
        self._entries: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> bytes | None:
        """Return what is kept, None when nothing is or its time is over."""
        with self._lock:
            until, value = self._entries.get(key, (0.0, None))
            if value is None or until <= self._clock():
                self.misses += 1
                return None
            self.hits += 1
            self._entries.move_to_end(key)
            return value

    def put(self, key: str, value: bytes) -> None:
        """Keep `value`; where the cache is full, what was used least recently goes."""
        with self._lock:
            self._entries[key] = (self._clock() + self.ttl, value)
            self._entries.move_to_end(key)
            while len(self._entries) > self.max_size:
                self._entries.popitem(last=False)
                self.evictions += 1

    def clean(self) -> Cleaned:
        """Take away what has expired."""
        with self._lock:
            now, before = self._clock(), len(self._entries)
            gone = [key for key, (until, _) in self._entries.items() if until <= now]
            freed = sum(len(key) + len(self._entries.pop(key)[1]) for key in gone)
            return Cleaned(before, len(self._entries), freed)

    @property
    def hit_rate(self) -> float | None:
        """Percent of what was asked for that was there; None where nothing was asked for."""
        asked = self.hits + self.misses
        return round(100 * self.hits / asked, 1) if asked else None
