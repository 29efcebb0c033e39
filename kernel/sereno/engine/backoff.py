"""How long to wait before the next try, while the database is away."""

import random


class Backoff:
    """Waits that double from `first` to `longest` seconds, spread by half so that replicas part."""

    def __init__(self, first: float = 0.05, longest: float = 2.0) -> None:
        self._first, self._longest, self._next = first, longest, first

    def reset(self) -> None:
        """Begin anew: the last try went well."""
        self._next = self._first

    def wait(self) -> float:
        """Return the seconds to wait before the next try."""
        wait, self._next = self._next, min(self._next * 2, self._longest)
        return wait * (0.75 + random.random() / 2)  # noqa: S311 - spreads load, keeps no secret
