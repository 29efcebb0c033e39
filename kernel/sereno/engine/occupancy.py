"""Which runs are under way or waiting, and whether one more may start: pure bookkeeping."""

from collections import Counter
from datetime import datetime
from uuid import UUID

import msgspec


class Occupant(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A run that is not over. `running` false: it waits in the queue. `foreign`: another node's.

    `token`: of the attempt under way, None while it is being claimed. `start_by`: when it is too
    late for it to begin.
    """

    run_id: int
    token: UUID | None = None
    job: str
    schedule_id: int | None = None
    key: str | None = None
    executor: str = "async"
    running: bool = True
    foreign: bool = False
    start_by: datetime | None = None

    def waiting(self) -> "Occupant":
        """Return this run as one that waits in the queue."""
        return msgspec.structs.replace(self, token=None, running=False, foreign=False)


_HELD = -(2**62)
"""The first number of those whose run's own number may be another attempt's by now."""


class Occupancy:
    """What the leader knows of runs that are not over, its own and those that other nodes still
    drain.

    `max_running`: over all jobs. `capacity`: places of an executor on this node.
    """

    def __init__(self, max_running: int, capacity: dict[str, int]) -> None:
        self._max_running = max_running
        self._capacity = capacity
        self._runs: dict[int, Occupant] = {}
        self._held: dict[UUID, tuple[int, int]] = {}
        self._by_schedule: dict[int, set[int]] = {}
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

    def occupant(self, run_id: int, token: UUID) -> Occupant | None:
        """Return what is noted of this attempt."""
        run = self._runs.get(run_id)
        return run if run is not None and run.token == token else None

    def hold(self, token: UUID, run: Occupant) -> None:
        """Count `run`, whose outcome is told, as long as its attempt works on."""
        if token in self._held:
            return
        number = _HELD
        while number in self._runs:
            number -= 1
        self._held[token] = number, run.run_id
        self.add(msgspec.structs.replace(run, run_id=number, token=token, running=True))

    def let_go(self, token: UUID) -> None:
        """Hear that it is over."""
        held = self._held.pop(token, None)
        if held is not None:
            self.remove(held[0])

    def held(self) -> set[UUID]:
        """Return what attempts are known by that were left behind and still work."""
        return set(self._held)

    def repeats(self, run_id: int) -> bool:
        """Tell whether an earlier attempt of this run still works."""
        return any(held == run_id for _, held in self._held.values())

    def clear(self) -> None:
        """Forget everything, as on losing the lead."""
        self.__init__(self._max_running, self._capacity)  # type: ignore[misc]

    def of_schedule(self, schedule_id: int) -> set[int]:
        """Return the runs of a schedule that are not over."""
        return self._by_schedule.get(schedule_id, set())

    def foreign(self) -> list[int]:
        """Return the runs that other nodes own."""
        return [r.run_id for r in self._runs.values() if r.foreign and r.run_id > 0]

    def waiting(self) -> list[int]:
        """Return the runs of schedules that wait in the queue."""
        return [r.run_id for r in self._runs.values() if not r.running]

    def expires(self) -> datetime | None:
        """Return the instant at which the first of those that wait is too late to begin."""
        return min(self._start_by.values(), default=None)

    def expired(self, now: datetime) -> list[int]:
        """Return those that wait and are too late to begin by `now`."""
        return [run_id for run_id, by in self._start_by.items() if by < now]

    def running(self) -> dict[str, int]:
        """Return how many runs of each job are under way."""
        return {job: n for job, n in self._jobs.items() if n}

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
        """Tell whether a run of `job`, of which at most `limit` run at once, may start now."""
        return (
            self._total < self._max_running
            and (limit is None or self._jobs[job] < limit)
            and (key is None or not self._keys[key])
            and self.has_place(executor)
        )

    def has_place(self, executor: str) -> bool:
        """Tell whether one more attempt may begin in this executor."""
        return self._executors[executor] < self._capacity.get(executor, self._max_running)

    def _count(self, run: Occupant, by: int) -> None:
        self._total += by
        self._jobs[run.job] += by
        if run.key is not None:
            self._keys[run.key] += by
        if not run.foreign:
            self._executors[run.executor] += by
