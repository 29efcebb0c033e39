"""One call, made of its legs, and what became of it."""

from datetime import datetime
from typing import Literal

import msgspec

Outcome = Literal["answered", "abandoned", "short", "overflow", "ivr", "other", "outbound"]
OUTCOMES: tuple[Outcome, ...] = (
    "answered",
    "abandoned",
    "short",
    "overflow",
    "ivr",
    "other",
    "outbound",
)
OFFERED: tuple[Outcome, ...] = ("answered", "abandoned", "overflow")


class Call(msgspec.Struct, frozen=True):
    """Seconds: `length` from the first leg's start to the last leg's end, `talk` with agents.

    `wait`: from the call's start to the agent's answer, None where the records do not tell.
    `reached`: a queue or an agent's phone was reached, answered or not.
    """

    started_at: datetime
    length: int
    answered: bool = False
    reached: bool = False
    voicemail: bool = False
    rejected: bool = False
    outbound: bool = False
    talk: int = 0
    wait: int | None = None
    queue: str | None = None
    agent: str | None = None

    def outcome(self, short_abandon_seconds: int) -> Outcome:
        """Return what became of this call; each call counts once."""
        if self.outbound:
            return "outbound"
        if self.answered:
            return "answered"
        if self.voicemail:
            return "overflow" if self.reached else "other"
        if self.reached:
            return "short" if self.length <= short_abandon_seconds else "abandoned"
        return "other" if self.rejected else "ivr"
