"""Finds the files that some process holds open, as far as /proc lets us see."""

import os
from pathlib import Path


def opened_files() -> frozenset[tuple[int, int]]:
    """Return device and inode of each; empty where there is no /proc."""
    found: set[tuple[int, int]] = set()
    for descriptors in Path("/proc").glob("[0-9]*/fd"):
        try:
            names = os.listdir(descriptors)
        except OSError:  # another user's process, or one that has ended
            continue
        for name in names:
            found.update(_file(descriptors / name))
    return frozenset(found)


def _file(link: Path) -> list[tuple[int, int]]:
    try:
        if not os.readlink(link).startswith("/"):  # a socket or a pipe
            return []
        stat = os.stat(link)
    except OSError:
        return []
    return [(stat.st_dev, stat.st_ino)]
