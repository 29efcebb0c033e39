"""Keeps what one attempt warns of until it is written: each text once, with how often it was said.

Bounds: `MAX_WARNINGS` texts of `MAX_WARNING` characters. What comes beyond is counted on one more
row, `OTHERS`, so that no count is lost, however a job loops.
"""

from threading import Lock

import msgspec

from sereno.engine.kept_text import kept
from sereno.model.run import RunWarning

MAX_WARNINGS = 50
"""Different texts kept of one attempt."""

MAX_WARNING = 1_000
"""Characters kept of a text."""

OTHERS = f"other warnings, of which the text was not kept: the limit is {MAX_WARNINGS} an attempt"


class RunWarnings(msgspec.Struct):
    """The warnings of one attempt, counted from any thread. `changed`: since they were taken."""

    times: dict[str, int] = {}
    changed: bool = False
    lock: Lock = msgspec.field(default_factory=Lock)

    def add(self, text: str) -> None:
        """Count `text` once more."""
        said = kept(text, MAX_WARNING)
        with self.lock:
            if said not in self.times and len(self.times) >= MAX_WARNINGS:
                said = OTHERS
            self.times[said] = self.times.get(said, 0) + 1
            self.changed = True

    def take(self) -> tuple[RunWarning, ...]:
        """Return all of them, where any has been counted since they were taken last."""
        with self.lock:
            if not self.changed:
                return ()
            self.changed = False
            return self._all()

    def last(self) -> tuple[RunWarning, ...]:
        """Return all of them, taken before or not."""
        with self.lock:
            return self._all()

    def _all(self) -> tuple[RunWarning, ...]:
        return tuple(
            RunWarning(number=n, message=text, times=times)
            for n, (text, times) in enumerate(self.times.items())
        )
