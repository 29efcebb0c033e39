"""The plugin's own metrics: counts that are committed with the rows, the same on every replica."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from sereno.observe.collected import Collected
from sereno.observe.exposition import Page
from sereno_etl_ivr import plugin
from sereno_etl_ivr.errors import TargetError
from sereno_etl_ivr.reconcile import reconcile
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.target import Watermark

from .conftest import Sync
from .pbx import Pbx, call, fetch

PBX = '{source="pbx",table="calls"'


async def shown(database: str, pbx: Pbx, **settings: Any) -> dict[str, float]:
    """Return the plugin's series as a replica shows them that has run nothing itself."""
    chosen = msgspec.convert({"source_url": pbx.url, **settings}, Settings)
    page = Page()
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

    assert len(series) == 2 * 7
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
        await synced(pbx, batch_size=40, overlap=timedelta(days=900))
    assert counts(await shown(database, pbx)) == [0, 0, 0, 0]
    monkeypatch.undo()

    await synced(pbx, batch_size=40, overlap=timedelta(days=900))
    await synced(pbx, batch_size=30, overlap=timedelta(days=900))

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
    pbx.insert(*(call(datetime.now(UTC).replace(tzinfo=None), str(n)) for n in range(3)))

    assert (await synced(pbx))["inserted"] == 3
    assert counts(await shown(database, pbx)) == [3, 0, 0, 0]


def test_without_a_source_there_are_no_series() -> None:
    assert not plugin.sereno_register_collectors(Settings())
