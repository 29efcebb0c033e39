"""Finds, for ``sereno check``, whether the source answers and has the tables that are moved."""

import asyncio

from sereno import Finding, RunError
from sereno_etl_ivr.errors import SourceAwayError
from sereno_etl_ivr.feed import feeds
from sereno_etl_ivr.layout import match
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.source.opening import open_source

_PATIENCE = 8.0
"""Seconds: less than a check has."""


async def find_source(settings: Settings) -> list[Finding]:
    """Say what a sync would not get from the source; one that is away for now is a warning."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await _faults(settings)
    except SourceAwayError as error:
        return [Finding(f"{error}; syncs try again, and go on where they were")]
    except TimeoutError:
        return [
            Finding(
                f"the source gave no answer within {_PATIENCE:g} s; check the host in "
                "plugins.etl_ivr.source_url, and what lies between"
            )
        ]


async def _faults(settings: Settings) -> list[Finding]:
    found = []
    for feed in feeds(settings).values():
        try:
            async with open_source(settings, feed.source_table) as source:
                match(feed.table, await source.describe(), feed.source_table, source.as_time)
        except SourceAwayError:
            raise
        except RunError as error:
            found.append(Finding(str(error), fault=True))
    return list(dict.fromkeys(found))  # who may not come in may not for each table
