"""Keeps rows as compressed CSV before they go.

A file is one run's share of one table. Each batch is gzip members of its own, synced before the
transaction that deletes its rows commits; so a crash leaves whole members, the last of which may
hold rows that are still in the table, and a torn one, whose rows certainly are. The next run cuts
the torn one off and enters the file in ``manifest.jsonl``: nothing is lost, and a few rows may
stand twice.

An empty cell that is not quoted is NULL, as PostgreSQL's ``COPY ... FROM ... CSV HEADER`` reads it.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import socket
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Any

from sereno_cleanup.archives import manifest
from sereno_cleanup.directory import sync_directory
from sereno_cleanup.expiry.shape import plain
from sereno_cleanup.packed import gzip

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = 1 << 20
_PART = ".csv.gz.part"


class VaultError(Exception):
    """Rows could not be kept, so they stay in their table."""


class Vault:
    """A directory with files of rows. `columns` of the table: name and type of each, in order."""

    durable = True

    def __init__(
        self, directory: Path, table: str, columns: Sequence[tuple[str, str]], now: datetime
    ) -> None:
        self._directory = directory
        self._table = table
        self._names = [name for name, _ in columns]
        self._types = [kind for _, kind in columns]
        self._now = now
        self._open: tuple[Path, FileIO] | None = None
        self._settled = 0
        self.columns = ", ".join(f'expired."{_escaped(n)}"::text' for n in self._names)

    async def keep(self, rows: list[Any]) -> None:
        """Append `rows`; raises VaultError."""
        await self._tried(self._append, rows)

    async def settle(self) -> None:
        """Return once what was appended is on the disk; raises VaultError."""
        await self._tried(self._sync)

    async def _tried(self, act: Callable[..., None], *arguments: Any) -> None:
        try:
            await asyncio.to_thread(act, *arguments)
        except OSError as error:
            self._cut()
            raise VaultError(
                f"rows of {self._table} cannot be archived in {self._directory}, so they stay: "
                f"{error.strerror or error}"
            ) from error

    async def close(self) -> str | None:
        """Finish this run's file, enter it in the manifest, and return its name; None for none."""
        if self._open is None:
            return None
        (part, file), self._open = self._open, None
        with file:  # it is ours until it has its name
            return await asyncio.to_thread(self._finish, part, False)

    async def recover(self) -> list[str]:
        """Finish what runs that were killed have left; return the files' names."""
        return await asyncio.to_thread(self._recover)

    def _append(self, rows: list[Any]) -> None:
        if self._open is None:
            self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._open = self._new_part()
        file = self._open[1]
        text = "" if file.tell() else _line(self._names)
        text += "".join(_line(list(row)) for row in rows)
        rest = memoryview(gzip().compress(text.encode(), mtime=0))
        while rest:
            rest = rest[file.write(rest) :]

    def _sync(self) -> None:
        if self._open is not None:
            os.fsync(self._open[1].fileno())
            self._settled = self._open[1].tell()

    def _cut(self) -> None:
        """Take back what of a batch did not fit; where that fails the next recovery cuts it off."""
        if self._open is not None:
            with contextlib.suppress(OSError):
                self._open[1].seek(self._settled)
                self._open[1].truncate()

    def _new_part(self) -> tuple[Path, FileIO]:
        stem = f"{_plain(self._table)}-{plain(self._now)}-{socket.gethostname()}-{os.getpid()}"
        for n in range(1000):
            part = self._directory / f"{stem}{f'-{n}' if n else ''}{_PART}"
            if part.with_suffix("").exists():
                continue
            with contextlib.suppress(FileExistsError):
                file = FileIO(os.open(part, _CREATE, 0o640), "wb")
                fcntl.flock(file, fcntl.LOCK_EX)  # whose part is locked is at work
                if os.fstat(file.fileno()).st_nlink:
                    return part, file
                file.close()  # another run has taken it for one that was left, and empty
        raise VaultError(f"{self._directory} has a thousand files of this instant already")

    def _recover(self) -> list[str]:
        if not self._directory.is_dir():
            return []
        found = sorted(self._directory.glob(f"{_plain(self._table)}-*{_PART}"))
        return [name for part in found if (name := self._recovered(part)) is not None]

    def _recovered(self, part: Path) -> str | None:
        """Finish `part` unless a run is at work on it, which may be another machine's."""
        try:
            with part.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return self._finish(part, True)
        except (BlockingIOError, FileNotFoundError):
            return None

    def _finish(self, part: Path, recovered: bool) -> str | None:
        """Check that the file can be read to its end, rename it, and enter it in the manifest."""
        digest, rows, end = _read(part)
        if recovered:
            os.truncate(part, end)
        elif end != part.stat().st_size:
            raise VaultError(f"the archive {part} cannot be read again: look at its disk")
        if rows == 0:
            part.unlink()
            return None
        target = part.with_suffix("")
        entry = {
            "archived_at": self._now.isoformat(),
            "host": socket.gethostname(),
            "table": self._table,
            "columns": [list(pair) for pair in zip(self._names, self._types, strict=True)],
            **manifest.named(self._directory, target),
            "rows": rows,
            "sha256": digest,
            **({"recovered": True} if recovered else {}),
        }
        manifest.append(self._directory, entry)
        part.rename(target)
        sync_directory(self._directory)
        return target.name


def _read(path: Path) -> tuple[str, int, int]:
    """Return the SHA-256 of the content, its rows (less the head), and where the last whole member
    ends."""
    digest = hashlib.sha256()
    rows, whole = -1, 0
    for text, end in _members(path):
        digest.update(text)
        rows += _records(text)
        whole = end
    return digest.hexdigest(), max(rows, 0), whole


def _members(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield the content of each whole member and where it ends; one at a time is in memory."""
    with path.open("rb") as file:
        pending, end = b"", 0
        while True:
            unpacker, text = zlib.decompressobj(wbits=31), b""
            while not unpacker.eof:
                chunk = pending or file.read(_READ)
                pending = b""
                if not chunk:
                    return
                try:
                    text += unpacker.decompress(chunk)
                except zlib.error:
                    return
                end += len(chunk)
            pending = unpacker.unused_data
            end -= len(pending)
            yield text, end


def _records(text: bytes) -> int:
    """Count the lines of CSV, not those breaks that stand inside of quotes."""
    return sum(part.count(b"\n") for part in text.split(b'"')[::2])


def _line(cells: Sequence[str | None]) -> str:
    written = ("" if c is None else '"' + c.replace('"', '""') + '"' for c in cells)
    return ",".join(written) + "\n"


def _escaped(name: str) -> str:
    return name.replace('"', '""')


def _plain(table: str) -> str:
    """Return a table's quoted name as a part of a file's name."""
    return "".join(c if c.isalnum() or c in "._" else "_" for c in table.replace('"', ""))
