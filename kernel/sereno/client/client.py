"""Decides how a program gets a client: the database's address, whether it fits, what is left."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Self

from sereno.client.backfill_verbs import BackfillVerbs
from sereno.client.bulk_verbs import BulkVerbs
from sereno.client.calendar_verbs import CalendarVerbs
from sereno.client.chain_verbs import ChainVerbs
from sereno.client.cluster_verbs import ClusterVerbs
from sereno.client.count_verbs import CountVerbs
from sereno.client.declarations import Declarations
from sereno.client.news_verbs import NewsVerbs
from sereno.client.node_verbs import NodeVerbs
from sereno.client.rehearsal_verbs import RehearsalVerbs
from sereno.client.run_verbs import RunVerbs
from sereno.client.search_verbs import SearchVerbs
from sereno.client.standing_verbs import StandingVerbs
from sereno.client.verbs import places_of
from sereno.model.errors import StoreUnavailableError
from sereno.model.job import Job
from sereno.model.lazy import lazy
from sereno.plugins import collect, learn_all_kinds, load_plugins
from sereno.settings import EMBEDDED, EMBEDDED_DEMO, Settings, load_settings, redact
from sereno.store.migrator import check
from sereno.store.pool import Database
from sereno.triggers import learn_when_asked

_CONNECTIONS = 4


class Client(
    RunVerbs,
    ChainVerbs,
    SearchVerbs,
    BulkVerbs,
    BackfillVerbs,
    RehearsalVerbs,
    CalendarVerbs,
    ClusterVerbs,
    CountVerbs,
    NodeVerbs,
    StandingVerbs,
    NewsVerbs,
):
    """All that a person or a program may ask or do, as methods.

    It works on the database alone: a replica need not be near, and what one has to do it does when
    it sees it. May be used by many tasks of one event loop at once.
    """

    def database(self) -> AbstractAsyncContextManager[Any]:
        """Lend a connection of asyncpg for the time of an ``async with``: for tables of a plugin's
        own (`sereno_register_migrations`).

        It is one of the client's few, with the kernel's settings; what is set in its session is not
        taken back. What the driver raises comes out as StoreError.
        """
        return self._db.connection()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        database_url: str | None = None,
        *,
        requested_by: str | None = None,
        connections: int = _CONNECTIONS,
    ) -> AsyncIterator[Self]:
        """Connect, and disconnect at the end.

        `database_url`: a URL or ``embedded``; None: as the environment and the settings file have
        it, as for any command. `requested_by`: who is recorded as the one who asks. `connections`:
        how many it has at most. Raises ConfigurationError for what is no URL,
        StoreUnavailableError when the database is away, SchemaError when it is older or newer than
        this version can work with.
        """
        flags = {"database_url": database_url}
        settings = load_settings(file=None, environ=os.environ, flags=flags)
        async with _address(settings) as url:
            db = Database(url, size=connections, application="sereno client")
            try:
                try:
                    await db.open()
                    await check(db)
                except StoreUnavailableError as error:
                    place = "" if database_url else f", set by {settings.place('database_url')}"
                    raise type(error)(f"{error} ({redact(url)}{place})") from error
                yield cls(
                    db,
                    _declared(settings),
                    requested_by=requested_by,
                    max_backfill=settings.max_backfill,
                    places=places_of(settings),
                )
            finally:
                await db.close()


@asynccontextmanager
async def _address(settings: Settings) -> AsyncIterator[str]:
    """Give the database's address; where it is the embedded one, join it until the end."""
    if settings.database_url not in (EMBEDDED, EMBEDDED_DEMO):
        yield settings.database_url
        return
    server: Any = lazy("sereno.embedded").EmbeddedPostgres(settings.data_dir)
    await asyncio.to_thread(server.__enter__)
    try:
        yield server.demo_dsn if settings.database_url == EMBEDDED_DEMO else server.dsn
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


def _declared(settings: Settings) -> Declarations:
    """Return what plugins declare here, loaded when a verb first needs to know a job or a kind of
    trigger."""

    def load() -> Mapping[str, Job]:
        return collect(load_plugins(settings), settings).jobs

    learn_when_asked(lambda: learn_all_kinds(load_plugins(settings)))
    return Declarations(load)
