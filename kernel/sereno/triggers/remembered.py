"""A trigger that keeps its last two steps, so that each is computed once, and may be early.

A step of croniter costs 20 to 130 µs, and one of a plugin's trigger may cost more. The planner asks
for the slot that is due and for the one after it; who foresees the second beforehand has both at
hand when thousands are due at the same instant.
"""

from datetime import datetime

from sereno.triggers.steps import LastSteps
from sereno.triggers.trigger import Trigger


class Remembered(Trigger):
    """`trigger`, with the last two steps of this one schedule."""

    __slots__ = ("_steps", "_trigger")

    def __init__(self, trigger: Trigger) -> None:
        self._trigger = trigger
        self._steps = LastSteps()

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first slot strictly after `instant` (aware), in UTC, or None for none."""
        if known := self._steps.find(instant):
            return known
        answer = self._trigger.next_after(instant)
        if answer is not None and answer > instant:
            self._steps.add(instant, answer)
        return answer

    def put_off(self, instant: datetime) -> dict[datetime, datetime]:
        """The trigger's own."""
        return self._trigger.put_off(instant)

    @property
    def text(self) -> str:
        """The trigger's own."""
        return self._trigger.text

    @property
    def zone(self) -> str | None:
        """The trigger's own."""
        return self._trigger.zone
