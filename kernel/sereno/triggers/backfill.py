"""Decides which slots a span of the past has, for a back-fill: those that were due, and those that
would have been."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain

from sereno.model.ledger import ScheduleVersion
from sereno.triggers.occurrences import window_slots


def slots_of_span(
    versions: Sequence[ScheduleVersion], name: str, after: datetime, until: datetime
) -> Iterator[tuple[datetime, ScheduleVersion]]:
    """Yield each slot in (`after`, `until`] with the version that it follows, soonest first.

    That is the version that ruled then, also while the schedule was orphaned and nothing was due;
    before the first one that is kept it is the newest: what the schedule is today.
    """
    for version, first, last in _ruled(versions, after, until):
        for slot in window_slots(version, name, first, last):
            yield slot, version


def _ruled(
    versions: Sequence[ScheduleVersion], after: datetime, until: datetime
) -> Iterator[tuple[ScheduleVersion, datetime, datetime]]:
    oldest = min([until, *(v.valid_from for v in versions)])
    before = [(versions[-1], after, oldest)] if after < oldest else []
    # As `spans` has it, whatever the state: a version ends where any later one begins.
    ruled = (
        (
            version,
            max(after, version.valid_from),
            min([until, *(later.valid_from for later in versions[n + 1 :])]),
        )
        for n, version in enumerate(versions)
    )
    return ((v, first, last) for v, first, last in chain(before, ruled) if first < last)
