"""Keeps a verified copy of each file before the file goes.

A crash at any step leaves the original or a verified copy: a copy is written to ``*.part``, synced,
read again and compared, renamed, and entered in ``manifest.jsonl``; only then may the original go.
Doing it again finds the copy and makes no second one.

Files are kept in batches, each step for the whole batch before the next: the disk is told of all
before the first is waited for, so that one commit of its journal holds them and the syncs of the
others find nothing left to do; directories and manifest are synced once a batch; and no step of a
file comes before the one that it relies on.
"""

import hashlib
import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from sereno_cleanup.archives import manifest
from sereno_cleanup.directory import sync_directory
from sereno_cleanup.logfiles.entry import LogFile
from sereno_cleanup.names import readable
from sereno_cleanup.packed import gzip, unreadable

_CHUNK = 1 << 20
_LONGEST = 255 - len(".0123456789abcdef.gz.part")
"""Bytes of a name to which all that a copy is called may be added."""

_SYNCS = 8
"""Syncs at once: a journal commits those that wait for it together."""


class ArchiveError(Exception):
    """A copy could not be made, or is not equal to its original."""


class ArchiveCopy(msgspec.Struct, frozen=True):
    """A copy of `entry` that is to be at `target`. `digest`: sha256 of the original's content.

    `file`: the open part, not synced yet; None where the copy was there before.
    """

    entry: LogFile
    target: Path
    digest: str
    packed: bool
    file: BinaryIO | None

    @property
    def part(self) -> Path:
        """Return where it is written."""
        return self.target.with_name(self.target.name + ".part")


