"""Finds the files that some process holds open, as far as /proc lets us see."""

import os
from pathlib import Path


def opened_files(*, for_writing: bool = False) -> frozenset[tuple[int, int]]:
    """Return device and inode of each; empty where there is no /proc."""
    found: set[tuple[int, int]] = set()
    for descriptors in Path("/proc").glob("[0-9]*/fd"):
        try:
            names = os.listdir(descriptors)
        except OSError:  # another user's process, or one that has ended
            continue
        for name in names:
            file = _file(descriptors / name)
            if file and (not for_writing or _is_written(descriptors.parent / "fdinfo" / name)):
                found.add(file)
    return frozenset(found)


def _file(link: Path) -> tuple[int, int] | None:
    try:
        if not os.readlink(link).startswith("/"):  # a socket or a pipe
            return None
        stat = os.stat(link)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _is_written(info: Path) -> bool:
    try:
        lines = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
    except OSError:
        return False
    return int(lines.get("flags", "0"), 8) & os.O_ACCMODE != os.O_RDONLY
