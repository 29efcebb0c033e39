"""Decides how many connections to PostgreSQL one replica opens at the most: what
``max_connections`` and a pooler have to have room for."""

from sereno.app import carrying, job_client
from sereno.apps import service
from sereno.engine.executors import child_services
from sereno.settings import Settings
from sereno.store.pool import POOL_SIZE

_DIRECT = 2
"""The session that holds the locks, and one that tells who blocks the event loop."""


def direct_connections() -> int:
    """Return how many of them are made by ``leader_database_url``, past any pooler."""
    return 1


def most_connections(settings: Settings, *, apps: bool) -> int:
    """Return the most of one replica; those of plugins to databases of theirs are not among them.

    `apps`: whether a plugin brings one that this replica serves.
    """
    found = _DIRECT + POOL_SIZE + settings.job_connections
    found += job_client.CONNECTIONS + carrying.CONNECTIONS
    found += settings.processes * (child_services.CONNECTIONS + job_client.CONNECTIONS)
    return found + (service.CONNECTIONS if apps and settings.apps.enabled else 0)
