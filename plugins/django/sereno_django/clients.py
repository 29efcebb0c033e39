"""Opens the client that the admin asks: of the project's database as it is at this moment."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connections

import sereno
from sereno_django.database import database_url


@contextmanager
def client_for(user: object) -> Iterator["sereno.SyncClient"]:
    """Open a client whose doings are recorded as those of `user`, at the admin."""
    project = getattr(settings, "SERENO", {})
    alias = project.get("DATABASE") or "default"
    # Not DATABASES: a test runner has given the alias another database.
    url = project.get("DATABASE_URL") or database_url(alias, connections[alias].settings_dict)
    # Named here, and so loaded by the first page that asks: each process loads the admin.
    with sereno.SyncClient.open(url, requested_by=f"admin {user}"[:200], connections=1) as client:
        yield client
