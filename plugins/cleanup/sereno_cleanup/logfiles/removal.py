"""Deletes planned files, each if it still is the one that was planned."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator

from sereno_cleanup.archives.alone import alone
from sereno_cleanup.fault import STOPPED
from sereno_cleanup.logfiles.archive import Archive, ArchiveCopy
from sereno_cleanup.logfiles.entry import LogFile
from sereno_cleanup.logfiles.root import Root

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_FILES = 100
_BYTES = 64 * 2**20

Removal = tuple[LogFile, bool | Exception]


def remove(
    root: Root, entries: Iterable[LogFile], archive: Archive | None, report: Callable[[], None]
) -> Iterator[Removal]:
    """Archive (where wanted) and unlink `entries`; yield what became of each.

    True: it is gone; False: it is not what was planned; else its fault. `report` is called before
    each goes, and may raise. Raises the fault of an archive that is full: the other files would be
    read for nothing.
    """
    if archive is None:
        for entry in entries:
            report()
            yield entry, _unlinked(root, entry)
        return
    for batch in _batches(entries):
        with alone(archive.directory, archive.check):  # the open lock keeps its disk mounted
            archive.confirm()
            yield from _archived(root, batch, archive, report)


def _batches(entries: Iterable[LogFile]) -> Iterator[list[LogFile]]:
    """Cut: on one disk, the copies of a batch stand beside their originals until it is settled."""
    batch: list[LogFile] = []
    size = 0
    for entry in entries:
        if batch and (len(batch) == _FILES or size + entry.size > _BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry.size
    if batch:
        yield batch


def _archived(
    root: Root, batch: list[LogFile], archive: Archive, report: Callable[[], None]
) -> Iterator[Removal]:
    copies: list[ArchiveCopy] = []
    full: Exception | None = None
    try:
        for entry in batch:
            found = _copy(root, entry, archive)
            if isinstance(found, ArchiveCopy):
                copies.append(found)
            elif isinstance(found, Exception) and _is_full(found):
                full = found
                break  # what was copied before it can be settled without more room
            else:
                yield entry, found
    except BaseException:
        archive.discard(copies)
        raise
    faults = archive.settle(copies)
    for entry in (copy.entry for copy in copies):
        report()
        fault = faults.get(entry)
        if fault is not None and _is_full(fault):
            full = full or fault
        else:
            yield entry, _unlinked(root, entry) if fault is None else fault
    if full is not None:
        raise full


def _copy(root: Root, entry: LogFile, archive: Archive) -> ArchiveCopy | bool | Exception:
    try:
        with root.directory(entry.parts[:-1]) as directory:
            if not _is_planned(entry, directory):
                return False
            descriptor = os.open(entry.name, _READ, dir_fd=directory)
            with open(descriptor, "rb") as source:
                if not entry.unchanged(LogFile.of(entry.parts, os.fstat(descriptor))):
                    return False
                return archive.keep(entry, source)
    except STOPPED:
        raise
    except Exception as error:  # this file's own: the next has its turn
        return error


def _unlinked(root: Root, entry: LogFile) -> bool | Exception:
    """Unlink `entry`, looked at again: it may have grown while it was copied."""
    try:
        with root.directory(entry.parts[:-1]) as directory:
            if not _is_planned(entry, directory):
                return False
            os.unlink(entry.name, dir_fd=directory)
            return True
    except STOPPED:
        raise
    except Exception as error:
        return error


def _is_full(error: Exception) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in _FULL


def _is_planned(entry: LogFile, directory: int) -> bool:
    try:
        found = os.stat(entry.name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return entry.unchanged(LogFile.of(entry.parts, found))
