"""One directory entry that a rule's glob matched, as it was when it was found."""

import os
import stat
from datetime import UTC, datetime
from typing import Literal

import msgspec

from sereno_cleanup.names import readable

Kind = Literal["file", "symlink", "other"]


class LogFile(msgspec.Struct, frozen=True):
    """`parts`: the path below the root. `size`: bytes of content. `mtime_ns`: since the epoch.

    `disk_bytes`: what the file takes on the disk and gives back when it goes: of a sparse one less
    than its size.
    """

    parts: tuple[str, ...]
    kind: Kind
    device: int
    inode: int
    size: int
    mtime_ns: int
    links: int
    disk_bytes: int = 0

    @classmethod
    def of(cls, parts: tuple[str, ...], found: os.stat_result) -> "LogFile":
        """Make an entry of what stat said."""
        return cls(
            parts=parts,
            kind=_kind(found.st_mode),
            device=found.st_dev,
            inode=found.st_ino,
            size=found.st_size,
            mtime_ns=found.st_mtime_ns,
            links=found.st_nlink,
            disk_bytes=found.st_blocks * 512,
        )

    @property
    def name(self) -> str:
        """Return the last part."""
        return self.parts[-1]

    @property
    def path(self) -> str:
        """Return the path below the root as text: of a name that is no UTF-8 with \\x escapes."""
        return readable("/".join(self.parts))

    @property
    def identity(self) -> tuple[int, int]:
        """Return what tells this file from every other one: device and inode."""
        return self.device, self.inode

    @property
    def modified(self) -> datetime:
        """Return the time of the last change of the content.

        A file system may hold one that no calendar has: it is at the calendar's end then.
        """
        try:
            return datetime.fromtimestamp(self.mtime_ns / 1e9, UTC)
        except (OverflowError, ValueError, OSError):
            return LAST if self.mtime_ns > 0 else FIRST

    def unchanged(self, other: "LogFile") -> bool:
        """Tell whether `other` is this very file with the same content, as far as stat tells."""
        return msgspec.structs.replace(other, disk_bytes=self.disk_bytes) == self


FIRST = datetime(2, 1, 1, tzinfo=UTC)
LAST = datetime(9998, 12, 31, tzinfo=UTC)
"""A year from the ends, so that any zone's day of it is one as well."""


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    return "symlink" if stat.S_ISLNK(mode) else "other"
