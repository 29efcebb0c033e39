"""Reads the instants that people name: ``2026-03-01T08:00``, ``08:00``, ``+10m``."""

from datetime import UTC, datetime
from datetime import time as wall_time

import click

from sereno.model.duration import parse_duration

_FORMS = "write it like 2026-03-01T08:00, 2026-03-01T07:00:00Z, 08:00 (today) or +10m (from now)"


def read_instant(text: str, now: datetime) -> datetime:
    """Return the instant, in UTC, that `text` names at `now`.

    Without an offset it is read on this machine's clock. Raises click.UsageError on anything else.
    """
    text = text.strip()
    try:
        if text[:1] in "+-" and text[1:]:
            step = parse_duration(text[1:])
            return now + step if text[0] == "+" else now - step
        try:
            clock = wall_time.fromisoformat(text)
        except ValueError:
            found = datetime.fromisoformat(text)
        else:
            found = datetime.combine(now.astimezone().date(), clock)
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise click.UsageError(f"instant '{text}': it cannot be read; {_FORMS}") from error
