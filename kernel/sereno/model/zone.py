"""Time zones by their IANA names, which mean the same on every machine.

A machine's zoneinfo tree holds more than those: ``localtime``, ``posixrules``, copies under
``posix/`` and ``right/`` (which counts leap seconds), whatever an administrator put there. So a
name must stand in the lists that the IANA database itself carries, the package's or the system's.
"""

import re
import zoneinfo
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from sereno.model.errors import TriggerError
from sereno.model.lazy import lazy
from sereno.model.suggestion import nearest, suggested

_NO_ZONES = {
    "factory": "it stands for a machine whose zone nobody has set",
    "local": "it is another zone on each machine",
    "localtime": "it is another zone on each machine",
    "posixrules": "it is another zone on each machine",
}
_OFFSET = re.compile(r"(?:UTC|GMT)?\s?([+-])(\d\d?)(?::?00)?")
_ABBREVIATION = re.compile(r"[A-Z]{2,5}")
_TREES = ("posix/", "right/")


@lru_cache(maxsize=1024)
def find_zone(name: str) -> ZoneInfo:
    """Return the IANA zone called `name`; any other name raises TriggerError with a suggestion."""
    if name in iana_names():
        try:
            return ZoneInfo(name)
        except (LookupError, ValueError, OSError):  # listed, and its file is missing or broken
            pass
    raise TriggerError(f"time zone {name!r:.60}: {_reason(str(name))}") from None


def default_zone() -> str:
    """Return the zone of a trigger that names none: that of the settings that were read last."""
    return _default[0]


def use_zone(name: str) -> None:
    """Have triggers that name no zone be of the zone `name`, from now on in this process.

    Those that are there keep theirs, which stands in their text. Raises TriggerError.
    """
    _default[0] = find_zone(name).key


_default = ["UTC"]


@cache
def iana_names() -> frozenset[str]:
    """Return the names of all zones and links of the IANA database."""
    return frozenset(_listed()) - {"Factory"}


def _listed() -> Iterator[str]:
    package = lazy("tzdata").__file__ or ""
    yield from Path(package).with_name("zones").read_text("ascii").split()
    for place in zoneinfo.TZPATH:  # the system's may be newer
        try:
            lines = Path(place, "tzdata.zi").read_text("ascii").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        for line in lines:  # "Z Europe/Madrid 0:14:44 ..." or "L Europe/Madrid Europe/Spain"
            kind, *words = line.split()[:3] or ("",)
            if kind in ("Z", "L") and words:
                yield words[0 if kind == "Z" else -1]


def _reason(name: str) -> str:
    remedy = "use an IANA name, such as 'Europe/Madrid' or 'UTC'"
    if why := _NO_ZONES.get(name.lower().removeprefix(":").rpartition("/")[2]):
        return f"{why}; {remedy}"
    if offset := _OFFSET.fullmatch(name):
        sign, hours = offset.groups()
        opposite = f"Etc/GMT{'-' if sign == '+' else '+'}{int(hours)}"
        exact = f", or {opposite!r}, which never changes" if opposite in iana_names() else ""
        return f"an offset is no zone, for it knows no summer time; {remedy}{exact}"
    if _ABBREVIATION.fullmatch(name):
        return f"an abbreviation is no zone, for several share it; {remedy}"
    near = _near(name[:200])
    return "there is no such zone" + suggested(near, f"; {remedy}")


def _near(name: str) -> str | None:
    _, found, inside = name.rpartition("zoneinfo/")
    wanted = (inside if found else name).lstrip(":").strip().lower().replace(" ", "_")
    for tree in _TREES:
        wanted = wanted.removeprefix(tree)
    names = {known.lower(): known for known in iana_names()}
    cities = {known.rpartition("/")[2].lower(): known for known in sorted(names.values())}
    for table in (names, cities):
        if near := nearest(wanted, table, cutoff=0.75):
            return table[near]
    return None
