"""Decides which entries below a root a glob matches, without following anything."""

import errno
import os
from collections.abc import Callable
from fnmatch import fnmatchcase

from sereno_cleanup.logfiles.entry import LogFile
from sereno_cleanup.logfiles.root import Root

Identity = tuple[int, int]
_MAY_BE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""What a directory that was swapped or has gone since its listing is opened with."""


def scan(
    root: Root,
    pattern: tuple[str, ...],
    closed: frozenset[Identity],
    check: Callable[[], None],
    unreadable: list[tuple[str, ...]] | None = None,
) -> list[LogFile]:
    """Return what matches `pattern` (glob parts, ``**`` for any depth), each file once, by path.

    `closed`: directories that are not entered (the archives). `check` is called for each directory
    and may raise. A directory on another device is passed over, as is one that cannot be opened:
    `unreadable` gets where it is, if this user may not or the disk does not read it.
    """
    found: dict[tuple[str, ...], LogFile] = {}
    ahead: list[tuple[tuple[str, ...], tuple[str, ...]]] = [((), _plain(pattern))]
    while ahead:  # and no recursion: a tree may be deeper than Python's stack
        check()
        at, globs = ahead.pop()
        head, rest = globs[0], globs[1:]
        files, directories = _content(root, at, closed, [] if unreadable is None else unreadable)
        if head == "**":
            ahead.append((at, rest or ("*",)))
            ahead += [((*at, name), globs) for name in directories if not name.startswith(".")]
        elif rest:
            ahead += [((*at, name), rest) for name in directories if _matches(name, head)]
        else:
            found |= {entry.parts: entry for entry in files if _matches(entry.name, head)}
    return sorted(found.values(), key=lambda entry: entry.parts)


def matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Tell whether `scan` with `pattern` finds a file at `parts`."""
    *names, last = parts
    globs = _plain(pattern)
    at = _begun({0}, globs)
    for name in names:
        entered = {n for n in at if globs[n] == "**" and not name.startswith(".")}
        entered |= {n + 1 for n in at if n + 1 < len(globs) and _enters(name, globs[n])}
        at = _begun(entered, globs)
    end = len(globs) - 1
    return end in at and _matches(last, "*" if globs[end] == "**" else globs[end])


def _begun(at: set[int], globs: tuple[str, ...]) -> set[int]:
    """Add the glob behind each ``**``, which stands for no directory, too."""
    return at | {n + 1 for n in at if globs[n] == "**" and n + 1 < len(globs)}


def _enters(name: str, glob: str) -> bool:
    return glob != "**" and _matches(name, glob)


def _plain(pattern: tuple[str, ...]) -> tuple[str, ...]:
    """Return `pattern` with one ``**`` for several in a row, which would find all again."""
    return tuple(
        part for n, part in enumerate(pattern) if not part == pattern[n - 1] == "**" or not n
    )


def _content(
    root: Root,
    at: tuple[str, ...],
    closed: frozenset[Identity],
    unreadable: list[tuple[str, ...]],
) -> tuple[list[LogFile], list[str]]:
    files: list[LogFile] = []
    directories: list[str] = []
    try:
        with root.directory(at) as descriptor, os.scandir(descriptor) as entries:
            for entry in entries:
                try:
                    stat = entry.stat(follow_symlinks=False)
                except OSError:  # gone since the listing, or at fault: the others have their turn
                    continue
                if not entry.is_dir(follow_symlinks=False):
                    files.append(LogFile.of((*at, entry.name), stat))
                elif (stat.st_dev, stat.st_ino) not in closed:
                    directories.append(entry.name)
    except OSError as error:
        if error.errno is not None and error.errno not in _MAY_BE and at not in unreadable:
            unreadable.append(at)
        return [], []
    return files, directories


def _matches(name: str, pattern: str) -> bool:
    hidden = name.startswith(".") and not pattern.startswith(".")
    return not hidden and fnmatchcase(name, pattern)