class Archive(msgspec.Struct, frozen=True):
    """A directory of verified copies of files below `root`; several roots may share it.

    `check` is called between chunks, and may raise. `pending`: where copies that are kept and not
    settled yet are to be. `identity`: of the archive that it was at first, None for a new one.
    """

    directory: Path
    root: str
    now: Callable[[], datetime]
    check: Callable[[], None]
    pending: set[Path] = msgspec.field(default_factory=set)
    identity: str | None = None

    def confirm(self) -> None:
        """Raise ArchiveError where the directory is not the archive any more that it was."""
        if self.identity is not None and manifest.identity(self.directory) != self.identity:
            raise ArchiveError(
                f"{readable(str(self.directory))} is not the archive any more that it was as this "
                "run began: look whether its disk is mounted"
            )

    def keep(self, entry: LogFile, source: BinaryIO) -> ArchiveCopy:
        """Copy the content of `source`; the copy is durable once it is settled.

        Raises ArchiveError.
        """
        with _translated(entry):
            packed = not entry.name.endswith(manifest.COMPRESSED)
            digest = self._digest(source)
            target = self._target(entry, digest, packed)
            file = None if target.exists() else self._write(target, source, packed)
            self.pending.add(target)
            return ArchiveCopy(entry, target, digest, packed, file)

    def settle(self, copies: list[ArchiveCopy]) -> dict[LogFile, Exception]:
        """Make `copies` durable; return what is the matter with those that are not.

        The originals of all others may go.
        """
        faults: dict[LogFile, Exception] = {}
        try:
            synced = self._synced(copies, faults)
            kept = [copy for copy in synced if self._renamed(copy, faults)]
            try:
                for place in sorted({d for copy in kept for d in self._directories(copy)}):
                    sync_directory(place)
                if kept:
                    self._enter(kept)
            except OSError as error:
                faults |= {copy.entry: _refusal(copy.entry, error) for copy in kept}
        finally:
            self.discard(copies)
        return faults

    def discard(self, copies: Iterable[ArchiveCopy]) -> None:
        """Take away the parts of `copies` that are not settled."""
        for copy in copies:
            self.pending.discard(copy.target)
            if copy.file is not None:
                _forget(copy.file, copy.part)

    def _synced(
        self, copies: list[ArchiveCopy], faults: dict[LogFile, Exception]
    ) -> list[ArchiveCopy]:
        _begin(copy.file for copy in copies if copy.file is not None)
        with ThreadPoolExecutor(_SYNCS) as threads:
            errors = list(threads.map(_sync, copies))
        for copy, error in zip(copies, errors, strict=True):
            if error is not None:
                faults[copy.entry] = _refusal(copy.entry, error)
        return [copy for copy in copies if copy.entry not in faults]

    def _renamed(self, copy: ArchiveCopy, faults: dict[LogFile, Exception]) -> bool:
        """Compare a copy with its original and put it in its place."""
        if copy.file is None:
            return True
        try:
            with _translated(copy.entry):
                if self._copied(copy.part, copy.packed) != copy.digest:
                    raise ArchiveError(
                        f"the copy {readable(str(copy.part))} is not equal to its original, which "
                        "stays"
                    )
                copy.part.rename(copy.target)
        except ArchiveError as error:
            faults[copy.entry] = error
        return copy.entry not in faults

    def _directories(self, copy: ArchiveCopy) -> Iterator[Path]:
        """Yield where names may be new: that of the copy, and those of its directories."""
        place = copy.target.parent
        while place != self.directory:
            yield place
            place = place.parent
        yield place

    def _target(self, entry: LogFile, digest: str, packed: bool) -> Path:
        """Return where the copy belongs; with the digest in its name if another copy is there."""
        suffix = ".gz" if packed else ""
        name = os.fsencode(entry.name)
        short = os.fsdecode(name[:_LONGEST])
        target = self.directory.joinpath(*entry.parts[:-1], short + suffix)
        taken = target in self.pending or short != entry.name
        if taken or (target.exists() and self._copied(target, packed) != digest):
            return target.with_name(f"{short}.{digest[:16]}{suffix}")
        return target

    def _write(self, target: Path, source: BinaryIO, packed: bool) -> BinaryIO:
        target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        file = open(os.open(part, _CREATE, 0o640), "wb")  # noqa: SIM115 - settle closes it
        try:
            source.seek(0)
            if packed:
                with gzip().GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as zipped:
                    self._copy(source, zipped)
            else:
                self._copy(source, file)
            file.flush()
        except BaseException:
            _forget(file, part)
            raise
        return file

    def _copy(self, source: BinaryIO, target: BinaryIO) -> None:
        while chunk := source.read(_CHUNK):
            self.check()
            target.write(chunk)

    def _copied(self, path: Path, packed: bool) -> str:
        try:
            with gzip().open(path) if packed else path.open("rb") as file:
                return self._digest(file)
        except unreadable():
            return "broken"

    def _digest(self, file: BinaryIO) -> str:
        found = hashlib.sha256()
        while chunk := file.read(_CHUNK):
            self.check()
            found.update(chunk)
        return found.hexdigest()

    def _enter(self, copies: list[ArchiveCopy]) -> None:
        at, host, root = self.now().isoformat(), socket.gethostname(), readable(self.root)
        manifest.append(
            self.directory,
            *(
                {
                    "archived_at": at,
                    "host": host,
                    "root": root,
                    "path": copy.entry.path,
                    **manifest.named(self.directory, copy.target),
                    "size_bytes": copy.entry.size,
                    "modified": copy.entry.modified.isoformat(),
                    "sha256": copy.digest,
                }
                for copy in copies
            ),
        )


def _begin(files: Iterable[BinaryIO]) -> None:
    """Let the disk begin to write, where the system can be told so; nothing waits for it."""
    if sys.platform != "linux":
        return
    for file in files:
        with suppress(OSError):  # the sync tells what is the matter
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _forget(file: BinaryIO, part: Path) -> None:
    with suppress(OSError):  # what did not fit on the disk is tried again by the close
        file.close()
    part.unlink(missing_ok=True)


def _sync(copy: ArchiveCopy) -> OSError | None:
    try:
        if copy.file is not None:
            os.fsync(copy.file.fileno())
    except OSError as error:
        return error
    return None


@contextmanager
def _translated(entry: LogFile) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _refusal(entry, error) from error


def _refusal(entry: LogFile, error: OSError) -> ArchiveError:
    why = error.strerror or error  # the path in it may be no text
    refusal = ArchiveError(f"'{entry.path}' cannot be archived: {why}")
    refusal.__cause__ = error
    return refusal


_CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
