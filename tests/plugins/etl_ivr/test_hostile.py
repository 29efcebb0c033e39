"""What no exchange should write: each costs its own call at most, and figures stay figures."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sereno_etl_ivr.aggregate import aggregate
from sereno_etl_ivr.reconcile import reconcile
from sereno_etl_ivr.sync import sync, sync_of

from .conftest import Sync
from .exchange import QUEUES, Exchange
from .pbx import Pbx, fetch

AT = datetime.now(UTC).replace(tzinfo=None, microsecond=0) - timedelta(days=2)


@pytest.fixture
def exchange(empty_pbx: Pbx) -> Exchange:
    found = Exchange(empty_pbx)
    found.create()
    return found


async def counted(synced: Sync, exchange: Exchange, **settings: Any) -> None:
    for job in (sync_of("queues"), sync, aggregate):
        await synced(exchange.pbx, job, tables=QUEUES, **settings)


async def totals(database: str) -> dict[str, Any]:
    (row,) = await fetch(
        database,
        "SELECT sum(calls)::int AS calls, sum(calls_answered)::int AS answered,"
        " sum(calls_abandoned)::int AS abandoned, sum(talk_seconds)::float8 AS talk"
        " FROM ivr.quarter_hours",
    )
    return dict(row)


async def test_a_nul_in_the_name_of_a_queue_costs_its_own_event(
    exchange: Exchange, synced: Sync, database: str
) -> None:
    exchange.queued(AT, talk=20)
    exchange.event(AT, "1.9", "4\0000", "NONE", "ENTERQUEUE", "", "600", 1)
    result = await synced(exchange.pbx, sync_of("queues"), tables=QUEUES)
    assert (result["inserted"], result["rejected"]) == (3, 1)


DURATIONS = [-1, -(2**31), 2**31 - 1, 86_401]


@pytest.mark.parametrize("seconds", DURATIONS)
async def test_a_duration_that_cannot_be_is_kept_and_counts_as_a_day_at_most(
    exchange: Exchange, synced: Sync, database: str, seconds: int
) -> None:
    exchange.queued(AT, talk=20)
    at = AT + timedelta(hours=1)
    exchange.leg(
        *(at, exchange.uniqueid(at), seconds, seconds),
        dst="s",
        dcontext="ivr-1",
        lastapp="BackGround",
    )
    await counted(synced, exchange)
    rows = await fetch(database, "SELECT duration::int8 FROM ivr.calls")
    assert seconds in {row[0] for row in rows}
    assert (await totals(database))["talk"] == 20
    (row,) = await fetch(database, "SELECT max(ended_at - started_at) FROM ivr.call_facts")
    assert row[0] <= timedelta(days=1)


@pytest.mark.parametrize("wait", ["-5", "1e9", "99999999999999999999", "NaN", "5.5.5", "abc", ""])
async def test_a_wait_that_is_no_number_is_counted_from_the_clock(
    exchange: Exchange, synced: Sync, database: str, wait: str
) -> None:
    exchange.event(AT, "1.1", "400", "NONE", "ENTERQUEUE", "", "600", 1)
    at = AT + timedelta(seconds=7)
    exchange.event(at, "1.1", "400", "PJSIP/201", "CONNECT", wait, "1.2", 1)
    at += timedelta(seconds=30)
    exchange.event(at, "1.1", "400", "PJSIP/201", "COMPLETECALLER", wait, "x" * 100, 1)
    await counted(synced, exchange)
    (row,) = await fetch(
        database, "SELECT wait_seconds::float8, talk_seconds::float8 FROM ivr.queue_visits"
    )
    assert tuple(row) == (7, 30)


async def test_events_in_the_wrong_order_and_twice_are_one_visit(
    exchange: Exchange, synced: Sync, database: str
) -> None:
    later = AT + timedelta(seconds=9)
    for _ in range(2):
        exchange.event(later, "1.1", "400", "NONE", "ABANDON", 1, 1, 9)
        exchange.event(AT, "1.1", "400", "NONE", "ENTERQUEUE", "", "600", 1)
    await counted(synced, exchange)
    rows = await fetch(database, "SELECT outcome, wait_seconds::float8 FROM ivr.queue_visits")
    assert ("abandoned", 9.0) in {tuple(row) for row in rows}
    assert (await totals(database))["calls"] == 1


async def test_an_empty_source_makes_no_figures_and_no_fault(
    exchange: Exchange, synced: Sync, database: str
) -> None:
    await counted(synced, exchange)
    assert (await totals(database))["calls"] is None
    await synced(exchange.pbx, reconcile, tables=QUEUES)
