"""Makes the figures of each quarter hour from the rows of the target, chunk by chunk."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from sereno_etl_ivr import position
from sereno_etl_ivr.feed import Feed
from sereno_etl_ivr.query import query
from sereno_etl_ivr.table import CDR, CEL, QUEUE_LOG
from sereno_etl_ivr.target.connection import connected, translated
from sereno_etl_ivr.target.schema import ensure_schema

AGGREGATED = (CDR.target, QUEUE_LOG.target, CEL.target)
"""The tables of the target that figures are made of."""

_LONG_SECONDS = 3600
_STEPS = (
    "affected",
    "locals",
    "callers",
    "joined",
    "legs",
    "frozen",
    "old",
    "visits",
    "visits_of_calls",
    "holds",
    "agents",
    "calls",
    "quarters",
    "names",
)
_LONG = "(source, last_position) WHERE last_position - first_position > 10000"
_HALF = "WHERE coalesce(linkedid, '') = '' AND {} LIKE 'Local/%'"
_INDEXES = (
    ("calls_linkedid", CDR.target, "(linkedid)"),
    # The first leg of a call is found by the index above.
    ("calls_own_uniqueid", CDR.target, "(uniqueid) WHERE uniqueid IS DISTINCT FROM linkedid"),
    # Empty where all calls have a linkedid.
    ("calls_local_channel", CDR.target, f"(channel) {_HALF.format('channel')}"),
    ("calls_local_dstchannel", CDR.target, f"(dstchannel) {_HALF.format('dstchannel')}"),
    ("calls_local_position", CDR.target, f"(source, position) {_HALF.format('channel')}"),
    ("queue_events_callid", QUEUE_LOG.target, "(callid)"),
    ("channel_events_linkedid", CEL.target, "(linkedid)"),
    ("channel_events_holds", CEL.target, "(source) WHERE upper(eventtype) IN ('HOLD', 'UNHOLD')"),
    ("call_facts_long", "ivr.call_facts", _LONG),
    ("queue_visits_long", "ivr.queue_visits", _LONG),
)


class Rules(msgspec.Struct, frozen=True):
    """What figures are counted by: seconds of the level and of a short abandon; and as regular
    expressions of PostgreSQL, an agent's channel and the context of a call from within."""

    level_seconds: float
    short_seconds: float
    agent_channel: str
    outbound_context: str


class Aggregates:
    """One session in the target that aggregates the rows of some sources. Raises TargetError.

    `calls`, `quarters`: how many were made anew, since it was opened.
    """

    def __init__(self, connection: Any, url: str, feeds: Sequence[Feed], rules: Rules) -> None:
        self._connection = connection
        self._url = url
        self._sources = sorted({feed.source for feed in feeds})
        self._tables = [feed.source_table for feed in feeds]
        self._calls = [feed.source_table for feed in feeds if feed.table.target == CDR.target]
        self._rules = rules
        self.calls = 0
        self.quarters = 0

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, url: str, feeds: Sequence[Feed], rules: Rules
    ) -> AsyncIterator["Aggregates"]:
        """Connect, and make the tables and indexes that are missing."""
        async with connected(url) as connection:
            with translated(url):
                await ensure_schema(connection)
                await connection.execute(query("aggregate_session"))
                await connection.execute(query("aggregate_temporary"))
            yield cls(connection, url, feeds, rules)

    async def lock(self) -> bool:
        """Take the lock of these sources' figures; False when another session keeps it."""
        with translated(self._url):
            locked: bool = await self._connection.fetchval(
                query("aggregate_lock"), json.dumps(self._sources)
            )
        return locked

    async def begin(self, *, rebuild: bool) -> list[str]:
        """Make the indexes, and note all rows of sources whose figures must be made anew.

        Returns those sources. `rebuild`: of all.
        """
        with translated(self._url):
            for index in _INDEXES:
                await self._index(*index)
            async with self._connection.transaction():
                names = self._sources, self._tables
                # Before the rows are looked at: what is written after it is noted twice, not never.
                gaps = await self._connection.fetch(query("aggregate_gaps"), *names)
                await self._connection.execute(query("aggregate_sources"), self._sources)
                told = await self._connection.fetch(query("aggregate_tells_holds"), self._sources)
                halves = query("aggregate_local_sources")
                told += await self._connection.fetch(halves, self._sources)
                rules = json.dumps(msgspec.structs.astuple(self._rules))
                stale = self._sources
                if not rebuild:
                    found = await self._connection.fetch(
                        query("aggregate_stale_sources"), *names, rules
                    )
                    stale = sorted({row["source"] for row in (*found, *told)})
                if stale:
                    noting = query("aggregate_note_all").format(null=position.NULL)
                    await self._connection.execute(noting, stale, timeout=_LONG_SECONDS)
                    missing = [gap for gap in gaps if gap["source"] in stale]
                    columns = zip(*missing, strict=True) if missing else ((), (), ())
                    await self._connection.execute(
                        query("aggregate_all_noted"), stale, rules, *map(list, columns)
                    )
        return stale

    async def fill_callees(self, rows: int) -> int:
        """Say of some facts that were made before it was kept whom the call was for; return how
        many."""
        with translated(self._url):
            filled: int = await self._connection.fetchval(
                query("aggregate_callees"), self._sources, rows, timeout=_LONG_SECONDS
            )
        return filled

    async def chunk(self, rows: int) -> bool:
        """Aggregate some of what was touched, about `rows`; False when nothing was left."""
        with translated(self._url):
            async with self._connection.transaction(isolation="repeatable_read"):
                taken = await self._connection.fetchval(
                    query("aggregate_take"), self._sources, rows
                )
                if not taken:
                    return False
                await self._connection.execute(
                    query("aggregate_rule"), *msgspec.structs.astuple(self._rules)
                )
                for step in _STEPS:
                    await self._connection.execute(_statement(step), timeout=_LONG_SECONDS)
                counts = await self._connection.fetchrow(query("aggregate_counts"))
        self.calls += counts["calls"]
        self.quarters += counts["quarters"]
        return True

    async def waiting(self) -> int:
        """Return how many touched rows are still to be aggregated."""
        with translated(self._url):
            found: int = await self._connection.fetchval(query("aggregate_waiting"), self._sources)
        return found

    async def finish(self) -> None:
        """Say how far each source is aggregated: nothing was left to do."""
        reached: dict[str, datetime] = {}
        with translated(self._url):
            found = await self._connection.fetch(
                query("aggregate_watermarks"), self._sources, self._calls
            )
            for row in found:
                zone = ZoneInfo(row["zone"] or "UTC")
                reached[row["source"]] = position.moment(row["position"]).replace(tzinfo=zone)
            await self._connection.execute(
                query("aggregate_reached"), list(reached), list(reached.values())
            )

    async def _index(self, name: str, table: str, definition: str) -> None:
        index = f"ivr.{name}"
        is_valid = await self._connection.fetchval(query("aggregate_index_state"), index)
        if is_valid:
            return
        if is_valid is False:  # a run was cut off while it made it
            await self._connection.execute(query("aggregate_index_drop").format(index=index))
        making = query("aggregate_index_make").format(name=name, table=table, definition=definition)
        await self._connection.execute(making, timeout=_LONG_SECONDS)


def _statement(step: str) -> str:
    text = query(f"aggregate_{step}")
    if step != "visits":
        return text
    figures = {
        name: query("aggregate_figure").format(column=name) for name in ("hold", "talk", "gave_up")
    }
    return text.format(**figures)
