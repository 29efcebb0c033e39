"""A directory in which files may be deleted, held open so that nobody can swap it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "sbin", "sys", "usr")


class RootRefusedError(Exception):
    """The directory is none in which log files may be deleted."""


class Root(msgspec.Struct, frozen=True):
    """An open root: its resolved path, its descriptor and its device."""

    path: str
    descriptor: int
    device: int

    @contextmanager
    def directory(self, parts: tuple[str, ...]) -> Iterator[int]:
        """Open the directory at `parts` below the root, step by step.

        Raises OSError where a step is a symlink, or not a directory, or on another device.
        """
        current = os.dup(self.descriptor)
        try:
            for part in parts:
                following = os.open(part, _OPEN_DIRECTORY, dir_fd=current)
                os.close(current)
                current = following
                if os.fstat(current).st_dev != self.device:
                    raise OSError(f"'{part}' in {self.path} is on another device")
            yield current
        finally:
            os.close(current)


@contextmanager
def open_root(path: str) -> Iterator[Root]:
    """Resolve and open `path`.

    Raises RootRefusedError for a directory of the system or a home, OSError for a missing one.
    """
    resolved = os.path.realpath(path)
    _check(path, Path(resolved))
    descriptor = os.open(resolved, _OPEN_DIRECTORY)
    try:
        yield Root(resolved, descriptor, os.fstat(descriptor).st_dev)
    finally:
        os.close(descriptor)


def _check(given: str, resolved: Path) -> None:
    names = resolved.parts[1:]
    if names[:1] == ("private",):  # where macOS keeps its /etc and /var
        names = names[1:]
    if len(names) < 2:
        rule = "a root for log files is at least two levels deep, as /var/log"
    elif names[0] in _SYSTEM:
        rule = f"no file below /{names[0]} is deleted"
    elif resolved == Path.home():
        rule = "a home directory is no root for log files"
    else:
        return
    shown = given if given == str(resolved) else f"{given} (that is {resolved})"
    raise RootRefusedError(f"logs_roots: {shown} is refused: {rule}")
