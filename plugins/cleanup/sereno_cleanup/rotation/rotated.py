"""The names of files that were put aside, and the instants in them."""

import re
from datetime import UTC, datetime

import msgspec

_STAMP = "%Y%m%dT%H%M%SZ"
_ROTATED = re.compile(
    r"(?P<name>.+)-(?P<at>[0-9]{8}T[0-9]{6}Z)(?P<packed>\.gz|\.zst)?(?P<part>\.part)?",
    re.DOTALL,  # a name may hold a line's end
)


class RotatedName(msgspec.Struct, frozen=True):
    """What a name says: of which file, put aside when, and whether it is, or becomes, a packed
    one."""

    name: str
    at: datetime
    is_packed: bool


def rotated_name(name: str, at: datetime) -> str:
    """Return what the file `name` is called once it was put aside at `at`."""
    return f"{name}-{at.astimezone(UTC).strftime(_STAMP)}"


def aside_of(found: str) -> RotatedName | None:
    """Return what the name `found` says, None where it is none of a file that was put aside."""
    match = _ROTATED.fullmatch(found)
    if match is None:
        return None
    try:
        at = datetime.strptime(match["at"], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
    return RotatedName(match["name"], at, match["packed"] is not None or match["part"] is not None)


def is_rotated(name: str) -> bool:
    """Tell whether a file was put aside: it is not put aside again."""
    return _ROTATED.fullmatch(name) is not None
