"""What stands beside the live files of one directory, read once however many there are."""

import os
from datetime import datetime

from sereno_cleanup.rotation.rotated import aside_of


class Beside:
    """When each file was put aside before, and the copies that killed runs have left half."""

    def __init__(self, directory: int) -> None:
        self._stamps: dict[str, set[datetime]] = {}
        self._halves: dict[str, list[str]] = {}
        for found in os.listdir(directory):
            hidden = found.startswith(".") and found.endswith(".part")
            aside = aside_of(found[1:-5] if hidden else found)
            if aside is None:
                continue
            if hidden:
                self._halves.setdefault(aside.name, []).append(found)
            else:
                self._stamps.setdefault(aside.name, set()).add(aside.at)

    def has(self, name: str, at: datetime) -> bool:
        """Tell whether `name` was put aside at `at`."""
        return at in self._stamps.get(name, ())

    def last(self, name: str) -> datetime | None:
        """Return when `name` was put aside last."""
        return max(self._stamps.get(name, ()), default=None)

    def forget_halves(self, directory: int, name: str) -> None:
        """Delete the half copies of `name`: each may be as large as a log."""
        for found in self._halves.pop(name, ()):
            os.unlink(found, dir_fd=directory)


def half_name(target: str) -> str:
    """Return what a copy is called until it is whole: hidden, so that no glob finds it."""
    return f".{target}.part"
