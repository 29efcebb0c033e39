"""Reconciliation, back-fill and rejects tried again: what a sync alone does not see."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from sereno import ParamsError, RunError
from sereno.testing import RecordedRun
from sereno_etl_ivr.backfill import backfill
from sereno_etl_ivr.plan import Digest, day_range, differing, is_purge
from sereno_etl_ivr.reconcile import reconcile
from sereno_etl_ivr.rejects import retry_rejects
from sereno_etl_ivr.sync import sync, sync_of
from sereno_etl_ivr.target import Target, WatermarkPlace

from .conftest import Sync
from .exchange import CEL
from .pbx import Pbx, call, fetch, loaded

ALL = ("calldate", "clid", "src", "dst", "duration", "disposition", "uniqueid", "sequence")
MARCH = {"since": "2026-03-01"}
DAY = "2026-03-02 10:00:00"


def test_days_that_differ_are_found_the_newest_first() -> None:
    theirs = {20260301: Digest(3, 7), 20260302: Digest(3, 7), 20260303: Digest(1, 1)}
    ours = {20260301: Digest(3, 7), 20260302: Digest(3, 8), 20260228: Digest(1, 1)}
    assert differing(theirs, ours) == [20260303, 20260302, 20260228]


def test_a_day_is_the_range_of_all_its_seconds() -> None:
    assert (day_range(20260228).start, day_range(20260228).end) == (20260228000000, 20260229000000)
    assert day_range(20260200).end == 20260201000000


@pytest.mark.parametrize(
    ("theirs", "held", "purge"), [(99, 100, False), (0, 90, False), (700, 900, True)]
)
def test_many_missing_rows_are_a_purge_and_few_are_deletions(
    theirs: int, held: int, purge: bool
) -> None:
    assert is_purge(Digest(theirs, 0), Digest(held, 0), 100, 0.2) is purge


async def test_equal_days_are_not_read_again(pbx: Pbx, synced: Sync) -> None:
    pbx.fill(3000, seconds=300)
    pbx.insert(call("2026-03-02 10:00:00", "1.1", userfield="back\\slash\nline \x1a \x1f"))
    pbx.insert(call("2026-03-03 10:00:00", "1.1", userfield="nul\0here"))
    await synced(pbx)

    result = await synced(pbx, reconcile, params=MARCH)

    # The day with the separator in a cell has a hash that the server does not compute.
    assert (result["days"], result["differing"]) == (11, 1)
    assert (result["inserted"], result["updated"], result["deleted"]) == (0, 0, 0)


async def test_a_table_at_fault_does_not_keep_the_others_from_being_compared(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    survey = {"columns": {"number": "n bigint", "at": "at timestamp"}, "cursor": "at"}
    tables = {"gone": {"source_table": "survey", **survey}, "cel": {"kind": "cel"}}
    pbx.execute(CEL)
    pbx.execute("INSERT INTO cel (eventtype, eventtime, uniqueid) VALUES ('HOLD', %s, '1.1')", DAY)
    await synced(pbx, sync_of("cel"), tables=tables)
    pbx.execute("UPDATE cel SET eventtype = 'UNHOLD'")

    told = "source table 'survey' is not there.*2 other tables were compared"
    with pytest.raises(RunError, match=told):
        await synced(pbx, reconcile, tables=tables, params=MARCH)

    (row,) = await fetch(database, "SELECT eventtype FROM ivr.channel_events")
    assert row[0] == "UNHOLD"


@pytest.mark.every_postgres
async def test_changed_deleted_and_imported_history_is_repaired_and_told(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.fill(3000, seconds=300)
    await synced(pbx)
    pbx.execute("UPDATE cdr SET src = '999' WHERE sequence = 10")
    pbx.execute("DELETE FROM cdr WHERE sequence IN (20, 2000)")
    pbx.insert(call("2026-03-05 10:00:00", "9.9", sequence=9999))
    assert (await synced(pbx))["processed"] == 0

    result = await synced(pbx, reconcile, params=MARCH)

    assert await loaded(database, *ALL) == pbx.rows(*ALL)
    assert (result["updated"], result["inserted"], result["deleted"]) == (1, 1, 2)
    repairs = {repair["day"]: repair for repair in result["repairs"]}
    assert sorted(repairs) == ["2026-03-01", "2026-03-05", "2026-03-07"]
    assert (repairs["2026-03-01"]["source"], repairs["2026-03-01"]["target"]) == (286, 287)
    deleted = await fetch(database, "SELECT row ->> 'sequence' AS n FROM ivr.deleted ORDER BY 1")
    assert [row["n"] for row in deleted] == ["20", "2000"]
    assert (await synced(pbx, reconcile, params=MARCH))["differing"] == 0


async def test_what_the_source_cleared_stays_in_the_target(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.fill(2000, seconds=100)
    pbx.insert(call("2026-02-27 10:00:00", "1.1"))
    await synced(pbx)
    pbx.execute("DELETE FROM cdr WHERE calldate BETWEEN '2026-03-01' AND '2026-03-02 12:00:00'")

    result = await synced(pbx, reconcile, params={"since": "2026-02-01"})

    assert (result["deleted"], result["cleared_at_source"]) == (0, 1)
    assert [repair["purged_at_source"] for repair in result["repairs"]] == [True]
    assert len(await loaded(database, "sequence")) == 2001


async def test_a_rejected_row_is_loaded_once_it_fits(pbx: Pbx, synced: Sync, database: str) -> None:
    pbx.insert(
        call("2026-03-01 10:00:00", "1.1", userfield="a\0b"),
        call("2026-03-01 10:00:00", "1.2"),
        call("2026-03-02 10:00:00", "1.3", userfield="c\0d"),
        call("2026-03-03 10:00:00", "1.4", userfield="e\0f"),
    )
    await synced(pbx)
    pbx.execute("UPDATE cdr SET userfield = 'mended' WHERE uniqueid = '1.1'")
    pbx.execute("DELETE FROM cdr WHERE uniqueid = '1.3'")

    result = await synced(pbx, retry_rejects)

    assert (result["loaded"], result["settled_rejects"], result["still_rejected"]) == (1, 2, 1)
    assert await loaded(database, "uniqueid") == {("1.1",): 1, ("1.2",): 1}
    assert len(await fetch(database, "SELECT FROM ivr.rejects")) == 1


async def test_a_range_is_filled_in_and_the_watermark_stays(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.fill(500, seconds=600)
    before = await synced(pbx)
    pbx.execute("INSERT INTO cdr SELECT * FROM cdr WHERE sequence % 10 = 0")
    chosen = {"since": "2026-03-02", "until": "2026-03-03T12:00"}

    result = await synced(pbx, backfill, params=chosen)

    assert (result["inserted"], result["partial"]) == (21, False)
    assert result["reached"] == result["until"] == "2026-03-03 12:00:00"
    marks = await fetch(database, "SELECT cursor FROM ivr.watermarks")
    assert [row["cursor"] for row in marks] == [before["watermark"]]


async def test_a_backfill_that_was_cut_off_goes_on_at_its_checkpoint(
    pbx: Pbx, context: Callable[..., RecordedRun], database: str
) -> None:
    pbx.fill(500, seconds=600)
    chosen = {"since": "2026-03-01", "until": "2026-04-01"}
    run = context(pbx.url, backfill, chosen, batch_size=20)
    run.saved = {"at": 20260303000000}

    result = await backfill.function(run)

    assert result["since"] == "2026-03-03 00:00:00"
    assert result["inserted"] == 500 - 287
    assert run.reporter.checkpoints[-1] == {"at": 20260401000000}
    async with Target.connected(database, WatermarkPlace("pbx", "cdr", run.fence)) as other:
        assert await other.lock(timedelta(0))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"since": "2026-03-02", "until": "2026-03-01"}, "it must lie before until"),
        ({"since": "yesterday", "until": "2026-03-01"}, "'yesterday' is no date or time"),
        ({"since": "2026-03-01T00:00+01:00", "until": "2026-03-02"}, "has a zone"),
        ({"since": "2026-03-01"}, "until"),
    ],
)
def test_a_backfill_of_no_range_is_refused(params: dict[str, str], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        backfill.checked_params(params)


async def test_a_reconciliation_once_a_month_looks_at_everything(
    pbx: Pbx, context: Callable[..., RecordedRun], synced: Sync
) -> None:
    pbx.insert(*(call(f"20{year}-03-01 10:00:00", "1.1") for year in range(20, 26)))
    await synced(pbx)
    for day, days in ((1, 6), (2, 0)):
        run = context(pbx.url, reconcile)
        run.slot = datetime(2026, 11, day, 3, 30, tzinfo=UTC)
        assert (await reconcile.function(run))["days"] == days


def test_the_jobs_that_look_after_a_sync_are_known_by_name() -> None:
    assert [job.name for job in (sync, reconcile, backfill, retry_rejects)] == [
        "etl_ivr.sync",
        "etl_ivr.reconcile",
        "etl_ivr.backfill",
        "etl_ivr.retry_rejects",
    ]
