"""Writes instants and durations as people read them, in the zone of this machine."""

import time
from datetime import UTC, datetime, timedelta

_SPANS = (
    (timedelta(days=1), "d"),
    (timedelta(hours=1), "h"),
    (timedelta(minutes=1), "min"),
    (timedelta(seconds=1), "s"),
)


def system_time() -> datetime:
    """Return this machine's time, for what needs no database; with one, the database's decides."""
    return datetime.fromtimestamp(time.time(), UTC)


def moment(instant: datetime | None, now: datetime) -> str:
    """Write `instant` as short as `now` allows: ``14:05:09``, ``Mon 24 Nov 14:05``, with a year."""
    if instant is None:
        return "-"
    here, today = instant.astimezone(), now.astimezone()
    if here.date() == today.date():
        return here.strftime("%H:%M:%S")
    if here.date() == today.date() + timedelta(days=1):
        return here.strftime("tomorrow %H:%M")
    if here.date() == today.date() - timedelta(days=1):
        return here.strftime("yesterday %H:%M")
    if abs(instant - now) < timedelta(days=180):
        return here.strftime("%a %d %b %H:%M")
    return here.strftime("%Y-%m-%d %H:%M")


def exact(instant: datetime | None, *, fine: bool = False) -> str:
    """Write `instant` whole, with weekday and offset: ``Mon 2026-11-24 08:00:00 +01:00``.

    `fine`: with milliseconds.
    """
    if instant is None:
        return "-"
    here = instant.astimezone()
    offset = here.strftime("%z")
    part = f".{here.microsecond // 1000:03}" if fine else ""
    return f"{here:%a %Y-%m-%d %H:%M:%S}{part} {offset[:3]}:{offset[3:5]}"


def distance(instant: datetime | None, now: datetime) -> str:
    """Write how far `instant` is from `now`: ``in 3 h``, ``5 min ago``."""
    if instant is None:
        return ""
    gap = instant - now
    if abs(gap) < timedelta(seconds=1):
        return "now"
    return f"in {span(gap)}" if gap > timedelta(0) else f"{span(-gap)} ago"


def span(duration: timedelta) -> str:
    """Write `duration` in its largest unit: ``3 h``, ``2 d``."""
    for unit, name in _SPANS:
        count = duration // unit
        if count:
            return f"{count} {name}"
    return "0 s"


def lasting(duration: timedelta | None) -> str:
    """Write `duration` with its two largest units: ``420ms``, ``3.2s``, ``4m05s``, ``2h04m``."""
    if duration is None:
        return "-"
    seconds = duration.total_seconds()
    if seconds < 0.9995:
        return f"{max(seconds, 0) * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes_left = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{days}d{hours_left:02}h"
    if hours:
        return f"{hours}h{minutes_left:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{whole}s"


def ended(text: str) -> str:
    """Return the first line of `text`, and a mark when there is more."""
    lines = text.strip().splitlines() or [""]
    return lines[0] + (" ..." if len(lines) > 1 else "")
