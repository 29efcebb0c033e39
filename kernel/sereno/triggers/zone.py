"""The name that a trigger keeps of its zone, and where a zone's clock jumps."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sereno.model.errors import TriggerError
from sereno.model.zone import find_zone

SECOND = timedelta(seconds=1)


def zone_name(tz: str | ZoneInfo) -> str:
    """Return the checked name of `tz`."""
    name = tz.key if isinstance(tz, ZoneInfo) else tz
    if isinstance(name, str):
        return find_zone(name).key
    raise TriggerError(f"time zone {tz!r:.60}: pass an IANA name, such as 'Europe/Madrid'")


def jump(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Return the first UTC instant in (before, after] with another offset than `before`.

    There is exactly one change of offset between them, on a whole second as all are.
    """
    before, after = before.replace(microsecond=0), after.replace(microsecond=0)
    offset = before.astimezone(zone).utcoffset()
    while after - before > SECOND:
        middle = before + (after - before) // 2 // SECOND * SECOND
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def readings(zone: ZoneInfo, wall: datetime) -> tuple[datetime, datetime]:
    """Return the UTC instants of `wall` (naive) read before and after a clock change.

    The same twice on an ordinary day; first < second where the clock repeats `wall`; first > second
    where it skips `wall`.
    """
    first = wall.replace(tzinfo=zone, fold=0)
    second = wall.replace(tzinfo=zone, fold=1)
    return first.astimezone(UTC), second.astimezone(UTC)
