"""A source whose own server raises at some rows: those are rejected, the others are loaded."""

import json

import asyncpg
import pytest

from sereno_etl_ivr.errors import RejectsError, SourceRowError
from sereno_etl_ivr.reconcile import reconcile

from .conftest import Sync
from .pbx import FREEPBX, Pbx, call, fetch, loaded


def raising_view(pbx: Pbx, column: str = "userfield") -> None:
    """Put a view in the place of `cdr` that raises at rows whose `column` is 'bad'."""
    pbx.execute("RENAME TABLE cdr TO real_cdr")
    pbx.execute(
        "CREATE FUNCTION shown(it varchar(255)) RETURNS varchar(255) DETERMINISTIC BEGIN"
        " IF it = 'bad' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'cannot be shown'; END IF;"
        " RETURN it; END"
    )
    names = [
        name
        for name in ("calldate", "src", "duration", "uniqueid", "linkedid", "sequence", "userfield")
        if name != column
    ]
    pbx.execute(
        f"CREATE VIEW cdr AS SELECT {', '.join(names)}, shown({column}) AS {column} FROM real_cdr"
    )


@pytest.mark.parametrize("batch_size", [1000, 7])
async def test_rows_at_which_the_source_raises_are_rejected_and_the_others_loaded(
    pbx: Pbx, synced: Sync, database: str, batch_size: int
) -> None:
    pbx.fill(100)
    pbx.execute("UPDATE cdr SET userfield = 'bad' WHERE sequence IN (1, 50, 51, 100)")
    raising_view(pbx)

    result = await synced(pbx, batch_size=batch_size, reject_share=1)

    assert (result["read"], result["inserted"], result["rejected"]) == (100, 96, 4)
    rejects = await fetch(database, "SELECT * FROM ivr.rejects ORDER BY position")
    raw = [json.loads(row["raw"]) for row in rejects]
    assert [row["sequence"] for row in raw] == ["1", "50", "51", "100"]
    assert raw[0]["userfield"] is None
    assert rejects[0]["position"] == 20260301000025
    assert "cannot be shown" in rejects[0]["reason"]
    again = await synced(pbx, overlap="P9000D", reject_share=1)
    assert again["rejected"] == 0


async def test_a_row_that_raises_among_many_of_its_second_is_found(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.fill(300, seconds=0)
    pbx.execute("UPDATE cdr SET userfield = 'bad' WHERE sequence = 77")
    raising_view(pbx)

    result = await synced(pbx)

    assert (result["inserted"], result["rejected"]) == (299, 1)


async def test_rows_that_raise_in_their_key_are_all_set_aside(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.fill(3, seconds=0)
    pbx.fill(3, start="2026-03-02 00:00:00")
    pbx.execute("UPDATE cdr SET uniqueid = 'bad' WHERE sequence = 2 AND calldate < '2026-03-02'")
    raising_view(pbx, "uniqueid")

    result = await synced(pbx, reject_share=1)

    assert result["inserted"] == 3
    (row,) = await fetch(database, "SELECT count(*) FROM ivr.rejects")
    assert row["count"] == 1


async def test_reconciliation_goes_on_beside_a_day_with_a_row_that_raises(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.fill(10)
    pbx.fill(10, start="2026-03-05 00:00:00")
    pbx.execute("UPDATE cdr SET userfield = 'bad' WHERE calldate > '2026-03-05' AND sequence = 5")
    raising_view(pbx)
    await synced(pbx)
    pbx.execute("UPDATE real_cdr SET src = 'new' WHERE sequence = 1")

    await synced(pbx, reconcile, params={"since": "2026-03-01"})

    assert (await loaded(database, "src"))["new",] == 2
    pbx.execute("UPDATE real_cdr SET userfield = 'fine'")
    await synced(pbx, reconcile, params={"since": "2026-03-01"})
    assert len(await loaded(database, "userfield", "calldate")) == 20
    assert await fetch(database, "SELECT FROM ivr.rejects") == []


async def test_a_source_that_raises_at_very_many_rows_is_at_fault_itself(
    pbx: Pbx, synced: Sync
) -> None:
    pbx.fill(300)
    pbx.execute("UPDATE cdr SET userfield = 'bad'")
    raising_view(pbx)

    with pytest.raises(SourceRowError, match="cannot be shown"):
        await synced(pbx)


async def test_rows_at_which_postgres_raises_are_rejected(synced: Sync, database: str) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute(
        "CREATE TABLE real (start timestamp, uniqueid text, duration text);"
        "INSERT INTO real SELECT '2026-03-01'::timestamp + n * interval '1 second', n, n"
        " FROM generate_series(1, 50) n;"
        "UPDATE real SET duration = 'x' WHERE uniqueid = '33';"
        "CREATE VIEW cdr AS SELECT start, uniqueid, duration::int AS duration FROM real"
    )
    await connection.close()

    result = await synced(database)

    assert (result["inserted"], result["rejected"]) == (49, 1)
    (row,) = await fetch(database, "SELECT reason FROM ivr.rejects")
    assert 'invalid input syntax for type integer: "x"' in row["reason"]


@pytest.mark.parametrize("rows", [1, 80])
async def test_a_sync_that_loads_nothing_of_what_it_read_fails(
    pbx: Pbx, synced: Sync, database: str, rows: int
) -> None:
    pbx.execute("ALTER TABLE cdr MODIFY billsec varchar(20) NOT NULL")
    pbx.fill(rows)
    pbx.execute("UPDATE cdr SET billsec = 'bad'")

    for _ in range(2):  # and again when it is tried again
        with pytest.raises(RejectsError, match=rf"none of the {rows} rows that were read"):
            await synced(pbx, overlap="P9000D")

    assert len(await fetch(database, "SELECT FROM ivr.rejects")) == rows
    pbx.insert(call("2026-03-01 10:00:00", "1.1", billsec="7"))
    assert (await synced(pbx, overlap="P9000D"))["inserted"] == 1


async def test_a_sync_that_finds_nothing_succeeds(empty_pbx: Pbx, synced: Sync) -> None:
    empty_pbx.execute(FREEPBX)
    assert (await synced(empty_pbx))["read"] == 0
