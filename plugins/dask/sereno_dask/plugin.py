"""The plugin's hooks: the executors that jobs ask for, and what is known of the workers."""

import socket
from collections.abc import Iterable
from functools import partial
from urllib.parse import urlsplit

from sereno import Check, Collector, Executor, Finding, hookimpl
from sereno_dask.executor import Elsewhere
from sereno_dask.hosts import Hosts
from sereno_dask.settings import Settings

_CONNECTING = 5.0


@hookimpl
def sereno_register_settings() -> type[Settings]:
    """Return the settings of ``[plugins.dask]``."""
    return Settings


@hookimpl
def sereno_register_executors(settings: Settings) -> dict[str, Executor]:
    """Return the executors by name; the first one keeps the connection to the cluster."""
    names = [*settings.executors]
    return {name: Elsewhere(settings if name == names[0] else None) for name in names}


@hookimpl
def sereno_register_collectors(settings: Settings) -> list[Collector]:
    """Return what reads how many workers there are, and what they do."""
    return [Hosts(settings)] if settings.connects else []


@hookimpl
def sereno_register_checks(settings: Settings) -> Iterable[Check]:
    """Return the check whether there is a cluster to work on."""
    return [Check("cluster", partial(_findings, settings))]


def _findings(settings: Settings) -> list[Finding]:
    names = ", ".join(settings.executors)
    if not settings.connects:
        return [
            Finding(
                f"no cluster is set, so jobs of the executor {names} wait: set address, "
                "scheduler_file or local in [plugins.dask]"
            )
        ]
    try:
        address = settings.scheduler()
        if address is not None:
            parts = urlsplit(address)
            socket.create_connection((parts.hostname or "", parts.port or 0), _CONNECTING).close()
    except (OSError, ValueError) as error:
        sentence = f"the scheduler of the cluster does not answer: {error}; until it does, jobs of"
        return [Finding(f"{sentence} the executor {names} wait", fault=True)]
    return []
