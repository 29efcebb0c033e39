"""Reads local times as people write them in params."""

from datetime import datetime

from sereno_etl_ivr import position


def local_position(text: str) -> int:
    """Return the position of ``2026-03-01`` or ``2026-03-01T08:30``; raise ValueError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(
            f"'{text}' is no date or time, as 2026-03-01 or 2026-03-01T08:30"
        ) from error
    if found.tzinfo is not None:
        raise ValueError(f"'{text}' has a zone; it is to be the source's local time")
    return position.position(found)
