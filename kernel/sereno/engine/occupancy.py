"""Which runs are under way or waiting, and whether one more may start: pure bookkeeping.

What takes places: a run under way (`add`), one that is about to have its number (`reserve`), and an
attempt that was left behind (`hold`). The latter two are not among the runs by number: the one has
none yet, and the number of the other may be another attempt's by now.

Invariants: the counts are those of what was put in and not taken out again; to take out what is not
there changes nothing, so a leader that is deposed in the midst of a batch may clear all of it.
"""

from collections import Counter
from datetime import datetime
from uuid import UUID

import msgspec

from sereno.model.run import Outcome


class RunPlace(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a run under way counts for. `key`: concurrency key. `foreign`: on another node."""

    job: str
    schedule_id: int | None = None
    key: str | None = None
    executor: str = "async"
    foreign: bool = False


class Reservation(RunPlace, frozen=True, kw_only=True, gc=False, eq=False):
    """A place that is kept for a run which has no number yet; each is its own, however equal."""


class Occupant(RunPlace, frozen=True, kw_only=True, gc=False):
    """A run that is not over. `running` false: it waits in the queue.

    `token`: of the attempt under way, None while it is being claimed. `start_by`: when it is too
    late for it to begin.
    """

    run_id: int
    token: UUID | None = None
    running: bool = True
    start_by: datetime | None = None

    def waiting(self) -> "Occupant":
        """Return this run as one that waits in the queue."""
        return msgspec.structs.replace(self, token=None, running=False, foreign=False)


class Occupancy:
    """What the leader knows of runs that are not over, its own and those that other nodes still
    drain.

    `max_running`: over all jobs. `capacity`: places of an executor on this node.
    """

    def __init__(self, max_running: int, capacity: dict[str, int]) -> None:
        self._max_running = max_running
        self._capacity = capacity
        self._runs: dict[int, Occupant] = {}
        self._reserved: set[Reservation] = set()
        self._held: dict[UUID, Occupant] = {}
        self._by_schedule: dict[int, set[int]] = {}
        self._kept: Counter[int | None] = Counter()  # by schedule: reserved or held
        self._start_by: dict[int, datetime] = {}
        self._jobs: Counter[str] = Counter()
        self._keys: Counter[str] = Counter()
        self._executors: Counter[str] = Counter()
        self._total = 0

    def add(self, run: Occupant) -> None:
        """Note `run`, in place of what was noted of it before."""
        self.remove(run.run_id)
        self._runs[run.run_id] = run
        if run.schedule_id is not None:
            self._by_schedule.setdefault(run.schedule_id, set()).add(run.run_id)
        if run.running:
            self._count(run, 1)
        elif run.start_by is not None:
            self._start_by[run.run_id] = run.start_by

    def claimed(self, run_id: int, token: UUID) -> None:
        """Note by what the attempt is known of a run that is counted as running already."""
        run = self._runs.get(run_id)
        if run is not None:
            self._runs[run_id] = msgspec.structs.replace(run, token=token)

    def token(self, run_id: int) -> UUID | None:
        """Return what a run's attempt under way is known by."""
        run = self._runs.get(run_id)
        return None if run is None else run.token

    def remove(self, run_id: int, token: UUID | None = None) -> Occupant | None:
        """Forget a run that is over; with a `token`, unless its number is another attempt's by
        now."""
        run = self._runs.get(run_id)
        if run is None or (token is not None and run.token != token):
            return None
        del self._runs[run_id]
        self._start_by.pop(run_id, None)
        if run.schedule_id is not None:
            runs = self._by_schedule[run.schedule_id]
            runs.discard(run_id)
            if not runs:
                del self._by_schedule[run.schedule_id]
        if run.running:
            self._count(run, -1)
        return run

    def ended(self, outcome: Outcome) -> None:
        """Take note of an attempt's outcome; a run that is tried again waits for its place."""
        run = self.remove(outcome.run_id, outcome.token)
        if outcome.state == "queued" and run is not None:
            self.add(run.waiting())

    def reserve(self, place: Reservation) -> None:
        """Keep a place for a run until it has its number, or is not written at all."""
        self._reserved.add(place)
        self._keep(place, 1)

    def release(self, place: Reservation) -> None:
        """Keep it no longer."""
        if place in self._reserved:
            self._reserved.remove(place)
            self._keep(place, -1)

    def occupant(self, run_id: int, token: UUID) -> Occupant | None:
        """Return what is noted of this attempt."""
        run = self._runs.get(run_id)
        return run if run is not None and run.token == token else None

    def hold(self, token: UUID, run: Occupant) -> None:
        """Count `run`, whose outcome is written, as long as its attempt works on."""
        if token not in self._held:
            self._held[token] = run
            self._keep(run, 1)

    def let_go(self, token: UUID) -> None:
        """Count it no more: it is over."""
        held = self._held.pop(token, None)
        if held is not None:
            self._keep(held, -1)

    def held(self) -> set[UUID]:
        """Return what attempts are known by that were left behind and still work."""
        return set(self._held)

    def repeats(self, run_id: int) -> bool:
        """Return whether an earlier attempt of this run still works."""
        return any(held.run_id == run_id for held in self._held.values())

    def clear(self) -> None:
        """Forget everything, as on losing the lead."""
        self.__init__(self._max_running, self._capacity)  # type: ignore[misc]

    def of_schedule(self, schedule_id: int) -> set[int]:
        """Return the runs of a schedule that are not over."""
        return self._by_schedule.get(schedule_id, set())

    def occupied(self, schedule_id: int) -> bool:
        """Return whether a slot of this schedule would overlap with what is under way or waits."""
        return schedule_id in self._by_schedule or self._kept[schedule_id] > 0

    def foreign(self) -> list[int]:
        """Return the runs that other nodes own."""
        return [r.run_id for r in self._runs.values() if r.foreign]

    def waiting(self) -> list[int]:
        """Return the runs of schedules that wait in the queue."""
        return [r.run_id for r in self._runs.values() if not r.running]

    def expires(self) -> datetime | None:
        """Return the instant at which the first of those that wait is too late to begin."""
        return min(self._start_by.values(), default=None)

    def expired(self, now: datetime) -> list[int]:
        """Return those that wait and are too late to begin by `now`."""
        return [run_id for run_id, by in self._start_by.items() if by < now]

    def full_jobs(self, limits: dict[str, int]) -> list[str]:
        """Return the jobs of `limits` that may start no more now."""
        return [job for job, limit in limits.items() if self._jobs[job] >= limit]

    def keys(self) -> list[str]:
        """Return the concurrency keys in use."""
        return [key for key, n in self._keys.items() if n]

    def room(self) -> int:
        """Return how many more runs may start, over all jobs."""
        return max(0, self._max_running - self._total)

    def admits(self, job: str, limit: int | None, key: str | None, executor: str) -> bool:
        """Return whether a run of `job`, of which at most `limit` run at once, may start now."""
        return (
            self._total < self._max_running
            and (limit is None or self._jobs[job] < limit)
            and (key is None or not self._keys[key])
            and self.has_place(executor)
        )

    def has_place(self, executor: str) -> bool:
        """Return whether one more attempt may begin in this executor."""
        return self._executors[executor] < self._capacity.get(executor, self._max_running)

    def _keep(self, place: RunPlace, by: int) -> None:
        self._kept[place.schedule_id] += by
        self._count(place, by)

    def _count(self, place: RunPlace, by: int) -> None:
        self._total += by
        self._jobs[place.job] += by
        if place.key is not None:
            self._keys[place.key] += by
        if not place.foreign:  # its node has executors of its own
            self._executors[place.executor] += by
