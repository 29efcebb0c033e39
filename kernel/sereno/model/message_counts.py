"""Counts what became of messages on this node, for the metrics page."""

from collections.abc import Collection, Iterator
from typing import Literal, get_args

Fate = Literal["sent", "retried", "failed", "unknown"]
"""Of one try: it arrived; it did not, and is tried again; it did not, and is given up; nobody
knows, and it is given up."""

NOBODY = "nobody"
"""The notifier of messages that no notifier carries."""


class MessageCounts:
    """Counts for each of `notifiers`, at 0 from the first."""

    def __init__(self, notifiers: Collection[str]) -> None:
        self._counts: dict[tuple[str, str], int] = {
            (name, fate): 0 for name in notifiers for fate in get_args(Fate)
        }
        self._counts[NOBODY, "kept"] = 0

    def count(self, notifier: str, fate: Fate) -> None:
        """Count one try."""
        self._counts[notifier, fate] += 1

    def keep(self, messages: int = 1) -> None:
        """Count messages that were kept, and that nobody hears."""
        self._counts[NOBODY, "kept"] += messages

    def __iter__(self) -> Iterator[tuple[str, str, int]]:
        """Yield notifier, fate and count."""
        return iter([(name, fate, n) for (name, fate), n in self._counts.items()])
