"""The last two steps from an instant to the next that is due: what lies between needs no new one.

One step is what is due, the other what is due after it, and those two are asked for in turn.
"""

from datetime import datetime


class LastSteps:
    """The two newest steps; safe to share among threads, one of which may overwrite another's."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        self._steps: tuple[tuple[datetime, datetime], ...] = ()

    def find(self, after: datetime) -> datetime | None:
        """Return the answer to `after`, which a step leads past; None if neither does."""
        for start, end in self._steps:
            if start <= after < end:
                return end
        return None

    def add(self, start: datetime, end: datetime) -> None:
        """Keep that `end`, which is later, is the first that is due after `start`."""
        self._steps = ((start, end), *self._steps[:1])
