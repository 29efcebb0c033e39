"""The names of files that were put aside, and the instants in them."""

import re
from datetime import UTC, datetime

_STAMP = "%Y%m%dT%H%M%SZ"
_ROTATED = re.compile(r"(?P<name>.+)-(?P<at>\d{8}T\d{6}Z)(?P<packed>\.gz|\.zst)?")


def rotated_name(name: str, at: datetime) -> str:
    """Return what the file `name` is called once it was put aside at `at`."""
    return f"{name}-{at.astimezone(UTC).strftime(_STAMP)}"


def rotated_at(found: str, name: str) -> datetime | None:
    """Return when `found` was put aside, None when it is no such file of `name`."""
    match = _ROTATED.fullmatch(found)
    if match is None or match["name"] != name:
        return None
    try:
        return datetime.strptime(match["at"], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def is_rotated(name: str) -> bool:
    """Tell whether a file was put aside: it is not put aside again."""
    return _ROTATED.fullmatch(name) is not None


def is_packed(name: str) -> bool:
    """Tell whether a file that was put aside is compressed."""
    match = _ROTATED.fullmatch(name)
    return match is not None and match["packed"] is not None
