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
    """What a run under way counts for. `key`: concurrency key; `key_limit`: how many of it its
    policies allow, None where nobody knows. `foreign`: on another node; `node`: on which, where it
    is known."""

    job: str
    schedule_id: int | None = None
    key: str | None = None
    key_limit: int | None = None
    executor: str = "async"
    foreign: bool = False
    node: UUID | None = None


class Reservation(RunPlace, frozen=True, kw_only=True, gc=False, eq=False):
    """A place that is kept for a run which has no number yet; each is its own, however equal."""


class Occupant(RunPlace, frozen=True, kw_only=True, gc=False):
    """A run that is not over. `running` false: it waits in the queue.

    `token`: of the attempt under way, None while it is being claimed, here or elsewhere; `attempt`:
    its number, where it is elsewhere. `start_by`: when it is too late for it to begin.
    """

    run_id: int
    token: UUID | None = None
    running: bool = True
    attempt: int | None = None
    start_by: datetime | None = None

    def waiting(self, *, begun: bool = False) -> "Occupant":
        """Return this run as one that waits in the queue. `begun`: it has begun once, after which
        nothing is too late for it."""
        return msgspec.structs.replace(
            self,
            token=None,
            running=False,
            foreign=False,
            node=None,
            attempt=None,
            start_by=None if begun else self.start_by,
        )


class Occupancy:
    """What the leader knows of runs that are not over, its own and those that other nodes still
    drain.

    `max_running`: over all jobs. `capacity`: places of an executor on this node.
    """

    def __init__(self, max_running: int, capacity: dict[str, int]) -> None:
        self.max_running = max_running
        self._capacity = capacity
        self._runs: dict[int, Occupant] = {}
        self._reserved: set[Reservation] = set()
        self._held: dict[UUID, Occupant] = {}
        self._by_schedule: dict[int, set[int]] = {}
        self._kept: Counter[int | None] = Counter()  # by schedule: reserved or held
        self._start_by: dict[int, datetime] = {}
        self._jobs: Counter[str] = Counter()
        self._keys: Counter[str] = Counter()
        self._key_limits: dict[str, int] = {}
        self._executors: Counter[str] = Counter()
        self._elsewhere: Counter[tuple[UUID, str]] = Counter()
        self._total = 0

    def add(self, run: Occupant) -> None:
        """Note `run`, in place of what was noted of it before."""
        if run.run_id in self._runs:
            self.remove(run.run_id)
        self._runs[run.run_id] = run
        if run.schedule_id is not None:
            same = self._by_schedule.get(run.schedule_id)
            if same is None:
                self._by_schedule[run.schedule_id] = {run.run_id}
            else:
                same.add(run.run_id)
        if run.running:
            self._count(run, 1)
        elif run.start_by is not None:
            self._start_by[run.run_id] = run.start_by

    def claimed(self, run_id: int, token: UUID) -> None:
        """Note by what the attempt is known of a run that is counted as running already."""
        run = self._runs.get(run_id)
        if run is not None:
            self._runs[run_id] = msgspec.structs.replace(run, token=token)

    def attempted(self, run_id: int, attempt: int) -> None:
        """Note which attempt of a run is made elsewhere."""
        run = self._runs.get(run_id)
        if run is not None:
            self._runs[run_id] = msgspec.structs.replace(run, attempt=attempt)

    def is_elsewhere(self, run_id: int, attempt: int | None) -> bool:
        """Return whether this attempt is counted as made on another node; None: it is placed there,
        and not handed over yet."""
        run = self._runs.get(run_id)
        return run is not None and run.foreign and run.attempt == attempt

    def run(self, run_id: int) -> Occupant | None:
        """Return what is noted of a run."""
        return self._runs.get(run_id)

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
            self.add(run.waiting(begun=not outcome.released))

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
        return bool(self._held) and any(held.run_id == run_id for held in self._held.values())

    def clear(self) -> None:
        """Forget everything, as on losing the lead."""
        self.__init__(self.max_running, self._capacity)  # type: ignore[misc]

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
        return list(self._keys)

    def full_keys(self) -> list[str]:
        """Return the concurrency keys of which no more may start, as far as it is known of them."""
        limits = self._key_limits
        return [key for key, n in self._keys.items() if key in limits and n >= limits[key]]

    def running_of(self, schedule_id: int) -> bool:
        """Return whether a run of this schedule is under way."""
        runs = self._by_schedule.get(schedule_id, ())
        return self._kept[schedule_id] > 0 or any(self._runs[run].running for run in runs)

    def room(self) -> int:
        """Return how many more runs may start, over all jobs."""
        return max(0, self.max_running - self._total)

    def admits(
        self, job: str, limit: int | None, key: str | None, executor: str | None, key_limit: int = 1
    ) -> bool:
        """Return whether a run of `job`, of which at most `limit` run at once, and at most
        `key_limit` with its `key`, may start now. `executor`: of this node, None: it has its place
        elsewhere."""
        return (
            self._total < self.max_running
            and (limit is None or self._jobs[job] < limit)
            and (key is None or self._keys.get(key, 0) < key_limit)
            and (executor is None or self.has_place(executor))
        )

    def has_place(self, executor: str) -> bool:
        """Return whether one more attempt may begin in this executor."""
        return self._executors[executor] < self._capacity.get(executor, self.max_running)

    def resize(self, capacity: dict[str, int]) -> None:
        """Take note that executors of this node have other places."""
        self._capacity |= capacity

    def free(self, executor: str) -> int:
        """Return how many more attempts may begin in this executor."""
        capacity = self._capacity.get(executor, self.max_running)
        return max(0, capacity - self._executors[executor])

    def load(self, executor: str) -> float:
        """Return which share of this node's places in this executor is in use."""
        return self._executors[executor] / (self._capacity.get(executor, self.max_running) or 1)

    def used(self, executor: str, node: UUID) -> int:
        """Return how many attempts another node has in this executor, or is handed."""
        return self._elsewhere[node, executor]

    def _keep(self, place: RunPlace, by: int) -> None:
        self._kept[place.schedule_id] += by
        self._count(place, by)

    def _count(self, place: RunPlace, by: int) -> None:
        self._total += by
        self._jobs[place.job] += by
        if place.key is not None:
            self._count_key(place.key, place.key_limit, by)
        if not place.foreign:  # its node has executors of its own
            self._executors[place.executor] += by
        elif place.node is not None:
            self._count_elsewhere((place.node, place.executor), by)

    def _count_elsewhere(self, place: tuple[UUID, str], by: int) -> None:
        self._elsewhere[place] += by
        if not self._elsewhere[place]:  # nodes come and go
            del self._elsewhere[place]

    def _count_key(self, key: str, limit: int | None, by: int) -> None:
        number = self._keys.get(key, 0) + by
        if not number:  # there may be as many keys as customers
            self._keys.pop(key, None)
            self._key_limits.pop(key, None)
            return
        self._keys[key] = number
        if by > 0 and limit is not None:
            self._key_limits[key] = max(limit, self._key_limits.get(key, limit))
