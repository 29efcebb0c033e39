"""Makes the process's streams and arguments fit for use, whatever they were started with."""

import errno
import os
import sys
from io import TextIOWrapper

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def prepare_streams() -> None:
    """Open what was closed (``>&-``), and let no letter that an encoding lacks be a failure.

    A closed descriptor would be taken by the next socket, into which a line would then be printed.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free: this one
    sys.stdin = sys.stdin or _stream(0, "r")
    sys.stdout = sys.stdout or _stream(1, "w")
    sys.stderr = sys.stderr or _stream(2, "w")
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a test's own stream may lack it
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def read_arguments() -> list[str]:
    """Return the process's arguments as UTF-8, whatever the locale reads them as.

    Bytes that are no UTF-8 stay escaped, for `undecodable` to find.
    """
    found = sys.argv[1:]
    if all(map(str.isascii, found)):
        return found
    return [os.fsencode(text).decode("utf-8", "surrogateescape") for text in found]


def undecodable(arguments: list[str]) -> str | None:
    """Return the first argument that is no UTF-8, escaped, so that it can be told."""
    for text in arguments:
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-8", "backslashreplace").decode()
    return None


def is_full(error: OSError) -> bool:
    """Tell whether `error` says that what was to be written has no place to go."""
    return error.errno in _FULL


def _stream(descriptor: int, mode: str) -> TextIOWrapper:
    return TextIOWrapper(os.fdopen(descriptor, f"{mode}b"), encoding="utf-8")
