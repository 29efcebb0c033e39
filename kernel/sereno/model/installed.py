"""What is installed beside the kernel: the entry points of plugins, and the versions of libraries.

What reads it from the disk (`importlib.metadata`, with zipfile, csv and the package email) takes
1.2 MB that a replica never needs again. So ``sereno run`` reads it before the replica begins, and
the replica is handed what was found: `hand_over` there, `take_over` here.
"""

from importlib import import_module
from typing import Any

import msgspec

from sereno.model.lazy import lazy

GROUP = "sereno"
_LIBRARIES = ("sereno", "croniter", "tzdata")
"""Those whose versions a replica tells."""


class PluginPoint(msgspec.Struct, frozen=True, order=True):
    """An entry point. `value`: a module, or ``module:attribute``."""

    group: str
    name: str
    value: str
    distribution: str
    version: str

    @property
    def module(self) -> str:
        """Return the module's name."""
        return self.value.partition(":")[0].strip()

    def load(self) -> Any:
        """Import it; whatever the module raises comes out."""
        found: Any = import_module(self.module)
        path = self.value.partition(":")[2].partition("[")[0].strip()
        for name in filter(None, path.split(".")):
            found = getattr(found, name)
        return found


class Installed(msgspec.Struct, frozen=True):
    """What was found: points of all groups that are the kernel's or begin with its name, in their
    order, and versions by name."""

    points: tuple[PluginPoint, ...]
    versions: dict[str, str]


_handed: list[Installed] = []


def take_over(installed: Installed) -> None:
    """Answer from `installed` from now on, in place of the disk."""
    _handed[:] = [installed]


def hand_over() -> Installed:
    """Return what a replica that begins now is to know."""
    return Installed(
        points=_points(),
        versions={name: version for name in _LIBRARIES if (version := _version(name))},
    )


def installed_points(group: str = GROUP) -> tuple[PluginPoint, ...]:
    """Return the entry points of `group`, by name, so that all replicas have one order.

    `group`: ``sereno``, or one whose name begins with ``sereno_``, as packages name it to bring
    something to a plugin.
    """
    points = _handed[0].points if _handed else _points()
    return tuple(point for point in points if point.group == group)


def installed_version(name: str) -> str:
    """Return the version of the distribution `name`; raises PackageNotFoundError."""
    if _handed and name in _handed[0].versions:
        return _handed[0].versions[name]
    return str(_metadata().version(name))


def _points() -> tuple[PluginPoint, ...]:
    every = _metadata().entry_points()
    found = {
        (point.group, point.name, point.value): PluginPoint(
            group=point.group,
            name=point.name,
            value=point.value,
            distribution=point.dist.name if point.dist else "",
            version=point.dist.version if point.dist else "",
        )
        for group in every.groups
        if group == GROUP or group.startswith(f"{GROUP}_")
        for point in every.select(group=group)
    }
    return tuple(found[key] for key in sorted(found))


def _version(name: str) -> str | None:
    try:
        return installed_version(name)
    except _metadata().PackageNotFoundError:  # tzdata, where the system brings the zones
        return None


def _metadata() -> Any:
    # A replica that was handed all this does without it.
    return lazy("importlib.metadata")
