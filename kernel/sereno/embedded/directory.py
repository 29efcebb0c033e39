"""Decide where the data of the embedded PostgreSQL is kept."""

import os
import sys
import tempfile
from pathlib import Path

from sereno.embedded.account import SystemAccount
from sereno.embedded.remedy import REMEDY
from sereno.model.errors import EmbeddedError

_MEMORY = Path("/dev/shm")  # noqa: S108 - as the directory for temporary files, all may write here
_TEMPORARY_BYTES = 1_000_000_000
"""What must be free in memory for a temporary server: some twenty times an empty one."""


def data_directory() -> Path:
    """Return where this user's data is kept: for root a place that the server's account reaches."""
    chosen = Path(os.environ.get("XDG_DATA_HOME", ""))
    if chosen.is_absolute():
        return chosen / "sereno"
    if os.geteuid() == 0:
        return Path("/var/lib/sereno")
    try:
        home = Path.home()
    except RuntimeError as error:
        raise EmbeddedError(
            "this user has no home directory for the embedded PostgreSQL: set XDG_DATA_HOME,"
            f" {REMEDY}"
        ) from error
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "sereno"
    return home / ".local" / "share" / "sereno"


def temporary_directories() -> list[Path]:
    """Return where temporary servers may be, and first where the next one is made.

    That is in memory where there is room, as a database is made there in a tenth of the time; and
    on disk where there is none, or who runs us chose a directory for temporary files.
    """
    disk = Path(tempfile.gettempdir())
    if any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")):
        return [disk]
    return [*filter(None, [memory_directory(_TEMPORARY_BYTES)]), disk]


def memory_directory(room: int) -> Path | None:
    """Return the file system in memory; None where there is none with `room` bytes free.

    Nor is one that runs no programs: those of the server may have to be copied beside its data.
    """
    try:
        state = os.statvfs(_MEMORY)
    except OSError:
        return None
    runs = not state.f_flag & os.ST_NOEXEC
    roomy = state.f_bavail * state.f_frsize >= room
    return _MEMORY if runs and roomy and os.access(_MEMORY, os.W_OK) else None


def make_directory(path: Path, account: SystemAccount | None) -> None:
    """Make a directory and those above it; where root makes them, `account` may pass through."""
    for place in (*reversed(path.parents), path):
        if not place.exists():
            place.mkdir(exist_ok=True)
            if account:
                place.chmod(0o755)  # whatever root's umask
