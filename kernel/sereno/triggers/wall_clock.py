"""The times that a cron expression names on a wall clock, which knows neither zones nor DST.

The only module that steps croniter. Its objects carry a cursor, so each has a lock, and one is
shared by all triggers with the same expression. A step costs croniter 20 to 130 µs, so the last two
are kept, for all of them; where every day is alike, its lists are walked without it.
"""

from collections.abc import Sequence
from datetime import datetime
from threading import Lock

from croniter import croniter

from sereno.triggers.day_times import DayTimes
from sereno.triggers.expression import for_croniter
from sereno.triggers.step_cache import LastSteps, kept


class WallClock:
    """Steps from one wall time that matches an expression to the next."""

    __slots__ = ("_cursor", "_daily", "_lock", "_steps", "follows_real_time")

    def __init__(self, expression: str) -> None:
        fields = for_croniter(expression)
        self._lock = Lock()
        self._steps = LastSteps()
        self._cursor = croniter(
            " ".join(fields),
            datetime(2000, 1, 1),  # noqa: DTZ001 - a wall clock has no zone
            ret_type=datetime,
            second_at_beginning=True,
            implement_cron_bug=True,  # the days as cron has them: AND when either starts with '*'
        )
        self._daily = _daily(self._cursor) if fields[-3:] == ["*", "*", "*"] else None
        self.follows_real_time = any(field[0] == "*" for field in fields[:-3])

    def next_after(self, wall: datetime) -> datetime | None:
        """Return the first match after `wall` (naive), or None if 50 years have none."""
        if known := self._steps.find(wall):
            return known
        try:
            if self._daily is not None:
                return self._daily.next_after(wall)
            with self._lock:
                match: datetime = self._cursor.get_next(datetime, start_time=wall)
        except (ValueError, OverflowError):
            return None
        self._steps.add(wall, match)
        return match


def _daily(cursor: croniter) -> DayTimes:
    """Return the times of each day. croniter has a ``*`` for all values of a field, and the second
    last."""
    minutes, hours, _, _, _, *seconds = cursor.expanded
    return DayTimes(
        hours=_values(hours, 24),
        minutes=_values(minutes, 60),
        seconds=_values(seconds[0], 60) if seconds else (0,),
    )


def _values(field: Sequence[int | str], count: int) -> Sequence[int]:
    if "*" in field:
        return range(count)
    return tuple(int(value) for value in field)


@kept(8192)
def wall_clock(expression: str) -> WallClock:
    """Return the shared clock of a canonical `expression`; about 2 kB each."""
    return WallClock(expression)
