"""Finds two nodes that trusted themselves at once, from what each process logged of itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TrustSpan:
    """From when until when a process believed that it leads, in steady seconds."""

    label: str
    term: int
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two that led at once."""

    one: TrustSpan
    other: TrustSpan

    @property
    def since(self) -> float:
        return max(self.one.since, self.other.since)

    @property
    def seconds(self) -> float:
        return min(self.one.until, self.other.until) - self.since


def trust_spans(place: Path, deaths: Mapping[str, float]) -> list[TrustSpan]:
    """Read the logs in `place`; who died trusted nobody any more from then on."""
    found: list[TrustSpan] = []
    for file in sorted(place.glob("*.log")):
        since: dict[int, float] = {}
        until: dict[int, float] = {}
        ended: dict[int, float] = {}
        for text in file.read_text(errors="replace").splitlines():
            if '"trust' not in text:
                continue
            line = json.loads(text)
            if line["event"] == "trusted":
                since.setdefault(line["term"], line["since"])
                until[line["term"]] = max(until.get(line["term"], 0), line["until"])
            elif line["event"] == "trust ended":
                ended.setdefault(line["term"], line["at"])
        never = float("inf")
        death = deaths.get(file.stem, never)
        found += [
            TrustSpan(file.stem, t, since[t], min(until[t], ended.get(t, never), death))
            for t in since
        ]
    return sorted(found, key=lambda r: r.since)


def overlaps(found: list[TrustSpan]) -> list[Overlap]:
    """Return every pair that led at once."""
    pairs = [(one, other) for n, one in enumerate(found) for other in found[n + 1 :]]
    both = [Overlap(one, other) for one, other in pairs]
    return [o for o in both if o.seconds > 0]
