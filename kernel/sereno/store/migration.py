"""Knows the migrations: numbered files, checksummed, forward only, before or after which code."""

import hashlib
import re
from functools import cache
from importlib.resources import files

import msgspec

_FILE = re.compile(r"(\d{4})_(pre|post)_(\w+)\.sql")


class Migration(msgspec.Struct, frozen=True):
    """One file: its number, name, text and SHA-256 (hex)."""

    number: int
    name: str
    text: str
    checksum: str

    @property
    def post(self) -> bool:
        """Tell whether it is for when no older replica is left."""
        return not is_pre(self.name)


def is_pre(name: str) -> bool:
    """Tell whether a migration of this name is one that older code can work with."""
    match = _FILE.fullmatch(name)
    return match is not None and match[2] == "pre"


@cache
def migrations() -> tuple[Migration, ...]:
    """Return all migrations, by number."""
    found = []
    for path in files(__package__).joinpath("migrations").iterdir():
        match = _FILE.fullmatch(path.name)
        if match:
            text = path.read_text("utf-8")
            digest = hashlib.sha256(text.encode()).hexdigest()
            found.append(Migration(int(match[1]), path.name, text, digest))
    return tuple(sorted(found, key=lambda m: m.number))


def newest_known() -> int:
    """Return the highest number that this code knows: what a node tells of itself.

    A version's name would not do: two builds may share one, and names have no order. This says
    the one thing that is asked, whether the code can work on a schema.
    """
    return migrations()[-1].number
