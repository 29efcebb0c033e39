"""The plugin's own metrics: counts that are committed with the rows, the same on every replica."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from sereno.observe.exposition import MetricsPage
from sereno.observe.plugin_metrics import Collected
from sereno_etl_ivr import plugin
from sereno_etl_ivr.aggregate import aggregate
from sereno_etl_ivr.errors import RejectsError, TargetError
from sereno_etl_ivr.reconcile import reconcile
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.sync import sync, sync_of
from sereno_etl_ivr.target import Watermark

from .conftest import Sync
from .exchange import QUEUES, Exchange
from .pbx import Pbx, call, fetch

PBX = '{source="pbx",table="calls"'


async def shown(database: str, pbx: Pbx, **settings: Any) -> dict[str, float]:
    """Return the plugin's series as a replica shows them that has run nothing itself."""
    chosen = msgspec.convert({"source_url": pbx.url, **settings}, Settings)
    page = MetricsPage()
    collectors = plugin.sereno_register_collectors(chosen)
    await Collected({"etl_ivr": collectors}, database, patience=30).write(page)
    lines = [line for line in page.text().decode().splitlines() if line[0] != "#"]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def counts(series: dict[str, float]) -> list[float]:
    outcomes = ("inserted", "updated", "rejected", "deleted")
    return [series[f'etl_ivr_rows_total{PBX},outcome="{name}"}}'] for name in outcomes]


async def failing(*_: Any) -> None:
    raise TargetError("target: the disk is full")


async def test_every_series_is_there_before_the_first_run(pbx: Pbx, database: str) -> None:
    series = await shown(database, pbx, tables={"cel": {"kind": "cel"}})

    assert len(series) == 2 * 9 + 9 + 1  # of two tables; of no queue, by outcome; the counting
    assert set(series.values()) == {0}


