"""Counts what ended in the last 24 hours, by half hours: those that are over are counted once, and
again when they are as old again, as an outcome may come late."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from weakref import WeakKeyDictionary

import msgspec

from sereno import Client, EndedCount

DAY, HALF_HOUR = timedelta(days=1), timedelta(minutes=30)
_FROM = datetime(2000, 1, 1, tzinfo=UTC)
_AT_REST = timedelta(minutes=1)
"""So long after its end a half hour is counted to be kept."""

_MOST_KEPT = 16
"""Sets of jobs that somebody may see."""


class EndedSpan(msgspec.Struct, frozen=True, kw_only=True):
    """What ended from `begins` to before `ends`."""

    begins: datetime
    ends: datetime
    count: EndedCount


class EndedDay(msgspec.Struct, frozen=True, kw_only=True):
    """The spans of a day, the first and the last of them shorter; none where runs cannot be found
    by when they ended, which `known` tells."""

    spans: tuple[EndedSpan, ...] = ()
    known: bool = True

    @property
    def states(self) -> Counter[str]:
        """Return how many ended in each state."""
        found: Counter[str] = Counter()
        for span in self.spans:
            found.update(span.count.states)
        return found

    @property
    def more(self) -> bool:
        """Tell whether there were more than were counted."""
        return any(span.count.more for span in self.spans)


class _CountedSpan(msgspec.Struct):
    count: EndedCount
    until: datetime


class _KeptDay:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.spans: dict[datetime, _CountedSpan] = {}


_KEPT: WeakKeyDictionary[Client, dict[tuple[str, ...] | None, _KeptDay]] = WeakKeyDictionary()


async def ended_day(sereno: Client, now: datetime, jobs: tuple[str, ...] | None) -> EndedDay:
    """Return what of `jobs`, None: of all, has ended in the 24 hours before `now`."""
    of_all = _KEPT.setdefault(sereno, {})
    kept = of_all.pop(jobs, None) or _KeptDay()
    of_all[jobs] = kept  # the last that is thrown away
    while len(of_all) > _MOST_KEPT:
        del of_all[next(iter(of_all))]
    async with kept.lock:  # who comes meanwhile needs the same
        return await _counted(sereno, now, jobs, kept)


async def _counted(
    sereno: Client, now: datetime, jobs: tuple[str, ...] | None, kept: _KeptDay
) -> EndedDay:
    spans = half_hours(now)
    for begins, counted in list(kept.spans.items()):
        if begins < spans[0][0] or counted.until <= now:
            del kept.spans[begins]
    wanted = [span for span in spans if span[0] not in kept.spans or _is_part(span)]
    counts = await sereno.ended_counts(wanted, jobs=jobs)
    if counts is None:
        return EndedDay(known=False)
    found = dict(zip(wanted, counts, strict=True))
    for (begins, ends), count in found.items():
        age = now - ends
        if age >= _AT_REST and not _is_part((begins, ends)):
            kept.spans[begins] = _CountedSpan(count, now + age)
    kept_counts = {begins: counted.count for begins, counted in kept.spans.items()}
    return EndedDay(
        spans=tuple(
            EndedSpan(begins=a, ends=b, count=found.get((a, b)) or kept_counts[a]) for a, b in spans
        )
    )


def half_hours(now: datetime) -> list[tuple[datetime, datetime]]:
    """Return the half hours by the clock of the day before `now`, in part the first and last."""
    first = now - DAY
    mark = first - (first - _FROM) % HALF_HOUR + HALF_HOUR
    spans = [(first, mark)]
    while mark + HALF_HOUR < now:
        spans.append((mark, mark + HALF_HOUR))
        mark += HALF_HOUR
    return [*spans, (mark, now)]


def _is_part(span: tuple[datetime, datetime]) -> bool:
    return span[1] - span[0] != HALF_HOUR
