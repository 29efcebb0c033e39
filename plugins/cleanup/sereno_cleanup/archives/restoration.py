"""Puts originals back from their copies, verified on the way."""

import contextlib
import hashlib
import os
import shutil
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from sereno_cleanup.archives.manifest import KeptArchive, read
from sereno_cleanup.names import readable
from sereno_cleanup.packed import gzip, unreadable

_CHUNK = 1 << 20
_LONGEST_NAME = 255


class RestoreError(Exception):
    """A copy cannot be put back; the sentence says which one and why."""


def matching(directory: Path, pattern: str) -> list[KeptArchive]:
    """Return the copies whose original's path, table or own name matches the glob `pattern`."""
    return [
        one
        for one in read(directory).kept
        if any(name and fnmatchcase(name, pattern) for name in (one.path, one.table, one.copy))
    ]


def restore(directory: Path, one: KeptArchive, into: Path) -> Path:
    """Unpack `one` below `into` and return where it is now; raises RestoreError.

    Nothing is replaced, and a copy whose content has another digest than the original had leaves
    no file. Rows come as CSV.
    """
    place = PurePosixPath(one.path or one.copy.removesuffix(".gz"))
    if place.is_absolute() or ".." in place.parts:
        raise RestoreError(f"'{place}' would leave {into}; look at the manifest")
    target = into / place
    part = target.with_name(target.name + ".part")
    if len(os.fsencode(part.name)) > _LONGEST_NAME:
        part = target.with_name(f"{one.sha256[:16]}.part")
    for name in (target, part):
        if os.path.lexists(name):  # a link that leads nowhere is somebody's, too
            raise RestoreError(f"{name} is there already; move it away, or choose another --to")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = _unpack(one.file(directory), part, packed=one.packed)
        if digest != one.sha256:
            raise RestoreError(
                f"the copy '{one.copy}' is not what it was: its content has SHA-256 {digest}, its "
                f"original had {one.sha256}"
            )
        if one.modified is not None:
            os.utime(part, (one.modified.timestamp(),) * 2)
        part.rename(target)
    except unreadable() as error:
        raise RestoreError(f"the copy '{one.copy}' cannot be unpacked: {error}") from error
    except OSError as error:
        why = error.strerror or error
        raise RestoreError(f"'{one.copy}' cannot be put back: {readable(str(why))}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return target


def _unpack(copy: Path, part: Path, *, packed: bool) -> str:
    found = hashlib.sha256()
    with copy.open("rb") as source, part.open("xb") as target:
        content: Any = gzip().GzipFile(fileobj=source) if packed else source
        while chunk := content.read(_CHUNK):
            found.update(chunk)
            target.write(chunk)
        shutil.copymode(copy, part)
    return found.hexdigest()
