"""Reads each copy of an archive again, says which are not what they were, and lets old ones go."""

import contextlib
import hashlib
from collections.abc import Callable
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import BinaryIO

import msgspec

from sereno_cleanup.archives import manifest
from sereno_cleanup.archives.manifest import KeptArchive
from sereno_cleanup.names import readable
from sereno_cleanup.packed import gzip, unreadable

_CHUNK = 1 << 20
_MARK = ".verified"
SHOWN = 20


class Verified(msgspec.Struct, omit_defaults=True):
    """What was found. `complete` is false when the time limit came first: the next run goes on.

    `missing`, `broken`: copies that are not there, or not what they were. `unlisted`: files that no
    line of the manifest names. Each with the first few names. `failure`: why nothing was read.
    """

    archive: str
    failure: str | None = None
    note: str | None = None
    verified: int = 0
    deleted: int = 0
    missing: list[str] = []
    broken: list[str] = []
    unlisted: list[str] = []
    torn_lines: int = 0
    complete: bool = True

    @property
    def faults(self) -> str | None:
        """Say what a person has to look at, None when all is well."""
        if self.failure is not None:
            return self.failure
        told = [
            f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
            for what, names in (("missing", self.missing), ("broken", self.broken))
            if names
        ]
        return f"{self.archive}: {', '.join(told)}" if told else None


class Verification(msgspec.Struct, frozen=True):
    """The reading of one archive. `keep`: how long copies are kept, None for ever.

    `check` may raise and `out_of_time` ends the reading; the next one goes on behind it, unless it
    `marks` nothing.
    """

    directory: Path
    zone: tzinfo
    now: datetime
    keep: timedelta | None
    check: Callable[[], None]
    out_of_time: Callable[[], bool]
    marks: bool = True

    def run(self) -> Verified:
        """Verify from where the last reading ended, once round."""
        found = manifest.read(self.directory)
        verified = Verified(archive=readable(str(self.directory)), torn_lines=found.torn)
        gone: list[KeptArchive] = []
        for one in self._resumed(found.kept):
            if self.out_of_time():
                verified.complete = False
                break
            self._verify(one, verified, gone)
            self._mark(one.copy)
        self._settle(gone, verified)
        listed = {one.file(self.directory) for one in found.kept}
        verified.unlisted = [
            readable(str(path.relative_to(self.directory)))
            for path in manifest.copies(self.directory)
            if path not in listed
        ][:SHOWN]
        return verified

    def _verify(self, one: KeptArchive, verified: Verified, gone: list[KeptArchive]) -> None:
        file = one.file(self.directory)
        try:
            whole = self._is_inside(file)  # a link may have taken the place of a directory
            with file.open("rb") as copy:
                whole = whole and digest_of(copy, one.packed, self.check) == one.sha256
        except FileNotFoundError:
            gone.append(one)
            return
        except OSError:  # a disk that cannot be read
            whole = False
        if not whole:
            verified.broken.append(one.copy)
            return
        verified.verified += 1
        if self._is_over(one):
            # Only what could still be read: of a broken one somebody may save a part.
            file.unlink(missing_ok=True)  # another machine may have the same archive
            self._let_go(one, verified)

    def _settle(self, gone: list[KeptArchive], verified: Verified) -> None:
        """Tell what is missing, which another run has not let go meanwhile.

        One past its time was deleted by a run that was killed before it said so. More than one
        cannot be: a part of the archive is not where it was.
        """
        still = {one.copy for one in manifest.read(self.directory).kept} if gone else set()
        missing = [one for one in gone if one.copy in still]
        over = [one for one in missing if self._is_over(one)]
        if len(over) == 1:
            self._let_go(over[0], verified)
            missing.remove(over[0])
        verified.missing = [one.copy for one in missing]

    def _is_over(self, one: KeptArchive) -> bool:
        return self.keep is not None and self._today() - one.day(self.zone) > self.keep

    def _let_go(self, one: KeptArchive, verified: Verified) -> None:
        manifest.append(self.directory, {"deleted_at": self.now.isoformat(), "copy": one.copy})
        verified.deleted += 1

    def _is_inside(self, file: Path) -> bool:
        return file.resolve().is_relative_to(self.directory.resolve())

    def _today(self) -> date:
        return self.now.astimezone(self.zone).date()

    def _resumed(self, kept: tuple[KeptArchive, ...]) -> tuple[KeptArchive, ...]:
        try:
            last = (self.directory / _MARK).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return kept
        for n, one in enumerate(kept):
            if one.copy == last:
                return kept[n + 1 :] + kept[: n + 1]
        return kept

    def _mark(self, copy: str) -> None:
        if self.marks:
            with contextlib.suppress(OSError):  # a full disk: the next reading begins elsewhere
                (self.directory / _MARK).write_text(copy, encoding="utf-8")


def digest_of(copy: BinaryIO, packed: bool, check: Callable[[], None]) -> str:
    """Return the SHA-256 of the original in `copy`; "broken" where it cannot be unpacked."""
    found = hashlib.sha256()
    try:
        content = gzip().GzipFile(fileobj=copy) if packed else copy
        while chunk := content.read(_CHUNK):
            check()
            found.update(chunk)
    except unreadable():
        return "broken"
    return found.hexdigest()
