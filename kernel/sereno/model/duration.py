"""Durations as people write them: ``6h``, ``90s``, ``1d12h``, ``250ms``."""

import math
import re
from datetime import timedelta

from sereno.model.errors import TriggerError

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
    "us": timedelta(microseconds=1),
}
_RANK = {unit: rank for rank, unit in enumerate(_UNITS)}
_PART = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)(w|d|h|ms|m|us|s)\s*", re.ASCII)
_REMEDY = "write it like 90s, 10m, 6h, 1d12h or 250ms"


def parse_duration(value: str | float | timedelta) -> timedelta:
    """Read text, a number of seconds, or a timedelta.

    Text names its units (w d h m s ms us), the largest first and each once; the last may have
    decimals (``1.5h``). Raises TriggerError on anything else and on a negative duration.
    """
    if isinstance(value, timedelta):
        found = value
    elif isinstance(value, str):
        found = _from_text(value)
    elif type(value) in (int, float):  # a bool is an int, and no duration
        found = _from_seconds(value)
    else:
        raise TriggerError(f"duration {value!r}: it is a {type(value).__name__}; {_REMEDY}")
    if found < timedelta(0):
        raise TriggerError(f"duration {value!r}: it is negative, and it must be zero or more")
    return found


def format_duration(duration: timedelta) -> str:
    """Write `duration` as `parse_duration` reads it; a negative one gets a minus."""
    if duration < timedelta(0):
        return "-" + format_duration(-duration)
    parts = []
    for unit in ("d", "h", "m", "s", "ms", "us"):
        count, duration = divmod(duration, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def as_written(value: object) -> str:
    """Return a value for a sentence: a timedelta as people write one, anything else as Python
    does."""
    return format_duration(value) if isinstance(value, timedelta) else f"{value!r:.100}"


def _from_text(text: str) -> timedelta:
    total, rank, at = timedelta(0), -1, 0
    stripped = text.strip()
    while match := _PART.match(stripped, at):
        number, unit = match.groups()
        if _RANK[unit] <= rank:
            raise TriggerError(
                f"duration {text!r:.60}: the units go from large to small, each once; {_REMEDY}"
            )
        if "." in number and match.end() < len(stripped):
            raise TriggerError(f"duration {text!r:.60}: only the last unit may have decimals")
        try:
            total += float(number) * _UNITS[unit] if "." in number else int(number) * _UNITS[unit]
        except OverflowError:
            raise TriggerError(f"duration {text!r:.60}: it is too long to be counted") from None
        rank, at = _RANK[unit], match.end()
    if stripped.startswith("-") and at == 0 and _PART.match(stripped, 1):
        raise TriggerError(f"duration {text!r:.60}: it is negative, and it must be zero or more")
    if at < len(stripped) or not stripped:
        hint = f"a number needs its unit, as in {stripped}s" if stripped.isdecimal() else _REMEDY
        raise TriggerError(f"duration {text!r:.60}: it cannot be read; {hint}")
    return total


def _from_seconds(seconds: float) -> timedelta:
    if not math.isfinite(seconds):
        raise TriggerError(f"duration {seconds!r}: it is not a finite number of seconds; {_REMEDY}")
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise TriggerError(f"duration {seconds!r:.60}: it is too long to be counted") from None
