"""Decides which entries below a root a glob matches, without following anything."""

import os
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

from sereno_cleanup.logfiles.entry import LogFile
from sereno_cleanup.logfiles.root import Root

Identity = tuple[int, int]


def scan(
    root: Root, pattern: tuple[str, ...], closed: frozenset[Identity], check: Callable[[], None]
) -> list[LogFile]:
    """Return what matches `pattern` (glob parts, ``**`` for any depth), each file once, by path.

    `closed`: directories that are not entered (the archives). `check` is called for each directory
    and may raise. A directory that cannot be opened is passed over, as is one on another device.
    """
    found: dict[tuple[str, ...], LogFile] = {}
    for entry in _below(root, (), pattern, closed, check):
        found[entry.parts] = entry
    return sorted(found.values(), key=lambda entry: entry.parts)


def _below(
    root: Root,
    at: tuple[str, ...],
    pattern: tuple[str, ...],
    closed: frozenset[Identity],
    check: Callable[[], None],
) -> Iterator[LogFile]:
    check()
    head, rest = pattern[0], pattern[1:]
    files, directories = _content(root, at, closed)
    if head == "**":
        yield from _below(root, at, rest or ("*",), closed, check)
        for name in directories:
            if not name.startswith("."):
                yield from _below(root, (*at, name), pattern, closed, check)
    elif rest:
        for name in directories:
            if _matches(name, head):
                yield from _below(root, (*at, name), rest, closed, check)
    else:
        yield from (entry for entry in files if _matches(entry.name, head))


def _content(
    root: Root, at: tuple[str, ...], closed: frozenset[Identity]
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
    except OSError:  # unreadable, swapped for a symlink, gone, or on another device
        return [], []
    return files, directories


def _matches(name: str, pattern: str) -> bool:
    hidden = name.startswith(".") and not pattern.startswith(".")
    return not hidden and fnmatchcase(name, pattern)
