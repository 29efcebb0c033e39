"""Deletes one planned file, if it still is the one that was planned."""

import os

from sereno_cleanup.logfiles.archive import Archive
from sereno_cleanup.logfiles.entry import LogFile
from sereno_cleanup.logfiles.root import Root

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def remove(root: Root, entry: LogFile, archive: Archive | None) -> bool:
    """Archive (where wanted) and unlink `entry`; return False when it is not what was planned.

    Raises OSError when the file cannot be deleted, ArchiveError when it cannot be archived.
    """
    with root.directory(entry.parts[:-1]) as directory:
        if not _is_planned(entry, directory):
            return False
        if archive is not None:
            descriptor = os.open(entry.name, _READ, dir_fd=directory)
            with open(descriptor, "rb") as source:
                if not entry.unchanged(LogFile.of(entry.parts, os.fstat(descriptor))):
                    return False
                archive.keep(entry, source)
            if not _is_planned(entry, directory):  # it grew while it was copied
                return False
        os.unlink(entry.name, dir_fd=directory)
        return True


def _is_planned(entry: LogFile, directory: int) -> bool:
    try:
        found = os.stat(entry.name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return entry.unchanged(LogFile.of(entry.parts, found))
