"""Chooses the source's module from the settings, and holds the connection for one run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sereno import ConfigurationError
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.source.mysql import MysqlSource
from sereno_etl_ivr.source.postgres import PostgresSource
from sereno_etl_ivr.source.protocol import Source


@asynccontextmanager
async def open_source(settings: Settings) -> AsyncIterator[Source]:
    """Connect to the source, and leave nothing open behind. Raises SourceAwayError."""
    if settings.source_url is None:
        raise ConfigurationError(
            "plugins.etl_ivr.source_url is not set: name the database with the calls, as in "
            "mysql://user:password@host/asteriskcdrdb"
        )
    kind = PostgresSource if settings.source_url.startswith("postgres") else MysqlSource
    async with kind.connected(settings.source_url, settings.source_table) as source:
        yield source
