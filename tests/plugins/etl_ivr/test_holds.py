# ruff: noqa: DTZ001 - local times have no zone
"""How often callers were put on hold: where the exchange tells, and unknown elsewhere."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from sereno_etl_ivr.aggregate import aggregate
from sereno_etl_ivr.reconcile import reconcile
from sereno_etl_ivr.sync import sync, sync_of

from .conftest import Sync
from .exchange import CEL, CELS, QUEUES, Exchange
from .pbx import Pbx, fetch

AT = datetime(2026, 3, 2, 9, 5)
PHONE = "PJSIP/201-00000002"
TABLES = {**QUEUES, **CELS}


@pytest.fixture
def exchange(empty_pbx: Pbx) -> Exchange:
    """Give an exchange with a `cdr`, a `queue_log` and a `cel`."""
    found = Exchange(empty_pbx)
    found.create()
    empty_pbx.execute(CEL)
    return found


def later(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def held(exchange: Exchange, call: str, *times: float, channel: str = PHONE) -> None:
    """Write a call's beginning, then HOLD and UNHOLD by turns."""
    exchange.channel(AT, call, "CHAN_START", "PJSIP/trunk-00000001")
    for n, seconds in enumerate(times):
        exchange.channel(later(seconds), call, "UNHOLD" if n % 2 else "HOLD", channel)


async def counted(synced: Sync, exchange: Exchange, **settings: Any) -> dict[str, Any]:
    for job in (sync_of("queues"), sync_of("cel"), sync):
        await synced(exchange.pbx, job, tables=TABLES, overlap="P9000D")
    return await synced(exchange.pbx, aggregate, tables=TABLES, **settings)


async def holds(database: str) -> tuple[Any, ...]:
    """Return holds, their seconds, how many conversations' are unknown; and the view's two."""
    (row,) = await fetch(
        database,
        "SELECT sum(holds)::int, sum(hold_seconds)::float8, sum(holds_unknown)::int"
        " FROM ivr.quarter_hours",
    )
    (shown,) = await fetch(
        database, "SELECT holds, hold_seconds::float8 FROM ivr.queue_quarters WHERE queue = '400'"
    )
    return (*row, *shown)


async def test_holds_and_their_seconds_come_from_the_events_of_channels(
    exchange: Exchange, synced: Sync, database: str
) -> None:
    held(exchange, exchange.queued(AT, talk=60), 20, 30, 40, 45.5)
    exchange.channel(AT, exchange.queued(AT, talk=60), "CHAN_START", "PJSIP/trunk-00000001")

    await counted(synced, exchange)

    assert await holds(database) == (2, 15.5, 0, 2, 15.5)


async def test_without_events_of_channels_holds_are_unknown(
    exchange: Exchange, synced: Sync, database: str
) -> None:
    exchange.queued(AT, talk=60)
    held(exchange, exchange.queued(AT, talk=60), 20, 30)

    await counted(synced, exchange)

    assert await holds(database) == (1, 10, 1, None, None)


async def test_an_exchange_that_never_tells_of_a_hold_leaves_them_unknown(
    exchange: Exchange, synced: Sync, database: str
) -> None:
    held(exchange, exchange.queued(AT, talk=60))
    await counted(synced, exchange)
    assert await holds(database) == (None, None, 1, None, None)

    held(exchange, exchange.queued(AT, talk=60), 20, 30)
    assert (await counted(synced, exchange))["rebuilt"] == ["pbx"]

    assert await holds(database) == (1, 10, 0, 1, 10)
    assert (await counted(synced, exchange))["rebuilt"] == []


async def test_a_hold_that_is_told_twice_counts_once_and_ends_with_its_channel(
    exchange: Exchange, synced: Sync, database: str
) -> None:
    call = exchange.queued(AT, menu=10, wait=5, talk=60)  # until 75 s
    exchange.channel(later(20), call, "HOLD", PHONE)
    exchange.channel(later(22), call, "HOLD", PHONE)
    exchange.channel(later(20), call, "HOLD", "Local/201@from-queue-0000000a;1")
    exchange.channel(later(20), call, "HOLD", "PJSIP/trunk-00000001")  # the caller's own side

    await counted(synced, exchange)

    assert await holds(database) == (1, 55, 0, 1, 55)


async def test_holds_of_the_queues_own_events_count_too(
    exchange: Exchange, synced: Sync, database: str
) -> None:
    call = exchange.queued(AT, talk=60)
    exchange.event(later(20), call, "400", "PJSIP/201", "HOLD")
    exchange.event(later(28), call, "400", "PJSIP/201", "UNHOLD")

    await counted(synced, exchange)

    assert await holds(database) == (1, 8, 0, 1, 8)


async def test_a_hold_that_the_source_takes_back_is_counted_no_more(
    exchange: Exchange, synced: Sync, database: str
) -> None:
    held(exchange, exchange.queued(AT, talk=60), 20, 30, 40, 45)
    await counted(synced, exchange)
    exchange.pbx.execute("DELETE FROM cel WHERE eventtype = 'HOLD' LIMIT 1")

    params = {"since": "2026-03-01", "table": "cel"}
    await synced(exchange.pbx, reconcile, params=params, tables=TABLES)
    await synced(exchange.pbx, aggregate, tables=TABLES)

    assert await holds(database) == (1, 5, 0, 1, 5)
