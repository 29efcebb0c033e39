"""Keeps how people call agents and queues: as the settings say, or a table of the source."""

from typing import Any

from sereno_etl_ivr.errors import SourceAwayError, SourceError
from sereno_etl_ivr.settings import NamesSettings

MOST_NAMES = 50_000


async def keep_names(session: Any) -> None:
    """Read the names that a sync of calls can see, and keep them; who may not read them is told."""
    chosen: NamesSettings = session.settings.names
    for kind, given, table in (
        ("agent", chosen.agents, chosen.agents_table),
        ("queue", chosen.queues, chosen.queues_table),
    ):
        await session.target.put_names(kind, given, "settings")
        found: dict[str, str] = {}
        if table is not None:
            try:
                found = await session.source.names(table.table, table.id, table.name)
            except SourceAwayError:
                raise
            except SourceError as error:
                session.run.log.warning(
                    "names cannot be read", extra={"kind": kind, "error": str(error)}
                )
                continue
        await session.target.put_names(kind, found, "table")
