"""By which rules instants are computed here: the versions of croniter and of the time zones."""

import zoneinfo
from functools import cache
from pathlib import Path

from sereno.model.installed import installed_version


@cache
def rules() -> str:
    """Return the versions on which slots depend, as in ``croniter 7.0.0, time zones 2026.6``."""
    return f"croniter {installed_version('croniter')}, time zones {_zones()}"


def _zones() -> str:
    """Return the version of the time zones: the system's, which go first, or the package's."""
    for place in zoneinfo.TZPATH:
        for name in ("tzdata.zi", "+VERSION"):
            try:
                with Path(place, name).open(encoding="ascii") as file:
                    return file.readline().removeprefix("# version").strip()
            except (OSError, UnicodeDecodeError):
                continue
        if Path(place, "Europe").is_dir():
            return f"of {place}"
    return installed_version("tzdata")
