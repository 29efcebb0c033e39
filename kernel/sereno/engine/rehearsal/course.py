"""Keeps what happens in a rehearsal: counts, what is alike as one, first events, full places."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from sereno.model.rehearsal import (
    TROUBLES,
    FullSpan,
    Hindrance,
    Pace,
    RehearsedCourse,
    RehearsedEvent,
    RehearsedFinding,
    RehearsedHour,
    RehearsedPool,
    Trouble,
)

MOST_EVENTS = 2_000
MOST_SPANS = 100

_HOUR = timedelta(hours=1)
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)

Grouped = tuple[Trouble, Hindrance, str, str | None, str]


class PoolWatch:
    """The places of one pool as they are taken and given back."""

    def __init__(self, pool: str, places: int) -> None:
        self.pool, self.places = pool, places
        self._taken = self._most = self._full = 0
        self._most_at: datetime | None = None
        self._full_since: datetime | None = None
        self._full_for = timedelta(0)
        self._spans: list[FullSpan] = []

    def take(self, at: datetime) -> None:
        """Note that one more place is taken."""
        self._taken += 1
        if self._taken > self._most:
            self._most, self._most_at = self._taken, at
        if self._taken == self.places:
            self._full_since = at

    def give(self, at: datetime) -> None:
        """Note that a place is given back."""
        if self._taken == self.places:
            self._end_span(at)
        self._taken -= 1

    def _end_span(self, at: datetime) -> None:
        since, self._full_since = self._full_since, None
        if since is None or since >= at:  # given on in the same instant
            return
        last = self._spans[-1] if self._spans else None
        self._full_for += at - since
        if last is not None and last.until == since:
            self._spans[-1] = FullSpan(since=last.since, until=at)
            return
        self._full += 1
        if len(self._spans) < MOST_SPANS:
            self._spans.append(FullSpan(since=since, until=at))

    def use(self, until: datetime) -> RehearsedPool:
        """Return what was seen up to `until`."""
        if self._full_since is not None:
            self._end_span(max(until, self._full_since))
        return RehearsedPool(
            pool=self.pool,
            places=self.places,
            most=self._most,
            most_at=self._most_at,
            full=self._full,
            full_for=self._full_for,
            spans=tuple(self._spans),
        )


class _Group:
    """Events that are alike."""

    def __init__(self, first: RehearsedEvent) -> None:
        self._first = self._last = first
        self._count = 0
        self._longest: timedelta | None = None

    def add(self, event: RehearsedEvent, count: int) -> None:
        self._last = event
        self._count += count
        if event.wait is not None and (self._longest is None or event.wait > self._longest):
            self._longest = event.wait

    def finding(self) -> RehearsedFinding:
        first = self._first
        return RehearsedFinding(
            trouble=first.trouble,
            hindrance=first.hindrance,
            job=first.job,
            schedule=first.schedule,
            count=self._count,
            first=first.at,
            last=self._last.at,
            longest=self._longest,
            detail=first.detail,
        )


class CourseRecord:
    """What has happened so far at one pace."""

    def __init__(self, pace: Pace, pools: Mapping[str, int], max_running: int) -> None:
        self.pace: Pace = pace
        self.slots = self.started = self.held = 0
        self.running = 0
        self._pools = {name: PoolWatch(name, places) for name, places in pools.items()}
        self._node = PoolWatch("node", max_running)
        self._events: list[RehearsedEvent] = []
        self._groups: dict[Grouped, _Group] = {}
        self._troubles: Counter[Trouble] = Counter()
        self._due: Counter[datetime] = Counter()
        self._most: dict[datetime, int] = {}
        self._hour_begins = self._hour_ends = _LONG_AGO
        self._by_hour: dict[datetime, Counter[Trouble]] = {}

    def _hour(self, at: datetime) -> datetime:
        """Return where the hour began; most ask for the one that was asked for last."""
        if not self._hour_begins <= at < self._hour_ends:
            self._hour_begins = at.replace(minute=0, second=0, microsecond=0)
            self._hour_ends = self._hour_begins + _HOUR
        return self._hour_begins

    def due(self, slot: datetime, count: int = 1) -> None:
        """Note slots that are due."""
        self.slots += count
        self._due[self._hour(slot)] += count

    def take(self, executor: str, at: datetime) -> None:
        """Note that a run has begun."""
        self.running += 1
        self._node.take(at)
        if (pool := self._pools.get(executor)) is not None:
            pool.take(at)
        hour = self._hour(at)
        if self.running > self._most.get(hour, 0):
            self._most[hour] = self.running

    def give(self, executor: str, at: datetime) -> None:
        """Note that an attempt is over."""
        self.running -= 1
        self._node.give(at)
        if (pool := self._pools.get(executor)) is not None:
            pool.give(at)

    def add(self, event: RehearsedEvent, count: int = 1) -> None:
        """Note what a run or slot has met, or so many that are alike."""
        self._troubles[event.trouble] += count
        hour = self._hour(event.at)
        self._by_hour.setdefault(hour, Counter())[event.trouble] += count
        if len(self._events) < MOST_EVENTS:
            self._events.append(event)
        key = (event.trouble, event.hindrance, event.job, event.schedule, event.detail)
        held = self._groups.get(key)
        if held is None:
            held = self._groups[key] = _Group(event)
        held.add(event, count)

    def course(self, until: datetime) -> RehearsedCourse:
        """Return all of it."""
        pools: Iterable[PoolWatch] = [*self._pools.values(), self._node]
        hours = sorted({*self._due, *self._by_hour, *self._most})
        return RehearsedCourse(
            pace=self.pace,
            slots=self.slots,
            started=self.started,
            held=self.held,
            troubles={trouble: self._troubles[trouble] for trouble in TROUBLES},
            findings=sorted((g.finding() for g in self._groups.values()), key=lambda f: f.first),
            events=sorted(self._events, key=lambda e: e.at),
            pools=tuple(pool.use(until) for pool in pools),
            hours=tuple(
                RehearsedHour(
                    begins=hour,
                    slots=self._due[hour],
                    most=self._most.get(hour, 0),
                    troubles=dict(self._by_hour.get(hour, {})),
                )
                for hour in hours
            ),
        )
