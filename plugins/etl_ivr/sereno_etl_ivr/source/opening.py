"""Chooses the source's module from the settings, and holds the connection for one run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sereno import ConfigurationError, lazy
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.source.protocol import Source


@asynccontextmanager
async def open_source(settings: Settings, table: str | None = None) -> AsyncIterator[Source]:
    """Connect to the source, and leave nothing open behind. Raises SourceAwayError.

    `table`: at the source; that of the calls when None.
    """
    if settings.source_url is None:
        raise ConfigurationError(
            "plugins.etl_ivr.source_url is not set: name the database with the calls, as in "
            "mysql://user:password@host/asteriskcdrdb"
        )
    async with await _connected(settings, table or settings.source_table) as source:
        yield source


async def _connected(settings: Settings, table: str) -> AbstractAsyncContextManager[Source]:
    """Load the source's module, and with it the driver: 1 MB that only its users carry."""
    url = settings.source_url or ""
    name, kind = (
        ("postgres", "PostgresSource") if url.startswith("postgres") else ("mysql", "MysqlSource")
    )
    module = await asyncio.to_thread(lazy, f"sereno_etl_ivr.source.{name}")
    connected = getattr(module, kind).connected
    source: AbstractAsyncContextManager[Source] = connected(url, table, settings.source_tls)
    return source