async def test_rows_are_counted_by_outcome_however_they_came(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.fill(300, seconds=600)
    pbx.insert(call("2026-03-01 10:00:00", "1.1", userfield="a\0b"))
    await synced(pbx, batch_size=100)
    assert counts(await shown(database, pbx)) == [300, 0, 1, 0]

    pbx.execute("UPDATE cdr SET src = 'x' WHERE sequence = 7")
    pbx.execute("DELETE FROM cdr WHERE sequence IN (8, 9)")
    await synced(pbx, reconcile, params={"since": "2026-03-01"})

    series = await shown(database, pbx)
    assert counts(series) == [300, 1, 1, 2]
    assert series[f"etl_ivr_rejects{PBX}}}"] == 1


async def test_what_was_rolled_back_is_not_counted(
    pbx: Pbx, synced: Sync, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pbx.fill(100)
    monkeypatch.setattr(Watermark, "claim", failing)  # the rows are there, the commit is not
    with pytest.raises(TargetError):
        await synced(pbx, batch_size=40, overlap=timedelta(days=9000))
    assert counts(await shown(database, pbx)) == [0, 0, 0, 0]
    monkeypatch.undo()

    await synced(pbx, batch_size=40, overlap=timedelta(days=9000))
    await synced(pbx, batch_size=30, overlap=timedelta(days=9000))

    assert counts(await shown(database, pbx)) == [100, 0, 0, 0]


async def test_instants_are_those_of_the_source_in_any_zone(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    wall = now.replace(tzinfo=None) + timedelta(hours=5, minutes=30)  # India has no summer time
    pbx.insert(call(wall - timedelta(minutes=10), "1.1"), call(wall + timedelta(days=9), "1.2"))
    await synced(pbx, source_timezone="Asia/Kolkata")

    series = await shown(database, pbx, source_timezone="Asia/Kolkata")

    newest = series[f"etl_ivr_newest_row_timestamp_seconds{PBX}}}"]
    watermark = series[f"etl_ivr_watermark_timestamp_seconds{PBX}}}"]
    assert newest == (now - timedelta(minutes=10)).timestamp()
    assert 0 <= watermark - now.timestamp() < 60


async def test_the_tables_of_an_earlier_version_get_what_they_lack(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    await synced(pbx)
    await fetch(database, "ALTER TABLE ivr.watermarks DROP zone, DROP inserted, DROP rejected")
    await fetch(database, "ALTER TABLE ivr.calls DROP did")
    await fetch(database, "UPDATE ivr.schema_version SET version = 2")
    await fetch(database, "DROP TABLE ivr.sereno_migration")
    pbx.insert(*(call(datetime.now(UTC).replace(tzinfo=None), str(n)) for n in range(3)))

    assert (await synced(pbx))["inserted"] == 3
    assert counts(await shown(database, pbx)) == [3, 0, 0, 0]


def test_without_a_source_there_are_no_series() -> None:
    assert not plugin.sereno_register_collectors(Settings())


async def test_the_share_of_rejects_counts_from_the_first_row(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.insert(call("2026-03-01 10:00:00", "1.1", userfield="a\0b"))
    with pytest.raises(RejectsError):
        await synced(pbx, overlap="P9000D")
    share = f"etl_ivr_reject_share{PBX}}}"
    assert (await shown(database, pbx))[share] == 1

    pbx.insert(*(call("2026-03-01 10:00:00", f"2.{n}") for n in range(3)))
    await synced(pbx, overlap="P9000D")
    assert (await shown(database, pbx))[share] == 0.25

    await synced(pbx, source_table="cdr", overlap="PT0S")
    assert (await shown(database, pbx))[share] == 0.25  # the last that read anything


async def test_the_calls_of_today_are_shown_by_queue_and_outcome(
    empty_pbx: Pbx, synced: Sync, database: str
) -> None:
    exchange = Exchange(empty_pbx)
    exchange.create()
    zone = "Pacific/Kiritimati"  # far from UTC: today is the source's
    midnight = datetime.now(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    today = midnight.replace(tzinfo=None)
    exchange.queued(today, wait=3, talk=20)
    exchange.queued(today, wait=60)
    exchange.queued(today, wait=2, queue="410")
    exchange.queued(today - timedelta(seconds=1), wait=9, talk=20)
    exchange.queued(today + timedelta(days=1), wait=9, talk=20)
    settings = {"tables": QUEUES, "source_timezone": zone}
    for job in (sync_of("queues"), sync, aggregate):
        await synced(empty_pbx, job, **settings)

    series = await shown(database, empty_pbx, **settings)

    assert {name: value for name, value in series.items() if value and "calls_today" in name} == {
        'ivr_calls_today{queue="400",outcome="answered"}': 1,
        'ivr_calls_today{queue="400",outcome="abandoned"}': 1,
        'ivr_calls_today{queue="410",outcome="short_abandon"}': 1,
    }
    assert series["ivr_calls_counted_timestamp_seconds"] > 0


async def test_very_many_queues_are_shown_together(database: str, pbx: Pbx, synced: Sync) -> None:
    await synced(pbx)
    await synced(pbx, aggregate)
    await fetch(
        database,
        "INSERT INTO ivr.quarter_hours SELECT (jsonb_populate_record(NULL::ivr.quarter_hours,"
        " (SELECT jsonb_object_agg(attname, 1) FROM pg_attribute WHERE attrelid ="
        " 'ivr.quarter_hours'::regclass AND attnum > 0 AND atttypid = 'int'::regtype)"
        " || jsonb_build_object('source', 'pbx', 'queue', 'q' || n, 'direction', 'inbound',"
        " 'origin', 'calls', 'wait_seconds', 1, 'talk_seconds', 1, 'answered_waits', '{}',"
        " 'abandoned_waits', '{}', 'quarter', now() - interval '1 second'))).*"
        " FROM generate_series(1, 80) AS n",
    )

    series = await shown(database, pbx)

    counted = {name: v for name, v in series.items() if 'outcome="answered"' in name}
    assert len(counted) == 52
    assert counted['ivr_calls_today{queue="others",outcome="answered"}'] == 30
    assert sum(counted.values()) == 80
