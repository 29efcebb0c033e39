"""Instants as people and databases write them, read into aware UTC and written with a ``Z``."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sereno.model.errors import TriggerError
from sereno.model.zone import find_zone
from sereno.triggers.zone import jump, readings

MICROSECOND = timedelta(microseconds=1)
"""From one instant to the next: PostgreSQL and Python count no smaller ones."""


def parse_instant(value: str | datetime, tz: str | None = None) -> datetime:
    """Return `value` (ISO 8601 text or a datetime) in UTC.

    A value without an offset is read on the wall clock of `tz`: the first time if the clock repeats
    it, the first instant after the gap if the clock skips it, as a cron schedule is; without `tz`
    it raises TriggerError, as does text that is no instant.
    """
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value.strip())
        except ValueError:
            raise TriggerError(
                f"instant {value!r:.60}: it cannot be read; write it like 2026-03-01T08:00:00Z"
            ) from None
    elif isinstance(value, datetime):
        found = value
    else:
        raise TriggerError(f"instant {value!r:.60}: it is a {type(value).__name__}, not a datetime")
    if found.utcoffset() is None:
        if tz is None:
            raise TriggerError(
                f"instant '{value}': it has no time zone; add an offset, such as Z, or name a zone"
            )
        found = found.replace(tzinfo=find_zone(tz))
    try:
        return _after_a_gap(found) or found.astimezone(UTC)
    except OverflowError:
        raise TriggerError(f"instant '{value}': it lies outside of the years 1 to 9999") from None


def _after_a_gap(local: datetime) -> datetime | None:
    """Return the first instant after the gap that `local` lies in, None where it lies in none."""
    if not isinstance(local.tzinfo, ZoneInfo):
        return None
    first, second = readings(local.tzinfo, local.replace(tzinfo=None))
    return jump(local.tzinfo, second, first) if first > second else None


def format_instant(instant: datetime) -> str:
    """Write an aware `instant` in UTC, as in ``2026-03-01T08:00:00Z``."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
