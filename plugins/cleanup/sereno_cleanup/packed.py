"""gzip, which the first file that is packed or read loads: a replica that waits does without it."""

import zlib
from typing import Any

from sereno import lazy


def gzip() -> Any:
    """Return the module of the standard library."""
    return lazy("gzip")


def unreadable() -> tuple[type[Exception], ...]:
    """Return what reading a gzip raises that is none, is torn, or was changed."""
    bad: type[Exception] = gzip().BadGzipFile
    return bad, EOFError, zlib.error
