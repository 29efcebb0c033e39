"""Finds the jobs of the project: what ``sereno_jobs.py`` of each installed app declares."""

from importlib import import_module
from types import ModuleType

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from sereno import Job
from sereno_django.commands import run_command
from sereno_django.connections import with_connections
from sereno_django.framework import installed

MODULE = "sereno_jobs"


def found_jobs() -> list[Job]:
    """Return the jobs of the plugin and of all apps, in the order of INSTALLED_APPS.

    A module that cannot be imported is its project's fault, and raises here as it does there.
    """
    found = [run_command]
    if installed():
        tasks = import_module(f"{__package__}.task_job")
        found += [tasks.run_task, tasks.run_async_task]
    for config in apps.get_app_configs():
        if config.module is not None and module_has_submodule(config.module, MODULE):
            found += jobs_of(import_module(f"{config.name}.{MODULE}"))
    return found


def jobs_of(module: ModuleType) -> list[Job]:
    """Return each job that stands in `module` by a name, once; a run closes its connections."""
    named = {id(value): value for value in vars(module).values() if isinstance(value, Job)}
    return [
        each if each.policies.executor == "process" else with_connections(each)
        for each in named.values()
    ]
