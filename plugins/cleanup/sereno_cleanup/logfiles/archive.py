"""Keeps a verified copy of a file before the file goes.

A crash at any step leaves the original or a verified copy: the copy is written to ``*.part``,
synced, read again and compared, renamed, and entered in ``manifest.jsonl``; only then may the
original go. Doing it again finds the copy and makes no second one.
"""

import hashlib
import os
import socket
from collections.abc import Callable
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


class ArchiveError(Exception):
    """A copy could not be made, or is not equal to its original."""


class Archive(msgspec.Struct, frozen=True):
    """A directory of verified copies of files below `root`; several roots may share it.

    `check` is called between chunks, and may raise.
    """

    directory: Path
    root: str
    now: Callable[[], datetime]
    check: Callable[[], None]

    def keep(self, entry: LogFile, source: BinaryIO) -> str:
        """Keep the content of `source`; return the sha256 of that content once the copy is durable.

        Raises ArchiveError.
        """
        try:
            packed = not entry.name.endswith(manifest.COMPRESSED)
            digest = self._digest(source)
            target = self._target(entry, digest, packed)
            if not target.exists():
                self._write(target, source, digest, packed)
            self._enter(entry, target, digest)
        except OSError as error:
            why = error.strerror or error  # the path in it may be no text
            raise ArchiveError(f"'{entry.path}' cannot be archived: {why}") from error
        return digest

    def _target(self, entry: LogFile, digest: str, packed: bool) -> Path:
        """Return where the copy belongs; with the digest in its name if another copy is there."""
        suffix = ".gz" if packed else ""
        target = self.directory.joinpath(*entry.parts[:-1], entry.name + suffix)
        if target.exists() and self._copied(target, packed) != digest:
            return target.with_name(f"{entry.name}.{digest[:16]}{suffix}")
        return target

    def _write(self, target: Path, source: BinaryIO, digest: str, packed: bool) -> None:
        target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        try:
            source.seek(0)
            with open(os.open(part, _CREATE, 0o640), "wb") as file:
                if packed:
                    with gzip().GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as zipped:
                        self._copy(source, zipped)
                else:
                    self._copy(source, file)
                file.flush()
                os.fsync(file.fileno())
            if self._copied(part, packed) != digest:
                raise ArchiveError(
                    f"the copy {readable(str(part))} is not equal to its original, which stays"
                )
            part.rename(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        sync_directory(target.parent)

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

    def _enter(self, entry: LogFile, target: Path, digest: str) -> None:
        line = {
            "archived_at": self.now().isoformat(),
            "host": socket.gethostname(),
            "root": readable(self.root),
            "path": entry.path,
            **manifest.named(self.directory, target),
            "size_bytes": entry.size,
            "modified": entry.modified.isoformat(),
            "sha256": digest,
        }
        manifest.append(self.directory, line)


_CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
