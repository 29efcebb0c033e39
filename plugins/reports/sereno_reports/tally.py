"""Adds up a day's calls, one by one, into figures; holds no call."""

from bisect import bisect_right
from collections import Counter, defaultdict

from sereno_reports.call import Call
from sereno_reports.day import BusinessDay
from sereno_reports.figures import Facts, Figures, Row, together


class Tally:
    """A day's figures while they grow. A call counts in the hour in which it began."""

    def __init__(
        self, day: BusinessDay, service_level_seconds: int, short_abandon_seconds: int
    ) -> None:
        self._day = day
        self._level = service_level_seconds
        self._short = short_abandon_seconds
        self._hours = [(start, label, Facts()) for start, label in day.hours]
        self._starts = [start for start, _, _ in self._hours]
        self._queues: defaultdict[str, Facts] = defaultdict(Facts)
        self._agents: defaultdict[str, Facts] = defaultdict(Facts)
        self._waits: Counter[int] = Counter()

    def add(self, call: Call) -> None:
        """Count `call`, which began within the day."""
        facts = self._facts(call)
        at = bisect_right(self._starts, call.started_at) - 1
        self._hours[at][2].add(facts)
        if call.outbound:
            return
        if call.queue:
            self._queues[call.queue].add(facts)
        if call.agent and call.answered:
            self._agents[call.agent].add(facts)
        if facts.waits:
            self._waits[facts.wait_s] += 1

    def figures(self, *, partial: bool = False, provisional: bool = False) -> Figures:
        """Return the figures so far."""
        return Figures(
            day=self._day.date.isoformat(),
            zone=self._day.zone,
            partial=partial,
            provisional=provisional,
            total=together(facts for _, _, facts in self._hours),
            hours=[Row(label=label, start=start, facts=f) for start, label, f in self._hours],
            queues=_ranked(self._queues),
            agents=_ranked(self._agents),
            wait_p50_s=self._quantile(0.5),
            wait_p90_s=self._quantile(0.9),
            longest_wait_s=max(self._waits, default=None),
        )

    def _facts(self, call: Call) -> Facts:
        outcome = call.outcome(self._short)
        facts = Facts(**{outcome: 1})
        if outcome == "answered":
            facts.talk_s = call.talk
            if call.wait is not None:
                wait = max(call.wait, 0)
                facts.waits, facts.wait_s, facts.within = 1, wait, int(wait <= self._level)
        elif outcome == "abandoned":
            facts.abandon_s = call.length
        return facts

    def _quantile(self, share: float) -> int | None:
        """Return the smallest wait that `share` of the waits do not exceed."""
        seen = 0
        for wait in sorted(self._waits):
            seen += self._waits[wait]
            if seen >= share * self._waits.total():
                return wait
        return None


def _ranked(found: dict[str, Facts]) -> list[Row]:
    """Return rows with the most offered first, then by label."""
    rows = [Row(label=label, facts=facts) for label, facts in found.items()]
    return sorted(rows, key=lambda row: (-row.facts.offered, row.label))
