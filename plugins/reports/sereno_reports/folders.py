"""Finds the folders that declare reports: those shipped, of other plugins, and the user's."""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

from sereno import lazy
from sereno_reports.declared import FILE, Folder, opened

GROUP = "sereno_reports"
"""Entry points of this group name packages whose folders declare reports."""


@cache
def found(directories: tuple[str, ...]) -> dict[str, Folder]:
    """Return all declared reports by name; of one name, the user's wins, and the last of those."""
    every = [opened(path, name) for name, path in sorted(_paths(directories))]
    return {folder.name: folder for folder in every}


def _paths(directories: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    chosen: dict[str, Path] = {}
    for root in (Path(str(files(GROUP) / "reports")), *_plugins(), *map(Path, directories)):
        for path in sorted(root.iterdir()):
            if (path / FILE).is_file():
                chosen[path.name] = path
    yield from chosen.items()


def _plugins() -> list[Path]:
    entries = lazy("importlib.metadata").entry_points(group=GROUP)
    return [Path(str(files(entry.value))) for entry in sorted(entries, key=lambda one: one.name)]
