"""Counts what this node saw, in buckets, for each job."""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

from sereno.observe.exposition import escaped


class Distribution:
    """Observations of one job: how many fell into each bucket, their sum, the last of each bucket.

    `exemplars`: run, value and wall-clock instant (seconds) of that last one.
    """

    __slots__ = ("counts", "exemplars", "total")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.exemplars: list[tuple[int, float, float] | None] = [None] * buckets
        self.total = 0.0

    def add(self, other: "Distribution") -> None:
        """Take in what `other` has seen."""
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.exemplars = [b or a for a, b in zip(self.exemplars, other.exemplars, strict=True)]
        self.total += other.total


class Histogram:
    """A distribution per job. `bounds`: upper ends of the buckets in seconds, less infinity."""

    def __init__(self, name: str, meaning: str, bounds: tuple[float, ...]) -> None:
        self.name = name
        self.meaning = meaning
        self._bounds = bounds
        self._limits = [*(str(float(bound)) for bound in bounds), "+Inf"]
        self._jobs: dict[str, Distribution] = {}
        # Of thousands of jobs most have not run on this node: their lines differ in the head alone.
        self._empty = self._written("\0", Distribution(len(self._limits)), exemplars=False)

    def observe(self, job: str, value: float, run_id: int, at: float) -> None:
        """Count `value`, which `run_id` brought at the wall-clock instant `at`."""
        distribution = self._jobs.get(job)
        if distribution is None:
            distribution = self._jobs[job] = Distribution(len(self._limits))
        bucket = bisect_left(self._bounds, value)
        distribution.counts[bucket] += 1
        distribution.exemplars[bucket] = (run_id, value, at)
        distribution.total += value

    def lines(self, head: str, members: Iterable[str], *, exemplars: bool) -> str:
        """Return the lines of one row: `members` together, labelled `head` (``{job="a"``)."""
        seen = [self._jobs[job] for job in members if job in self._jobs]
        if not seen:
            return self._empty.replace("\0", head)
        distribution = seen[0]
        if len(seen) > 1:
            distribution = Distribution(len(self._limits))
            for part in seen:
                distribution.add(part)
        return self._written(head, distribution, exemplars=exemplars)

    def _written(self, head: str, distribution: Distribution, *, exemplars: bool) -> str:
        counts = list(accumulate(distribution.counts))
        name = self.name
        told = distribution.exemplars if exemplars else [None] * len(counts)
        lines = [
            f'{name}_bucket{head},le="{limit}"}} {count}{_exemplar(last) if last else ""}\n'
            for limit, count, last in zip(self._limits, counts, told, strict=True)
        ]
        lines.append(
            f"{name}_sum{head}}} {distribution.total}\n{name}_count{head}}} {counts[-1]}\n"
        )
        return "".join(lines)

    def forget(self, known: Iterable[str]) -> None:
        """Drop every job that is not among `known`."""
        self._jobs = {job: self._jobs[job] for job in known if job in self._jobs}


def _exemplar(last: tuple[int, float, float]) -> str:
    run_id, value, at = last
    return f' # {{run_id="{escaped(str(run_id))}"}} {value} {at:.3f}'
