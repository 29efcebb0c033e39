"""The names of agents and queues, as etl_ivr keeps them."""

from typing import Any

from sereno_reports.look import Names
from sereno_reports.query import query


async def known_names(connection: Any, sources: tuple[str, ...]) -> Names:
    """Return all names of the exchanges `sources` (all when empty), by kind and number."""
    found: Names = {"agent": {}, "queue": {}}
    if await connection.fetchval(query("exists"), "ivr.names") is not None:
        for row in await connection.fetch(query("names"), list(sources)):
            found[row["kind"]][row["id"]] = row["name"]
    return found
