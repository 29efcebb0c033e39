"""The client that jobs have as ``run.client``, on a node and in the child of a process executor."""

from collections.abc import Mapping
from typing import Any

from sereno.model.job import Job
from sereno.model.lazy import lazy
from sereno.model.rehearsal import Places
from sereno.settings import MAX_BACKFILL
from sereno.store.pool import DatabaseByUse

CONNECTIONS = 4


class JobClients:
    """Clients of one pool, which is opened by the first use, for runs that ask in their own name.

    `jobs`: those against whose declaration params are checked here. `max_backfill`: slots of one
    back-fill at most. `places`: of this node.
    """

    def __init__(
        self,
        dsn: str,
        jobs: Mapping[str, Job] | None = None,
        *,
        max_backfill: int = MAX_BACKFILL,
        places: Places | None = None,
    ) -> None:
        self._more = {"max_backfill": max_backfill, "places": places}
        self._db = DatabaseByUse(dsn, size=CONNECTIONS, application="sereno jobs' client")
        self._jobs = jobs or {}

    def of(self, requested_by: str | None) -> Any:
        """Return a ``sereno.Client`` whose doings are recorded as `requested_by`'s."""
        # Loaded by who asks for one: most nodes never do.
        declared = lazy("sereno.client.declarations").Declarations(self._jobs)
        made = lazy("sereno.client.client").Client
        return made(self._db, declared, requested_by=requested_by, **self._more)

    async def close(self) -> None:
        """Drop every connection."""
        await self._db.close()
