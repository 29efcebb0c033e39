"""The figures of a day: additive facts, and the ratios that are derived from them when read."""

from collections.abc import Iterable
from datetime import datetime

import msgspec


class Facts(msgspec.Struct, kw_only=True):
    """Counts and sums that may be added over hours and days; ratios may not be averaged.

    `waits`: answered calls whose wait is known; `within`: those among them that waited no longer
    than the service level allows. All `_s` are seconds.
    """

    answered: int = 0
    abandoned: int = 0
    short: int = 0
    overflow: int = 0
    ivr: int = 0
    other: int = 0
    outbound: int = 0
    talk_s: int = 0
    wait_s: int = 0
    waits: int = 0
    within: int = 0
    abandon_s: int = 0

    @property
    def calls(self) -> int:
        """Return all inbound calls."""
        return self.offered + self.short + self.ivr + self.other

    @property
    def offered(self) -> int:
        """Return the calls that wanted an agent."""
        return self.answered + self.abandoned + self.overflow

    @property
    def answer_rate(self) -> float | None:
        """Return answered / offered."""
        return _ratio(self.answered, self.offered)

    @property
    def abandon_rate(self) -> float | None:
        """Return abandoned / offered."""
        return _ratio(self.abandoned, self.offered)

    @property
    def service_level(self) -> float | None:
        """Return answered in time / (answered with a known wait + abandoned)."""
        return _ratio(self.within, self.waits + self.abandoned)

    @property
    def handling_s(self) -> float | None:
        """Return the average handling time: talk / answered."""
        return _ratio(self.talk_s, self.answered)

    @property
    def answer_s(self) -> float | None:
        """Return the average speed of answer."""
        return _ratio(self.wait_s, self.waits)

    @property
    def abandon_after_s(self) -> float | None:
        """Return how long those who abandoned had stayed, on average."""
        return _ratio(self.abandon_s, self.abandoned)

    def add(self, other: "Facts") -> None:
        """Add `other` to these facts."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Row(msgspec.Struct, kw_only=True):
    """The facts of one hour, queue or agent."""

    label: str
    facts: Facts
    start: datetime | None = None


class Comparison(msgspec.Struct, kw_only=True):
    """The same weekday of the weeks before: those with a report, and their facts together."""

    days: list[str]
    facts: Facts


class Figures(msgspec.Struct, kw_only=True):
    """What a report says. `partial`: the day is not over. `provisional`: calls may be missing."""

    day: str
    zone: str
    partial: bool = False
    provisional: bool = False
    total: Facts
    hours: list[Row]
    queues: list[Row]
    agents: list[Row]
    wait_p50_s: int | None = None
    wait_p90_s: int | None = None
    longest_wait_s: int | None = None
    comparison: Comparison | None = None

    @property
    def peak(self) -> Row | None:
        """Return the hour with most offered, the earliest of equals, None on a day without."""
        best = max(self.hours, key=lambda row: row.facts.offered)
        return best if best.facts.offered else None


def together(parts: Iterable[Facts]) -> Facts:
    """Return the sum of `parts`."""
    total = Facts()
    for part in parts:
        total.add(part)
    return total


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
