"""What is older than it is to be kept goes, what was counted of it stays, nothing comes back."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from sereno.testing import RecordedRun
from sereno_etl_ivr import plugin
from sereno_etl_ivr.aggregate import aggregate
from sereno_etl_ivr.backfill import backfill
from sereno_etl_ivr.plan import floor
from sereno_etl_ivr.reconcile import reconcile
from sereno_etl_ivr.retain import retain
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.shifts import ZoneInfo
from sereno_etl_ivr.sync import sync, sync_of

from .conftest import Sync
from .exchange import QUEUES, Exchange
from .pbx import Pbx, call, fetch, loaded

KEPT: dict[str, Any] = {
    "keep_calls": "P100D",
    "keep_rejects": "PT0S",
    "keep_deleted": "PT0S",
    "tables": {"queues": {"kind": "queue_log", "source_table": "queue_log", "keep": "P100D"}},
}


def days_ago(days: float) -> datetime:
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0) - timedelta(days=days)


@pytest.fixture
def exchange(empty_pbx: Pbx) -> Exchange:
    """Give an exchange with calls of 300, 101 and 20 days ago, and one without a date."""
    found = Exchange(empty_pbx)
    found.create()
    for days in (300, 101.5, 20):
        found.queued(days_ago(days), talk=30)
    empty_pbx.insert(call("0000-00-00 00:00:00", "9.9"), call("2091-01-01 00:00:00", "9.8"))
    return found


async def counts(database: str, *tables: str) -> list[int]:
    return [(await fetch(database, f"SELECT count(*) FROM ivr.{t}"))[0][0] for t in tables]


async def load(synced: Sync, pbx: Pbx, **settings: Any) -> None:
    for job in (sync_of("queues"), sync, aggregate):
        await synced(pbx, job, **settings)


async def test_old_calls_go_and_their_figures_stay(
    exchange: Exchange, synced: Sync, database: str
) -> None:
    await load(synced, exchange.pbx, tables=QUEUES)  # all was kept before
    facts = ("call_facts", "queue_visits", "agent_calls", "quarter_hours")
    before = await counts(database, "calls", "queue_events", *facts)

    result = await synced(exchange.pbx, retain, **KEPT)

    assert result["tables"]["calls"] == {"rows": 4, "facts": 2}
    assert result["tables"]["queues"] == {"rows": 6}
    after = await counts(database, "calls", "queue_events", *facts)
    assert [a - b for a, b in zip(before, after, strict=True)] == [4, 6, 2, 2, 2, 0]
    rows = await loaded(database, "uniqueid", "calldate IS NULL")
    assert ("9.9", "true") in rows
    # Nothing comes back, and a rebuild leaves what was counted as it is.
    for job in (sync, sync_of("queues"), reconcile):
        await synced(exchange.pbx, job, **KEPT)
    await synced(exchange.pbx, reconcile, params={"since": "2020-01-01"}, **KEPT)
    await synced(exchange.pbx, aggregate, params={"rebuild": True}, **KEPT)
    assert await counts(database, "calls", "queue_events", *facts) == after
    assert (await synced(exchange.pbx, retain, **KEPT))["tables"]["calls"]["rows"] == 0


async def test_facts_outlive_their_calls_and_nothing_makes_them_anew(
    exchange: Exchange, synced: Sync, database: str
) -> None:
    await load(synced, exchange.pbx, tables=QUEUES)
    told = "SELECT * FROM ivr.{} ORDER BY call"
    facts = [told.format(name) for name in ("call_facts", "queue_visits", "agent_calls")]
    before = [await fetch(database, one) for one in facts]
    keeps = KEPT | {"keep_facts": "P400D"}

    result = await synced(exchange.pbx, retain, **keeps)

    assert result["tables"]["calls"] == {"rows": 4, "facts": 0}
    assert await counts(database, "calls") == [4]
    await synced(exchange.pbx, reconcile, params={"since": "2020-01-01"}, **keeps)
    for settings in (keeps, keeps | {"level_seconds": 1}):
        await synced(exchange.pbx, aggregate, params={"rebuild": True}, **settings)
        assert [await fetch(database, one) for one in facts] == before
    # The calls are there again for a day; they tell the same, and are not asked.
    span = {"since": f"{days_ago(310):%Y-%m-%d}", "until": f"{days_ago(90):%Y-%m-%d}"}
    await synced(exchange.pbx, backfill, params=span, **keeps)
    assert await counts(database, "calls") == [8]
    await synced(exchange.pbx, aggregate, **keeps)
    assert [await fetch(database, one) for one in facts] == before


async def test_holds_go_with_their_facts_and_those_of_no_call_too(
    exchange: Exchange, synced: Sync, database: str
) -> None:
    await load(synced, exchange.pbx, tables=QUEUES)
    at = int(f"{days_ago(300):%Y%m%d%H%M%S}")
    for held in (
        "SELECT 'pbx', call, '201', 1, 5, 'cel' FROM ivr.call_facts",
        f"VALUES ('pbx', 'none', NULL, 0, 0, 'cel', {at}, {at})",
    ):
        await fetch(database, f"INSERT INTO ivr.call_holds {held}")

    await synced(exchange.pbx, retain, **KEPT)

    assert await counts(database, "call_facts", "call_holds") == [2, 2]


def test_facts_are_kept_for_two_months_at_least_and_never_shorter_than_calls() -> None:
    def kept(**settings: Any) -> timedelta:
        chosen = {"source_url": "mysql://h/d", **settings}
        return msgspec.convert(chosen, Settings).facts_kept

    assert kept() == timedelta(0)
    assert kept(keep_calls="P30D") == timedelta(days=62)
    assert kept(keep_calls="P90D") == timedelta(days=90)
    assert kept(keep_calls="P30D", keep_facts="P30D") == timedelta(days=30)
    assert kept(keep_calls="P30D", keep_facts="PT0S") == timedelta(0)
    for keep_calls in ("PT0S", "P30D"):
        with pytest.raises(msgspec.ValidationError, match="keep_facts is 20 days, 0:00:00, and"):
            kept(keep_calls=keep_calls, keep_facts="P20D")


async def test_a_first_sync_loads_nothing_that_would_go_again(
    exchange: Exchange, synced: Sync, database: str
) -> None:
    await load(synced, exchange.pbx, **KEPT)

    assert (await synced(exchange.pbx, retain, **KEPT))["tables"]["calls"] == {
        "rows": 0,
        "facts": 0,
    }
    assert (await loaded(database, "dst"))["400",] == 1


async def test_calls_that_are_not_counted_wait(
    exchange: Exchange, synced: Sync, database: str
) -> None:
    await synced(exchange.pbx, sync)

    result = await synced(exchange.pbx, retain, **KEPT)

    assert result["tables"]["calls"] == {"rows": 0, "waits_for_figures": True}
    assert (await synced(exchange.pbx, retain, **{**KEPT, "aggregate": ""}))["tables"]["calls"][
        "rows"
    ] == 4


async def test_retention_goes_on_where_its_time_was_up(
    exchange: Exchange,
    synced: Sync,
    database: str,
    context: Callable[..., RecordedRun],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await load(synced, exchange.pbx, tables=QUEUES)
    monkeypatch.setattr("sereno_etl_ivr.retain._ROWS", 1)
    run = context(exchange.pbx.url, retain, **KEPT)
    run.deadline = datetime(2026, 1, 1, tzinfo=UTC)
    times = iter([run.deadline - timedelta(hours=1)] * 5)
    run.clock = lambda: next(times, run.deadline)

    first = await retain.function(run)

    assert first["partial"]
    assert first["tables"]["calls"] == {"facts": 2, "rows": 2}
    assert (await synced(exchange.pbx, retain, **KEPT))["tables"]["calls"]["rows"] == 2


async def test_rejects_deleted_rows_and_figures_go_by_their_own_time(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.insert(call(days_ago(5), "1.1", userfield="a\0b"), call(days_ago(5), "1.2"))
    pbx.insert(call(days_ago(5), "1.3"))
    await synced(pbx)
    pbx.execute("DELETE FROM cdr WHERE uniqueid = '1.3'")
    await synced(pbx, reconcile)
    await synced(pbx, aggregate)
    keeps = {"keep_rejects": "P10D", "keep_deleted": "P10D", "keep_figures": "P10D"}
    assert await counts(database, "rejects", "deleted", "quarter_hours") == [1, 1, 1]
    await synced(pbx, retain, **keeps)
    assert await counts(database, "rejects", "deleted", "quarter_hours") == [1, 1, 1]
    await fetch(database, "UPDATE ivr.rejects SET seen_at = now() - interval '11 days'")
    await fetch(database, "UPDATE ivr.deleted SET deleted_at = now() - interval '11 days'")
    await fetch(database, "UPDATE ivr.quarter_hours SET quarter = quarter - interval '11 days'")

    result = await synced(pbx, retain, **keeps)

    assert (result["tables"]["calls"], result["figures"]) == (
        {"rows": 0, "rejects": 1, "deleted": 1},
        1,
    )
    assert await counts(database, "rejects", "deleted", "quarter_hours", "calls") == [0, 0, 0, 1]


@pytest.mark.parametrize("zone", ["UTC", "America/Santiago", "Australia/Lord_Howe"])
def test_a_day_goes_as_a_whole_by_the_clock_of_the_source(zone: str) -> None:
    at, instant = floor(datetime(2026, 9, 10, 2, tzinfo=UTC), timedelta(days=3), ZoneInfo(zone))
    assert at % 1_000_000 == 0
    assert instant.astimezone(ZoneInfo(zone)).strftime("%Y%m%d") == str(at // 10**6)
    assert instant.timestamp() % 900 == 0  # quarter hours are cut nowhere


def test_retention_is_scheduled_where_something_is_to_go() -> None:
    def job(**settings: Any) -> Any:
        chosen = msgspec.convert({"source_url": "mysql://h/d", **settings}, Settings)
        return {one.name: one for one in plugin.sereno_register_jobs(chosen)}["etl_ivr.retain"]

    for_ever = {"keep_deleted": "PT0S", "keep_rejects": "PT0S"}
    assert not job(**for_ever).schedules
    assert job().schedules[0].trigger.text.startswith("cron 15 4")
    assert job(keep_deleted="P90D").schedules
    assert job(tables={"q": {"kind": "cel", "keep": "P90D"}}, **for_ever).schedules
    with pytest.raises(
        msgspec.ValidationError, match="keep_calls is 1 day, 0:00:00, and what has not settled"
    ):
        job(keep_calls="P1D")
