"""Knows migrations: numbered files, checksummed, forward only, before or after which code."""

import hashlib
import re
from functools import cache

import msgspec

from sereno.model.errors import SchemaError
from sereno.model.resource import resource_path

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


def read_migrations(package: str, folder: str) -> tuple[Migration, ...]:
    """Return the migrations in a folder of `package`, by number.

    Raises SchemaError when there are none, a number is there twice or a name is no migration's.
    """
    found: dict[int, Migration] = {}
    place = resource_path(package, folder)
    paths = list(place.iterdir()) if place.is_dir() else []
    for path in sorted(paths, key=lambda p: p.name):
        if not path.name.endswith(".sql"):
            continue
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise SchemaError(
                f"'{path.name}' in '{folder}' of {package} is no migration: "
                "name it NNNN_pre_<what>.sql or NNNN_post_<what>.sql"
            )
        text, number = path.read_text("utf-8"), int(match[1])
        if number in found:
            raise SchemaError(
                f"the migrations {found[number].name} and {path.name} of {package} have one "
                "number; give the later one the next"
            )
        digest = hashlib.sha256(text.encode()).hexdigest()
        found[number] = Migration(number, path.name, text, digest)
    if not found:
        raise SchemaError(
            f"there is no migration in '{folder}' of {package}; "
            "its files are package data: NNNN_pre_<what>.sql"
        )
    return tuple(sorted(found.values(), key=lambda m: m.number))


@cache
def migrations() -> tuple[Migration, ...]:
    """Return the kernel's migrations, by number."""
    return read_migrations(__package__, "migrations")


def newest_known() -> int:
    """Return the highest number that this code knows: what a node tells of itself.

    A version's name would not do: two builds may share one, and names have no order. This says
    the one thing that is asked, whether the code can work on a schema.
    """
    return migrations()[-1].number
