"""What an event loop of an application has of its node's database: connections belong to the loop
that they are opened in."""

from functools import partial

from sereno.app.job_client import JobClients
from sereno.engine.job_services import JobServices
from sereno.plugins import Registry
from sereno.settings import Settings


class LoopSide:
    """Clients and services of one loop, for `registry`'s jobs; `dsn`: where the database is."""

    def __init__(self, dsn: str, settings: Settings, registry: Registry) -> None:
        self.clients = JobClients(dsn, registry.jobs, max_backfill=settings.max_backfill)
        self._made: JobServices | None = None
        self._make = partial(JobServices, dsn, settings.job_connections, self.clients)

    @property
    def services(self) -> JobServices:
        """Return what runs in that loop may ask for; to be asked there."""
        if self._made is None:
            self._made = self._make()
        return self._made

    async def close(self) -> None:
        """Drop every connection."""
        if self._made is not None:
            await self._made.close()
        await self.clients.close()
