"""Decides which ranges a sync reads, from the watermark and the source's own clock: pure."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from sereno_etl_ivr import position
from sereno_etl_ivr.page import Range
from sereno_etl_ivr.shifts import furthest_back


class Extent(msgspec.Struct, frozen=True):
    """What the source holds when a run starts: the first and last position, and NULL cursors.

    `clock`: the source's time, aware UTC.
    """

    first: int | None
    last: int | None
    nulls: bool
    clock: datetime

    def has_past(self, zone: ZoneInfo) -> bool:
        """Tell whether rows may lie in the flow of time, up to the source's present."""
        if self.first is None or self.last is None:
            return False
        return self.last >= position.OLDEST and self.first < wall(self.clock, zone)


class Segment(msgspec.Struct, frozen=True):
    """A range that is read page by page. `advances`: its pages move the watermark."""

    range: Range
    advances: bool


def wall(clock: datetime, zone: ZoneInfo) -> int:
    """Return the position that the clock on the source's wall shows at `clock`."""
    return position.position(clock.astimezone(zone).replace(tzinfo=None))


def segments(
    extent: Extent, settled: int | None, zone: ZoneInfo, kept_from: int = position.OLDEST
) -> Iterator[Segment]:
    """Yield what to read, in the order to read it. `kept_from`: what is older is kept no more.

    The flow of time comes first, from `settled` up to the source's present. Then what lies outside
    of it, which may have come at any time.
    """
    present = wall(extent.clock, zone)
    if extent.first is not None and extent.last is not None:
        start = max(extent.first, kept_from, position.OLDEST if settled is None else settled)
        if start < present and extent.has_past(zone):
            yield Segment(Range(start, present), advances=True)
        if extent.first < position.OLDEST:
            yield Segment(Range(extent.first, position.OLDEST), advances=False)
        if extent.last >= present:
            end = position.successor(extent.last)
            yield Segment(Range(present, end), advances=False)
    if extent.nulls:
        yield Segment(Range(position.NULL, position.NULL + 1), advances=False)


def unsettled(extent: Extent, overlap: timedelta, zone: ZoneInfo) -> int:
    """Return the first position at which rows may still come or change after this run.

    That is `overlap` before the source's present, and further where the clock is put back within a
    day: then new rows get times that the wall has shown before.
    """
    present = wall(extent.clock, zone)
    back = furthest_back(zone, position.moment(present))
    return position.earlier(present, overlap + back)


def floor(clock: datetime, keep: timedelta, zone: ZoneInfo) -> tuple[int, datetime]:
    """Return the position before which nothing is kept, and its instant: a day's beginning."""
    day = position.moment(position.earlier(wall(clock, zone), keep)).date()
    midnight = datetime.combine(day, time())
    return position.position(midnight), midnight.replace(tzinfo=zone).astimezone(UTC)


class Digest(msgspec.Struct, frozen=True):
    """What one side holds of a day: how many rows, and the sum of their hashes."""

    rows: int
    checksum: int


def day_range(day: int) -> Range:
    """Return the range of a day YYYYMMDD, impossible ones included."""
    first = day * 1_000_000
    return Range(first, position.successor(first + 235959))


def differing(theirs: Mapping[int, Digest], ours: Mapping[int, Digest]) -> list[int]:
    """Return the days on which source and target differ, the newest first."""
    days = theirs.keys() | ours.keys()
    return sorted((d for d in days if theirs.get(d) != ours.get(d)), reverse=True)


def is_purge(theirs: Digest, ours: Digest | None, limit: int, share: float) -> bool:
    """Tell whether so much of a day is missing at the source that it was cleared, not corrected."""
    held = 0 if ours is None else ours.rows
    missing = held - theirs.rows
    return missing > limit and missing > share * held
