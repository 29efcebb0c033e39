"""The queue of a rehearsal: what waits, in the order in which the leader's queue gives it."""

import bisect
import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from itertools import chain

from sereno.model.policies import Policies
from sereno.model.rehearsal import Hindrance

TurnNumbers = Mapping[tuple[str, str], int]
"""The number of each turn, by job and concurrency key, as the database reckons it."""


class RehearsedRun:
    """A run that is played. `serial`: of its attempt, so that an end which was foreseen for another
    one counts no more."""

    __slots__ = (
        *("attempt", "detail", "due_at", "hindrance", "id", "job", "key", "on_time_until"),
        *("policies", "priority", "run_at", "schedule", "schedule_id", "serial", "slot"),
        *("start_by", "times_out", "turn"),
    )

    def __init__(self, run_id: int, job: str, due_at: datetime, policies: Policies) -> None:
        self.id, self.job, self.due_at, self.run_at = run_id, job, due_at, due_at
        self.policies, self.priority = policies, policies.priority
        self.schedule_id: int | None = None
        self.schedule: str | None = None
        self.slot: datetime | None = None
        self.key: str | None = None
        self.start_by: datetime | None = None
        self.on_time_until: datetime | None = None
        self.attempt = self.serial = 0
        self.hindrance: Hindrance = "other"
        self.detail = ""
        self.times_out = False
        self.turn: int | None = None

    def may_begin(self, now: datetime) -> bool:
        """Tell whether its instant has come, and is not over."""
        in_time = self.start_by is None or self.start_by >= now or self.attempt > 0
        return self.run_at <= now and in_time


Wanted = Callable[[RehearsedRun], bool]


class _Level:
    """What waits with one priority, by job: without a key, and by turn."""

    def __init__(self) -> None:
        self._free: dict[str, list[RehearsedRun]] = {}
        self._turns: dict[str, list[int]] = {}
        self._by_turn: dict[int, list[RehearsedRun]] = {}

    def add(self, run: RehearsedRun) -> None:
        if run.turn is None:
            bisect.insort(self._free.setdefault(run.job, []), run, key=_order)
            return
        if run.turn not in self._by_turn:
            bisect.insort(self._turns.setdefault(run.job, []), run.turn)
            self._by_turn[run.turn] = []
        bisect.insort(self._by_turn[run.turn], run, key=_order)

    def remove(self, run: RehearsedRun) -> None:
        if run.turn is None:
            self._free[run.job].remove(run)
            return
        self._by_turn[run.turn].remove(run)
        if not self._by_turn[run.turn]:
            del self._by_turn[run.turn]
            self._turns[run.job].remove(run.turn)

    def free(self, jobs: Iterable[str]) -> Iterator[RehearsedRun]:
        """Yield what has no key, in the order of its instants."""
        return heapq.merge(*(self._free[j] for j in jobs if self._free.get(j)), key=_order)

    def keyed(
        self, jobs: Iterable[str], last: int | None, wanted: Wanted
    ) -> Iterator[RehearsedRun]:
        """Yield one of each turn, then the second of each, and so on; turns from below the one that
        was last, round to it again."""
        below: list[list[int]] = []
        above: list[list[int]] = []
        for job in jobs:
            turns = self._turns.get(job)
            if turns:
                place = len(turns) if last is None else bisect.bisect_left(turns, last)
                below.append(turns[:place][::-1])
                above.append(turns[place:][::-1])
        round_ = chain(heapq.merge(*below, reverse=True), heapq.merge(*above, reverse=True))
        again: list[Iterator[RehearsedRun]] = []
        found: Iterator[RehearsedRun]
        for turn in round_:
            found = filter(wanted, self._by_turn[turn])
            if (first := next(found, None)) is not None:
                yield first
                again.append(found)
        while again:
            rest, again = again, []
            for found in rest:
                if (following := next(found, None)) is not None:
                    yield following
                    again.append(found)


class WaitingLine:
    """All that waits. Between turns and what has no key every other place is the one's, as `Turns`
    has it."""

    def __init__(self, turns: TurnNumbers) -> None:
        self.jobs: Counter[str] = Counter()
        self._numbers = turns
        self._levels: dict[int, _Level] = {}
        self._runs: dict[int, RehearsedRun] = {}
        self._last: dict[int, int] = {}
        self._key_next = True

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run: RehearsedRun) -> bool:
        return run.id in self._runs

    def add(self, run: RehearsedRun) -> None:
        """Have `run` wait."""
        run.turn = None if run.key is None else self._number_of(run.job, run.key)
        self._runs[run.id] = run
        self.jobs[run.job] += 1
        self._levels.setdefault(run.priority, _Level()).add(run)

    def remove(self, run: RehearsedRun) -> None:
        """Have it wait no longer."""
        if self._runs.pop(run.id, None) is None:
            return
        self.jobs[run.job] -= 1
        if not self.jobs[run.job]:
            del self.jobs[run.job]
        self._levels[run.priority].remove(run)

    def taken(self, run: RehearsedRun) -> None:
        """Take note that a run has its place."""
        self._key_next = run.turn is None
        if run.turn is not None:
            self._last[run.priority] = run.turn
        self.remove(run)

    def ready(self, jobs: Collection[str], wanted: Wanted) -> Iterator[RehearsedRun]:
        """Yield what is `wanted` of `jobs`, in its order; nothing is taken or added meanwhile."""
        for priority in sorted(self._levels, reverse=True):
            level = self._levels[priority]
            free = filter(wanted, level.free(jobs))
            keyed = level.keyed(jobs, self._last.get(priority), wanted)
            first, second = (keyed, free) if self._key_next else (free, keyed)
            yield from _alternating(first, second)

    def _number_of(self, job: str, key: str) -> int:
        known = self._numbers.get((job, key))
        if known is not None:
            return known
        digest = blake2b(f"{job}\0{key}".encode(errors="surrogatepass"), digest_size=7)
        return int.from_bytes(digest.digest())


def _order(run: RehearsedRun) -> tuple[datetime, int]:
    return run.run_at, run.id


def _alternating(
    first: Iterator[RehearsedRun], second: Iterator[RehearsedRun]
) -> Iterator[RehearsedRun]:
    for one in first:
        other = next(second, None)
        if other is None:
            yield one
            yield from first
            return
        yield one
        yield other
    yield from second
