"""Finds the folders that declare reports: those shipped, of other plugins, and the user's."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from sereno import ConfigurationError, installed_points, resource_path, suggestion
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
    for key in ("recipients", "formats", "severities", "routed"):
        for name in getattr(settings, key):
            if name not in folders:
                raise ConfigurationError(
                    f"plugins.reports.{key} names '{name}', and there is no such report; there are "
                    f"{', '.join(sorted(folders))}"
                )
    _check_targets(settings, folders)
    for name in settings.routed:
        declared = folders[name].declared
        if declared is not None and isinstance(declared.recipients, str):
            raise ConfigurationError(
                f"plugins.reports.routed names '{name}', which is made for each recipient, and "
                "routes would give one's report to all: take it out"
            )


def _check_targets(settings: Settings, folders: Mapping[str, Folder]) -> None:
    known: set[str] = set()
    for folder in folders.values():
        if folder.declared is None:  # it cannot tell what it would have
            return
        columns = [*folder.declared.cards, *(c for t in folder.declared.tables for c in t.columns)]
        known |= {column.name for column in columns if column.good is not None}
    for name in settings.targets:
        if name not in known:
            hint = suggestion(name, sorted(known), f", there are {', '.join(sorted(known))}")
            raise ConfigurationError(
                f"plugins.reports.targets names '{name}', and no report has a column of that name "
                f"that is better high or low{hint}"
            )


def _paths(directories: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    chosen: dict[str, Path] = {}
    for root in (Path(__file__).with_name("reports"), *_plugins(), *map(Path, directories)):
        for path in sorted(root.iterdir()):
            if (path / FILE).is_file():
                chosen[path.name] = path
    yield from chosen.items()


def _plugins() -> list[Path]:
    return [resource_path(point.value) for point in installed_points(GROUP)]
