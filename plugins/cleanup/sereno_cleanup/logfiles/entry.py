"""One directory entry that a rule's glob matched, as it was when it was found."""

import os
import stat
from datetime import UTC, datetime
from typing import Literal

import msgspec

Kind = Literal["file", "symlink", "other"]


class Entry(msgspec.Struct, frozen=True):
    """`parts`: the path below the root. `mtime_ns`: since the epoch."""

    parts: tuple[str, ...]
    kind: Kind
    device: int
    inode: int
    size: int
    mtime_ns: int
    links: int

    @classmethod
    def of(cls, parts: tuple[str, ...], found: os.stat_result) -> "Entry":
        """Make an entry of what stat said."""
        return cls(
            parts=parts,
            kind=_kind(found.st_mode),
            device=found.st_dev,
            inode=found.st_ino,
            size=found.st_size,
            mtime_ns=found.st_mtime_ns,
            links=found.st_nlink,
        )

    @property
    def name(self) -> str:
        """Return the last part."""
        return self.parts[-1]

    @property
    def path(self) -> str:
        """Return the path below the root."""
        return "/".join(self.parts)

    @property
    def identity(self) -> tuple[int, int]:
        """Return what tells this file from every other one: device and inode."""
        return self.device, self.inode

    @property
    def modified(self) -> datetime:
        """Return the time of the last change of the content."""
        return datetime.fromtimestamp(self.mtime_ns / 1e9, UTC)


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    return "symlink" if stat.S_ISLNK(mode) else "other"
