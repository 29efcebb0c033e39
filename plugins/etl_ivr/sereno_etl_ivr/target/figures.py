"""Reads what is shown of each table that is moved, without a lock and in one short session."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from sereno_etl_ivr import position
from sereno_etl_ivr.feed import Feed
from sereno_etl_ivr.queries import query
from sereno_etl_ivr.target.connection import connected, translated


class Figures(msgspec.Struct, frozen=True):
    """Of one feed: rows by outcome since the first run, rejects that wait, and two instants.

    `reached`: the watermark. `newest`: when the newest row began that is not of the future.
    """

    outcomes: dict[str, int]
    waiting: int = 0
    reached: datetime | None = None
    newest: datetime | None = None


OUTCOMES = ("inserted", "updated", "rejected", "deleted")
NOTHING = Figures(dict.fromkeys(OUTCOMES, 0))


async def read_figures(url: str, feeds: Iterable[Feed]) -> dict[str, Figures]:
    """Return the figures of each feed by its name; zeros where none has run yet."""
    async with connected(url) as connection:
        with translated(url):
            found = {}
            if await connection.fetchval(query("schema_exists")):
                found = {
                    (row["source"], row["table_name"]): row
                    for row in await connection.fetch(query("figures"))
                }
            return {
                feed.name: await _figures(
                    connection, feed, found.get((feed.source, feed.source_table))
                )
                for feed in feeds
            }


async def _figures(connection: Any, feed: Feed, row: Any) -> Figures:
    if row is None:
        return NOTHING
    outcomes = {name: row[name] for name in OUTCOMES}
    if row["position"] is None:
        return Figures(outcomes, row["waiting"])
    newest = await connection.fetchval(
        query("newest").format(target=feed.table.target, instant=feed.table.instant),
        feed.source,
        row["position"],
    )
    zone = ZoneInfo(row["zone"] or "UTC")
    reached = position.moment(row["position"]).replace(tzinfo=zone)
    return Figures(outcomes, row["waiting"], reached, newest)
