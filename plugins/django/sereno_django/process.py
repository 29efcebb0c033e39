"""The node in the process of the project's web server: ``sereno_django.start()`` in ``wsgi.py``.

Whoever loads ``wsgi.py`` or ``asgi.py`` serves requests: the child of ``runserver`` and not the
process that watches its files, each worker of gunicorn and uvicorn, each process of mod_wsgi. No
other management command does, so none has a node. Of all nodes one leads.
"""

import os
from datetime import timedelta
from threading import Lock
from typing import Any

from django.conf import settings

from sereno import Sereno
from sereno_django.environment import tables

_lock = Lock()
_node: Sereno | None = None
_pid = 0


def node(**options: Any) -> Sereno:
    """Return a node with the project's settings, which is not started: for ``asgi.py``, as
    ``asgi.with_lifespan(get_asgi_application(), sereno_django.node())``.

    `options`: what ``sereno.Sereno`` takes besides. Raises ConfigurationError.
    """
    found = tables(getattr(settings, "SERENO", {}), settings.DATABASES, settings.TIME_ZONE)
    options.setdefault("loggers", ("django", settings.ROOT_URLCONF.partition(".")[0]))
    return Sereno(found, **options)  # of whose plugins this one is, by its entry point


def start(**options: Any) -> Sereno:
    """Start this process's node, once, and return it; behind ``get_wsgi_application()``.

    `options`: as of `node`. In a process that was forked from one with a node it starts another.
    It does not raise where the database is away: the node goes on trying.
    """
    global _node, _pid
    with _lock:
        if _node is None or _pid != os.getpid() or not _node.running:
            _node, _pid = node(**options).start(), os.getpid()
        return _node


def stop(timeout: str | float | timedelta | None = None) -> bool:
    """Stop this process's node, if it has one; return whether it has ended. At the end of the
    process a node that nobody stops gives the lead up."""
    if _node is None or _pid != os.getpid():
        return True
    return _node.stop(timeout)
