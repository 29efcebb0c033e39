"""Finds the folders that declare reports: those shipped, of other plugins, and the user's."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from sereno import ConfigurationError, lazy
from sereno_reports.declared import FILE, Folder, opened
from sereno_reports.settings import Settings

GROUP = "sereno_reports"
"""Entry points of this group name packages whose folders declare reports."""


@cache
def found(directories: tuple[str, ...]) -> dict[str, Folder]:
    """Return all declared reports by name; of one name, the user's wins, and the last of those."""
    every = [opened(path, name) for name, path in sorted(_paths(directories))]
    return {folder.name: folder for folder in every}


def check_names(settings: Settings, folders: Mapping[str, Folder]) -> None:
    """Raise ConfigurationError where settings of delivery name no report, or one that must not go
    to everybody."""
    for key in ("formats", "severities", "routed"):
        for name in getattr(settings, key):
            if name not in folders:
                raise ConfigurationError(
                    f"plugins.reports.{key} names '{name}', and there is no such report; there are "
                    f"{', '.join(sorted(folders))}"
                )
    for name in settings.routed:
        declared = folders[name].declared
        if declared is not None and isinstance(declared.recipients, str):
            raise ConfigurationError(
                f"plugins.reports.routed names '{name}', which is made for each recipient, and "
                "routes would give one's report to all: take it out"
            )


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
