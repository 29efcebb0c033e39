"""Decide where the data of the embedded PostgreSQL is kept."""

import os
import sys
from pathlib import Path

from sereno.embedded.account import SystemAccount
from sereno.embedded.remedy import REMEDY
from sereno.model.errors import EmbeddedError


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


def make_directory(path: Path, account: SystemAccount | None) -> None:
    """Make a directory and those above it; where root makes them, `account` may pass through."""
    for place in (*reversed(path.parents), path):
        if not place.exists():
            place.mkdir(exist_ok=True)
            if account:
                place.chmod(0o755)  # whatever root's umask
