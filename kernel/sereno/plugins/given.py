"""Plugins that an application hands in: modules, their names, objects with hooks, jobs."""

from collections.abc import Iterable, Sequence
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

from sereno.hookspecs import hookimpl
from sereno.model.errors import PluginError
from sereno.model.job import Job
from sereno.plugins.modules import with_jobs

APPLICATION = "app"
"""The plugin that declares the jobs which are given as they are."""


def given_plugins(given: Iterable[Any], known: Sequence[str] = ()) -> list[tuple[str, Any]]:
    """Return each as (name, plugin); one of the modules `known` to the settings is left to those.

    A module may do without hooks, as one that the setting ``modules`` names. Raises PluginError,
    and what a module raises as it is imported.
    """
    found: list[tuple[str, Any]] = []
    jobs: list[Job[Any]] = []
    for one in given:
        plugin = import_module(one) if isinstance(one, str) else one
        if isinstance(plugin, Job):
            jobs.append(plugin)
        elif isinstance(plugin, ModuleType):
            if plugin.__name__ not in known:
                found.append((plugin.__name__.replace(".", "_"), with_jobs(plugin)))
        else:
            found.append((_name(plugin), plugin))
    return [*found, (APPLICATION, _plugin_of(jobs))] if jobs else found


def _name(plugin: Any) -> str:
    name = getattr(plugin, "__name__", None) or type(plugin).__name__
    if not isinstance(name, str) or isinstance(plugin, type | int | float | bytes | dict | list):
        raise PluginError(
            f"plugin {plugin!r:.100}: give a module or its name, an object with hooks, or a job"
        )
    return name.replace(".", "_")


def _plugin_of(jobs: list[Job[Any]]) -> Any:
    @hookimpl
    def sereno_register_jobs() -> list[Job[Any]]:
        return jobs

    return SimpleNamespace(__name__=APPLICATION, sereno_register_jobs=sereno_register_jobs)
