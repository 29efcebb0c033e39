"""How far jitter moves slots: later, or, as ``±30s`` says, to both sides."""

from datetime import timedelta

from sereno.model.duration import format_duration, parse_duration

_BOTH = ("±", "+-", "+/-")


def parse_spread(value: str | float | timedelta) -> timedelta:
    """Read a duration, or one behind ``±``, which is returned as a negative one: to both sides.

    Raises TriggerError.
    """
    if isinstance(value, timedelta) and value < timedelta(0):
        return value  # as it was read before
    if isinstance(value, str):
        for sign in _BOTH:
            if value.strip().startswith(sign):
                return -parse_duration(value.strip().removeprefix(sign))
    return parse_duration(value)


def format_spread(spread: timedelta) -> str:
    """Write `spread` as `parse_spread` reads it."""
    return f"±{format_duration(-spread)}" if spread < timedelta(0) else format_duration(spread)
