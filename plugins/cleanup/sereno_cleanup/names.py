"""Writes names of files as text."""

import os


def readable(path: str) -> str:
    """Return `path` as text that can be logged and kept: bytes that are no UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
