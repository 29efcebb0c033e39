"""Reads a plugin as the kernel does, and refuses what the kernel would refuse."""

from collections.abc import Mapping
from typing import Any

import msgspec

from sereno.model.errors import PluginError
from sereno.model.job import Job
from sereno.plugins import Registry, collect, load_plugins
from sereno.settings import Settings

_NAME = "plugin"


def declared(plugin: Any, settings: Mapping[str, Any] | msgspec.Struct | None = None) -> Registry:
    """Return what `plugin` (its module) declares: jobs, schedules, settings, commands.

    `settings`: what would stand in ``[plugins.<name>]``; nothing else of this machine is read.
    Raises PluginError and ConfigurationError, as ``sereno check`` would tell them.
    """
    table = msgspec.to_builtins(settings or {})
    chosen = Settings(plugins={_NAME: table} if table else {})
    registry = collect(load_plugins(chosen, extra=[(_NAME, plugin)], entry_points=False), chosen)
    record = registry.records[_NAME]
    if record.state == "failed":
        raise PluginError(record.reason)
    return registry


def declared_jobs(
    plugin: Any, settings: Mapping[str, Any] | msgspec.Struct | None = None
) -> dict[str, Job]:
    """Return the jobs that `plugin` (its module) declares, by name. See `declared`."""
    return dict(declared(plugin, settings).jobs)
