"""The table: what each kind of fault cost, and whether that is within its bound."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from .account import Books, Finding
from .stage import Promotion
from .trust import Overlap

_HEAD = (
    "fault",
    "tried",
    "p50",
    "p99",
    "max",
    "bound",
    "slot waited",
    "slots lost",
    "slots doubled",
    "runs lost",
    "runs doubled",
    "two leaders",
    "another's result",
    "begun twice",
)


@dataclass(slots=True)
class Trial:
    """One fault that was tried. `replica`: who led. `at`: the database's time, `steady`: ours.

    `failover`: seconds until the next term began, None when none did. `waited`: the longest that a
    slot waited for its verdict. `faults`: what was out of bounds.
    """

    name: str
    replica: str
    at: datetime
    steady: float
    bound: float | None
    failover: float | None = None
    waited: float = 0.0
    faults: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Row:
    """One kind of fault."""

    name: str
    bound: float | None
    trials: list[Trial] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    overlaps: list[Overlap] = field(default_factory=list)

    def cells(self) -> list[str]:
        times = sorted(t.failover for t in self.trials if t.failover is not None)
        kinds = [f.kind for f in self.findings]
        return [
            self.name,
            str(len(self.trials)),
            *(seconds(quantile(times, q)) for q in (0.5, 0.99, 1.0)),
            "no change" if self.bound is None else f"{self.bound:g}",
            seconds(max((t.waited for t in self.trials), default=None)),
            *(
                str(kinds.count(kind))
                for kind in ("slot lost", "slot doubled", "run lost", "run doubled")
            ),
            str(len(self.overlaps) + kinds.count("two leaders")),
            *(str(kinds.count(kind)) for kind in ("another's result", "begun twice")),
        ]


def rows_of(
    trials: Sequence[Trial], findings: Sequence[Finding], overlaps: Sequence[Overlap]
) -> list[Row]:
    """Put each finding to the last fault before it."""
    rows: dict[str, Row] = {}
    for trial in trials:
        rows.setdefault(trial.name, Row(trial.name, trial.bound)).trials.append(trial)
    for finding in findings:
        before = [t for t in trials if t.at <= finding.at] or trials[:1]
        rows[before[-1].name].findings.append(finding)
    for overlap in overlaps:
        rows[fault_before(trials, overlap)].overlaps.append(overlap)
    return list(rows.values())


def fault_before(trials: Sequence[Trial], overlap: Overlap) -> str:
    """Return the name of the last fault before two trusted themselves at once."""
    earlier = [t for t in trials if t.steady <= overlap.since] or trials[:1]
    return earlier[-1].name


def table(rows: Sequence[Row]) -> str:
    """Return the table as Markdown, aligned."""
    return markdown([list(_HEAD), *(row.cells() for row in rows), _total(rows)])


def promotion_table(
    row: Row, rows: Sequence[Row], promotions: Sequence[Promotion], books: Books
) -> str:
    """Return what so many promotions cost, as Markdown."""
    kinds = [f.kind for r in rows for f in r.findings]
    times = sorted(t.failover for t in row.trials if t.failover is not None)
    lost = sorted(p.lost for p in promotions)
    forgotten = books.forgotten
    took = " / ".join(seconds(quantile(times, q)) for q in (0.5, 0.99, 1.0))
    return markdown(
        [
            ["what was seen", "count"],
            ["standbys promoted", str(len(promotions))],
            ["commits that they lacked, in all", str(sum(lost))],
            ["the most that one lacked", str(max(lost, default=0))],
            ["promoted without any known lack", str(lost.count(0))],
            ["seconds to the next leader, p50 / p99 / max", took],
            ["results attributed to another run", str(kinds.count("another's result"))],
            ['`on_lost="fail"` begun twice', str(kinds.count("begun twice"))],
            ["slots without a verdict, or with two", str(_slots(kinds))],
            ["slots made again (at least once)", str(forgotten.again)],
            ['`on_lost="fail"` not begun, for it may have run', str(forgotten.doubtful)],
            ["runs that the database knows nothing of", str(forgotten.gone)],
            ["promotions that `sereno verify` tells of", str(forgotten.told)],
        ]
    )


def _slots(kinds: Sequence[str]) -> int:
    return kinds.count("slot lost") + kinds.count("slot doubled")


def markdown(cells: Sequence[Sequence[str]]) -> str:
    """Return a table, its head first, with its columns aligned."""
    widths = [max(len(line[n]) for line in cells) for n in range(len(cells[0]))]

    def line(parts: Sequence[str]) -> str:
        first, *rest = zip(parts, widths, strict=True)
        shown = [first[0].ljust(first[1]), *(part.rjust(width) for part, width in rest)]
        return f"| {' | '.join(shown)} |"

    rule = "|".join(["-" * (widths[0] + 2), *("-" * (w + 1) + ":" for w in widths[1:])])
    return "\n".join([line(cells[0]), f"|{rule}|", *(line(c) for c in cells[1:])])


def _total(rows: Sequence[Row]) -> list[str]:
    counted = [row.cells() for row in rows]
    sums = {n: str(sum(int(c[n]) for c in counted)) for n in (1, *range(7, len(_HEAD)))}
    return ["all", *(sums.get(n, "") for n in range(1, len(_HEAD)))]


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the value below which so large a share of sorted `values` lies."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else None


def seconds(value: float | None) -> str:
    """Return it as the tables have it."""
    return "-" if value is None else f"{value:.2f}"
