"""Modules that the setting ``modules`` names: jobs without a package.

One is loaded as a plugin is, apart from the others. What it has of hooks counts; without
``sereno_register_jobs``, each job that it or a module below it declares and that it can be asked
for by a name is its own.
"""

import os
import sys
from collections.abc import Iterable
from functools import partial
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

from sereno.hookspecs import hookimpl
from sereno.model.errors import PluginError
from sereno.model.job import Job
from sereno.plugins.inspection import PREFIX
from sereno.plugins.record import PluginRecord
from sereno.plugins.source import PluginSource

_JOBS = "sereno_register_jobs"


def named(modules: Iterable[str], place: str) -> list[PluginSource]:
    """Return a source for each module; `place`: where they are named."""
    return [
        PluginSource(
            PluginRecord(name=module.replace(".", "_"), module=module),
            partial(_load, module, f"{place}: modules names '{module}'"),
        )
        for module in modules
    ]


def with_jobs(module: ModuleType) -> Any:
    """Return a module that is at hand as a plugin; raises PluginError where it declares nothing."""
    return _with_jobs(module, f"module '{module.__name__}'")


def _load(name: str, subject: str) -> Any:
    if not all(part.isidentifier() for part in name.split(".")):
        raise PluginError(
            f"{subject}, which is no module's name; write it as Python imports it, "
            "as 'myproject.jobs'"
        )
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)  # last: what is installed goes before what lies about
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # one that it imports itself
        raise PluginError(
            f"{subject}, and Python finds no '{error.name}'; start sereno in the directory that "
            "holds it, name that in PYTHONPATH, or install it"
        ) from None
    return _with_jobs(module, subject)


def _with_jobs(module: ModuleType, subject: str) -> Any:
    """Return `module`, or its hooks together with one that answers with its jobs."""
    found = vars(module)
    if _JOBS in found:
        return module
    jobs = {id(j): j for j in found.values() if isinstance(j, Job) and _is_of(module, j)}
    hooks = {n: v for n, v in found.items() if n.startswith(PREFIX)}
    if not jobs and not hooks:
        raise PluginError(
            f"{subject}, which declares no job; put @job(...) on a function at its top level"
        )

    @hookimpl
    def sereno_register_jobs() -> list[Job]:
        return list(jobs.values())

    return SimpleNamespace(
        __name__=module.__name__, **hooks, sereno_register_jobs=sereno_register_jobs
    )


def _is_of(module: ModuleType, job: Job) -> bool:
    return f"{job.function.__module__}.".startswith(f"{module.__name__}.")
