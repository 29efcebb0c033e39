"""How much memory this process may hold: what its control groups allow, or what the machine has."""

import os
from pathlib import Path, PurePosixPath

_GROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def memory_limit(groups: Path = _GROUPS, own: Path = _OWN) -> int | None:
    """Return the least limit in bytes, None where this system tells none."""
    limits = [*_group_limits(groups, own), *_machine()]
    return min(limits, default=None)


def _group_limits(groups: Path, own: Path) -> list[int]:
    """Read version 2 (``0::/a/b``: each group on the way has a limit), and version 1 in a
    container."""
    try:
        lines = own.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for line in lines:
        number, _, name = line.split(":", 2)
        place = PurePosixPath(name.lstrip("/"))
        if number == "0" and ".." not in place.parts:
            found += [groups / at / "memory.max" for at in (place, *place.parents)]
    found.append(groups / "memory" / "memory.limit_in_bytes")
    return [limit for path in found if (limit := _number(path)) is not None]


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):  # not there, or "max"
        return None


def _machine() -> list[int]:
    try:
        return [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (OSError, ValueError):
        return []
