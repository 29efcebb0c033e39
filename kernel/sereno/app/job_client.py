"""The client that jobs have as ``run.client``, on a node and in the child of a process executor."""

from collections.abc import Mapping
from typing import Any

from sereno.model.job import Job
from sereno.model.lazy import lazy
from sereno.store.pool import DatabaseByUse

_CONNECTIONS = 4


class JobClients:
    """Clients of one pool, which is opened by the first use, for runs that ask in their own name.

    `jobs`: those against whose declaration params are checked here.
    """

    def __init__(self, dsn: str, jobs: Mapping[str, Job] | None = None) -> None:
        self._db = DatabaseByUse(dsn, size=_CONNECTIONS, application="sereno jobs' client")
        self._jobs = jobs or {}

    def of(self, requested_by: str) -> Any:
        """Return a ``sereno.Client`` whose doings are recorded as `requested_by`'s."""
        # Loaded by who asks for one: most nodes never do.
        declared = lazy("sereno.client.declarations").Declarations(self._jobs)
        made = lazy("sereno.client.client").Client
        return made(self._db, declared, requested_by=requested_by)

    async def close(self) -> None:
        """Drop every connection."""
        await self._db.close()
