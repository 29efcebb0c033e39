"""Finds the archives of all rules: no rule sweeps or rotates what is kept there."""

import os

from sereno_cleanup.settings import Settings


def kept_apart(settings: Settings) -> frozenset[tuple[int, int]]:
    """Return device and inode of each archive that is there, of log files and of rows."""
    found = set()
    for archive in settings.archives():
        if os.path.isdir(archive):
            stat = os.stat(archive)
            found.add((stat.st_dev, stat.st_ino))
    return frozenset(found)
