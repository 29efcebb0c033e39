"""Where plugins come from: the entry points of the group ``sereno``, and what a test hands in."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from sereno.model.installed import PluginPoint, installed_points
from sereno.plugins.record import PluginRecord


class PluginSource(msgspec.Struct, frozen=True):
    """A plugin that can be loaded: `load` imports it, and may raise anything."""

    record: PluginRecord
    load: Callable[[], Any]


def installed() -> list[PluginSource]:
    """Return the plugins that are installed, by name, so that every replica has the same order."""
    return [_source(point) for point in installed_points()]


def given(plugins: Iterable[tuple[str, Any]]) -> list[PluginSource]:
    """Return plugins that are at hand as (name, module or object)."""
    return [
        PluginSource(PluginRecord(name=name, module=_module(plugin)), partial(_same, plugin))
        for name, plugin in plugins
    ]


def _source(point: PluginPoint) -> PluginSource:
    record = PluginRecord(
        name=point.name,
        distribution=point.distribution,
        version=point.version,
        module=point.module,
    )
    return PluginSource(record, point.load)


def _same(plugin: Any) -> Any:
    return plugin


def _module(plugin: Any) -> str:
    return str(getattr(plugin, "__name__", None) or type(plugin).__module__)
