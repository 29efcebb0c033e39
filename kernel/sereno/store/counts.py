"""Counts slots and runs by spans of time: for pictures of them, whatever is kept beside."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec

from sereno.store.pool import Database

Span = tuple[datetime, datetime]
"""From when, and before when."""


class SlotCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many slots had which verdict. `spans`: of each between two marks, by verdict; `since`:
    what was due before it was not counted, as there is too much; None: all was."""

    spans: tuple[Mapping[str, int], ...]
    since: datetime | None = None


class EndedCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many runs ended in a span, by state. `more`: there were more than are looked at."""

    states: Mapping[str, int]
    more: bool = False


async def slots(db: Database, job: str, marks: Sequence[datetime], *, most: int) -> SlotCounts:
    """Return the verdicts of `job`'s slots between `marks`, the newest of about `most` of them.

    As many spans again are looked at in each step, until there are enough: so nothing is read that
    is far beyond.
    """
    spans: list[Counter[str]] = [Counter() for _ in marks[1:]]
    last, step, counted = len(spans), _FIRST_STEP, 0
    while last > 0:
        first = max(0, last - step)
        rows = await db.fetch("count_slots", job, list(marks[first : last + 1]), most)
        for row in rows:
            if row["verdict"] is None:
                continue  # nothing was due: the row says how far the look went
            if row["span"] is not None:
                spans[first + row["span"] - 1][row["verdict"]] += row["slots"]
                counted += row["slots"]
                continue
            span = (row["first_slot"], row["last_slot"])
            shares = share(span, row["slots"], marks[first : last + 1])
            for place, slots_there in enumerate(shares, first):
                spans[place][row["verdict"]] += slots_there
        if rows[0]["since"] is not None:
            return SlotCounts(spans=_plain(spans), since=rows[0]["since"])
        last, step = first, len(spans) - first
        if counted >= most and last > 0:
            return SlotCounts(spans=_plain(spans), since=marks[last])
    return SlotCounts(spans=_plain(spans))


_FIRST_STEP = 4
"""Spans, of a picture's last."""

_TICK = timedelta(microseconds=1)


def share(span: Span, slots_in_all: int, marks: Sequence[datetime]) -> list[int]:
    """Return how many of the slots from the first to the last of a `span` lie between `marks`, as
    if they stood as far apart as each other.

    What is asked for piece by piece comes to the same as at once.
    """
    first, last = span

    def before(mark: datetime) -> int:
        if mark <= first:
            return 0
        if mark > last:
            return slots_in_all
        passed, whole = (mark - first) // _TICK, (last - first) // _TICK
        return -(-(slots_in_all - 1) * passed // whole)

    places = [before(mark) for mark in marks]
    return [after - here for here, after in pairwise(places)]


async def ended(
    db: Database, spans: Sequence[Span], *, jobs: Iterable[str] | None, most: int
) -> list[EndedCount] | None:
    """Return how many runs of `jobs` (None: of all) ended in each of `spans`; None where runs
    cannot be found by when they ended."""
    if not await db.fetchval("ended_findable"):
        return None
    begins, ends = [begin for begin, _ in spans], [end for _, end in spans]
    named = None if jobs is None else list(jobs)
    states: list[Counter[str]] = [Counter() for _ in spans]
    looked = [0] * len(spans)
    for row in await db.fetch("count_ended", begins, ends, named, most):
        place = row["span"] - 1
        states[place][row["state"]] += row["runs"]
        looked[place] += row["looked"]
    return [
        EndedCount(states=dict(+count), more=seen >= most)
        for count, seen in zip(states, looked, strict=True)
    ]


def _plain(spans: Iterable[Counter[str]]) -> tuple[Mapping[str, int], ...]:
    return tuple(dict(+count) for count in spans)
