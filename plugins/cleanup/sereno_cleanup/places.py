"""Finds, for ``sereno check``, whose files the rules sweep, and what of them this machine lacks."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from sereno import Finding
from sereno_cleanup.logfiles.root import RootRefusedError, open_root
from sereno_cleanup.settings import Settings


def find_places(settings: Settings) -> Iterator[Finding]:
    """Say of each rule for files whose they are; a fault where this user cannot delete them."""
    globs = _globs(settings)
    if not globs:
        return
    host = socket.gethostname()
    yield Finding(
        "each machine that has a replica sweeps its own files, once, however many replicas it has; "
        "one without a replica is not swept: give every machine that has log files one, or let "
        "them come to one place."
    )
    for glob, root in globs:
        yield Finding(
            f"a replica on '{host}' has the rule {glob} sweep the files of that machine in {root}"
        )
    for root in dict.fromkeys(root for _, root in globs):
        yield from _root(root, host, [glob for glob, around in globs if around == root])
    for archive in settings.archives():
        yield from _archive(archive, host)


def _globs(settings: Settings) -> list[tuple[str, str]]:
    """Return the globs of the rules that are carried out, each with its root."""
    rules = [rule.path for rule in settings.logs if settings.logs_enabled]
    rules += [rule.path for rule in settings.rotations if settings.rotate_enabled]
    return [(glob, settings.root_around(glob)) for glob in rules]


def _root(root: str, host: str, globs: list[str]) -> Iterator[Finding]:
    try:
        with open_root(root):
            pass
    except RootRefusedError as error:
        yield Finding(str(error), fault=True)
    except FileNotFoundError:
        yield Finding(f"logs_roots: {root} does not exist on '{host}': nothing is swept there")
    except OSError as error:
        yield Finding(
            f"logs_roots: {root} cannot be opened on '{host}': {error.strerror}", fault=True
        )
    else:
        for place in dict.fromkeys(_fixed(glob) for glob in globs):
            yield from _directory(place, host)


def _fixed(glob: str) -> Path:
    """Return the directory in which a glob begins to search."""
    parts = Path(glob).parts[:-1]
    wild = next((n for n, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
    return Path(*parts[:wild])


def _directory(place: Path, host: str) -> Iterator[Finding]:
    if not place.is_dir():
        yield Finding(f"logs: {place} is no directory on '{host}': nothing is swept there")
    elif not _is_writable(place):
        yield Finding(
            f"logs: {place} on '{host}' is not writable for this user, and what cannot be written "
            "cannot be deleted from; give the user of `sereno run` the right to write there",
            fault=True,
        )


def _archive(archive: str, host: str) -> Iterator[Finding]:
    place = Path(archive)
    if place.exists():
        if not (place.is_dir() and _is_writable(place)):
            yield Finding(
                f"archive: {archive} on '{host}' is no directory that this user can write to, so "
                "nothing that is to be archived goes; give it the right, or name another",
                fault=True,
            )
        return
    nearest = next(parent for parent in place.parents if parent.exists())
    if not _is_writable(nearest):
        yield Finding(
            f"archive: {archive} does not exist on '{host}', and this user cannot make it in "
            f"{nearest}: make it there before the first sweep"
        )


def _is_writable(place: Path) -> bool:
    # The effective user's rights are those that a sweep has, where the system can tell.
    effective = os.access in os.supports_effective_ids
    return os.access(place, os.R_OK | os.W_OK | os.X_OK, effective_ids=effective)
