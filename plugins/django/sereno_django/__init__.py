"""Sereno in a Django project. What needs Django is loaded once it is named.

``start`` and ``node`` are for ``wsgi.py`` and ``asgi.py``. ``SerenoBackend`` is the backend of
Django's Tasks, ``command_job`` makes a job of a management command, ``with_connections`` ends a job
with its database connections closed, ``enqueue`` queues a run of any job
in Django's transaction, ``requested_by`` names who asks, ``current_run`` is the run that a task
works in, and ``fence`` binds Django's transaction to a run. ``database_entry`` makes an entry of
DATABASES from a URL. ``People`` tells a mounted console who of the staff asks.
"""

from typing import Any

from sereno import lazy

_PLACES = {
    "People": "sereno_django.people",
    "SerenoBackend": "sereno_django.backend",
    "command_job": "sereno_django.commands",
    "current_run": "sereno_django.task_job",
    "database_entry": "sereno_django.database",
    "fence": "sereno_django.request",
    "requested_by": "sereno_django.request",
    "enqueue": "sereno_django.request",
    "node": "sereno_django.process",
    "start": "sereno_django.process",
    "stop": "sereno_django.process",
    "with_connections": "sereno_django.connections",
}

__all__ = [
    "People",
    "SerenoBackend",
    "command_job",
    "current_run",
    "database_entry",
    "enqueue",
    "fence",
    "node",
    "requested_by",
    "start",
    "stop",
    "with_connections",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'sereno_django' has no attribute '{name}'")
    place = _PLACES[name]
    return getattr(lazy(place), name)
