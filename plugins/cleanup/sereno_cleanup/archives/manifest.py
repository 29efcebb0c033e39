"""Reads and appends to the manifest of an archive."""

import fcntl
import hashlib
import json
import os
import re
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import Any

import msgspec

from sereno_cleanup.age import day_of
from sereno_cleanup.names import readable

NAME = "manifest.jsonl"
_LONGEST_LINE = 1 << 20
COMPRESSED = (".gz", ".xz", ".bz2", ".zst", ".zip")


class KeptArchive(msgspec.Struct, frozen=True, kw_only=True):
    """A copy. `path` of the original below its `root`, or the `table` whose `rows` it holds.

    `copy`: its name below the archive, as text; `copy_hex`: the name's bytes where they are none.
    """

    copy: str
    sha256: str
    archived_at: datetime
    host: str = ""
    root: str = ""
    path: str | None = None
    modified: datetime | None = None
    size_bytes: int | None = None
    table: str | None = None
    rows: int | None = None
    copy_hex: str | None = None

    @property
    def name(self) -> str:
        """Return what people call it: the original's path, or its own name."""
        return self.path or self.copy

    @property
    def packed(self) -> bool:
        """Tell whether the copy is a gzip of the original; what was compressed already is none."""
        return self.path is None or not self.path.endswith(COMPRESSED)

    def file(self, directory: Path) -> Path:
        """Return where the copy is."""
        if self.copy_hex is not None:
            return directory / os.fsdecode(bytes.fromhex(self.copy_hex))
        return directory / self.copy

    def day(self, zone: tzinfo) -> date:
        """Return the day to which the content belongs."""
        if self.path is None or self.modified is None:
            return self.archived_at.astimezone(zone).date()
        return day_of(self.path.rpartition("/")[2], self.modified, zone)


class Manifest(msgspec.Struct, frozen=True):
    """The copies that are to be there, in the order in which they came; `torn`: lines that say
    nothing, as a crash leaves one."""

    kept: tuple[KeptArchive, ...]
    torn: int


def named(directory: Path, file: Path) -> dict[str, str]:
    """Return what a line says of the name of a copy."""
    name = str(file.relative_to(directory))
    text = readable(name)
    return {"copy": text} if text == name else {"copy": text, "copy_hex": os.fsencode(name).hex()}


def append(directory: Path, *lines: dict[str, Any]) -> None:
    """Add lines, and return once they are on the disk; safe beside other processes."""
    text = b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)
    with open(directory / NAME, "ab+") as manifest:
        fcntl.flock(manifest, fcntl.LOCK_EX)
        if end := manifest.seek(0, os.SEEK_END):
            manifest.seek(end - 1)
            if manifest.read(1) != b"\n":  # a crash has torn the last line
                text = b"\n" + text
        manifest.write(text)
        manifest.flush()
        os.fsync(manifest.fileno())


def read(directory: Path) -> Manifest:
    """Return what the archive is to hold; an archive that nobody has begun holds nothing."""
    kept: dict[str, KeptArchive] = {}
    torn = 0
    try:
        lines = (directory / NAME).read_bytes().split(b"\n")
    except FileNotFoundError:
        return Manifest((), 0)
    for line in filter(None, lines):
        try:
            said = msgspec.json.decode(line, type=dict[str, Any])
            if "deleted_at" in said:
                kept.pop(said["copy"], None)
            else:
                found = msgspec.convert(said, KeptArchive)
                _check_inside(found.file(Path()))
                kept[found.copy] = found
        except (msgspec.DecodeError, ValueError, KeyError, TypeError):
            torn += 1
    return Manifest(tuple(kept.values()), torn)


def identity(directory: Path) -> str | None:
    """Return what tells this archive from any other, None where nobody has begun one.

    It is the digest of the manifest's first line, which no later one changes.
    """
    try:
        with open(directory / NAME, "rb") as manifest:
            first = manifest.readline(_LONGEST_LINE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return hashlib.sha256(first).hexdigest() if first.endswith(b"\n") else None


def _check_inside(copy: Path) -> None:
    """Raise ValueError for a copy that is none below its archive: others' files are not ours."""
    if copy.is_absolute() or ".." in copy.parts or "\0" in str(copy) or not copy.name:
        raise ValueError(f"'{copy}' leads out of the archive")


def copies(directory: Path) -> list[Path]:
    """Return every file that looks like a copy: all but the manifest, parts and marks."""
    found = (path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(path for path in found if not _OURS.search(path.name))


_OURS = re.compile(r"^manifest\.jsonl$|^\.verified$|^\.lock$|\.part$")
