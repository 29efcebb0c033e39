"""Reads what is shown of each table that is moved, without a lock and in one short session."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from sereno_etl_ivr import position
from sereno_etl_ivr.feed import Feed
from sereno_etl_ivr.query import query
from sereno_etl_ivr.target.connection import connected, translated


class TableFigures(msgspec.Struct, frozen=True):
    """Of one feed: rows by outcome since the first run, rejects that wait, and two instants.

    `reject_share`: of what the last sync read. `reached`: the watermark, and `lag` its age in
    seconds. `newest`: when the newest row began that is not of the future.
    """

    outcomes: dict[str, int]
    waiting: int = 0
    reached: datetime | None = None
    newest: datetime | None = None
    reject_share: float = 0.0
    lag: float = 0.0


class Today(msgspec.Struct, frozen=True):
    """The calls of today by queue and outcome, and up to which instant they are counted."""

    calls: dict[str, dict[str, int]] = {}
    reached: datetime | None = None


OUTCOMES = ("inserted", "updated", "rejected", "deleted")
NOTHING = TableFigures(dict.fromkeys(OUTCOMES, 0))


CALL_OUTCOMES = (
    *("answered", "abandoned", "short_abandon", "ivr", "voicemail", "rejected", "overflowed"),
    *("unanswered", "open"),
)


async def read_today(url: str, sources: Iterable[str], zone: ZoneInfo) -> Today:
    """Return the calls that came in since midnight in `zone`; none where nothing is aggregated."""
    async with connected(url) as connection:
        with translated(url):
            if not await connection.fetchval(query("aggregates_exist")):
                return Today()
            named = list(sources)
            rows = await connection.fetch(query("calls_today"), named, zone.key)
            reached = await connection.fetchval(query("aggregated"), named)
    calls = {row["queue"]: {name: int(row[name]) for name in CALL_OUTCOMES} for row in rows}
    return Today(calls, reached)


async def read_figures(url: str, feeds: Iterable[Feed]) -> dict[str, TableFigures]:
    """Return the figures of each feed by its name; zeros where none has run yet."""
    async with connected(url) as connection:
        with translated(url):
            found = {}
            if await connection.fetchval(query("has_figures")):
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


async def _figures(connection: Any, feed: Feed, row: Any) -> TableFigures:
    if row is None:
        return NOTHING
    outcomes = {name: row[name] for name in OUTCOMES}
    share = row["last_rejected"] / max(row["last_read"], 1)
    if row["position"] is None:
        return TableFigures(outcomes, row["waiting"], reject_share=share)
    newest = await connection.fetchval(
        query("newest").format(target=feed.table.target, instant=feed.table.instant),
        feed.source,
        row["position"],
    )
    zone = ZoneInfo(row["zone"] or "UTC")
    reached = position.moment(row["position"]).replace(tzinfo=zone)
    lag = max((row["now"] - reached).total_seconds(), 0)
    return TableFigures(outcomes, row["waiting"], reached, newest, share, lag)
