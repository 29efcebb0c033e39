"""What any sync of call records must hold, by the numbers of docs/etl_ivr.md: the rest of it."""

import asyncio
import logging
import random
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sereno.testing import RecordedRun
from sereno_etl_ivr import position
from sereno_etl_ivr.errors import SourceAwayError, SourceError
from sereno_etl_ivr.layout import match
from sereno_etl_ivr.page import Range
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.source import open_source
from sereno_etl_ivr.source.mysql import MysqlSource
from sereno_etl_ivr.sync import sync
from sereno_etl_ivr.table import CDR

from .conftest import Sync
from .pbx import ASTERISK, Pbx, call, fetch, loaded

ALL = ("calldate", "clid", "src", "duration", "disposition", "uniqueid", "sequence")


def now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", range(3))
async def test_p01_any_order_of_writes_edits_and_syncs_ends_in_the_same_rows(
    pbx: Pbx, synced: Sync, database: str, seed: int
) -> None:
    """Calls that come late, twice, in the same second; edits and deletions; syncs in between."""
    rng = random.Random(seed)
    sequence = 0
    for _ in range(8):
        for _ in range(rng.randrange(40)):
            sequence += 1
            at = now() - timedelta(seconds=rng.choice([0, 1, 1, 600, 3600, 7000]))
            row = call(at, f"{rng.randrange(9)}.1", sequence=sequence, src=rng.choice("abc"))
            pbx.insert(*[row] * rng.choice([1, 1, 1, 2]))
        pbx.execute("UPDATE cdr SET src = 'edited' WHERE sequence %% 7 = %s", rng.randrange(7))
        await synced(pbx, batch_size=rng.choice([3, 10, 1000]))
        assert await loaded(database, *ALL) == pbx.rows(*ALL)


async def test_p05_a_sync_reads_no_further_than_the_clock_of_the_source(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.insert(call(now() + timedelta(hours=5), "1.1"), call(now(), "1.2"))
    result = await synced(pbx)
    assert result["watermark"] <= str(now() + timedelta(seconds=2))
    pbx.insert(call(now() + timedelta(hours=2), "1.3"))
    assert (await synced(pbx))["inserted"] == 1


async def test_p09_a_wrong_time_zone_is_told(
    pbx: Pbx, synced: Sync, caplog: pytest.LogCaptureFixture
) -> None:
    begun = datetime(2026, 3, 1, 10, tzinfo=UTC)
    for n in range(10):
        epoch = int((begun + timedelta(minutes=n)).timestamp())
        pbx.insert(call(f"2026-03-01 11:{n:02}:00", f"{epoch}.{n}", linkedid="1"))

    with caplog.at_level(logging.WARNING):
        wrong = await synced(pbx, source="wrong")
        right = await synced(pbx, source="right", source_timezone="Europe/Madrid")

    assert (wrong["zone_apart_s"], right["zone_apart_s"]) == (3600.0, 0.0)
    assert [r.message for r in caplog.records].count(
        "source_timezone seems to be wrong: calls do not begin when their uniqueid says"
    ) == 1


async def test_p12_text_keeps_its_length_and_its_blanks(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.insert(
        call("2026-03-01 10:00:00", "1.1", clid="é" * 80, src=" a ", userfield="Ã© mojibake")
    )
    await synced(pbx)
    names = ("clid", "src", "userfield")
    assert await loaded(database, *names) == pbx.rows(*names)


async def test_p13_absurd_numbers_are_kept_as_they_are(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.execute("ALTER TABLE cdr MODIFY amaflags varchar(45) NOT NULL")
    for n, duration in enumerate((-5, 0, 90_000, 2**31 - 1)):
        pbx.insert(call(now(), f"1.{n}", duration=duration, amaflags="DOCUMENTATION"))
    assert (await synced(pbx))["inserted"] == 4
    assert await loaded(database, "duration", "amaflags") == pbx.rows("duration", "amaflags")


async def test_p14_columns_come_go_and_change_their_type_between_two_syncs(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.insert(call(now(), "1.1", linkedid="1.1", sequence=1))
    await synced(pbx)
    pbx.execute("ALTER TABLE cdr DROP userfield, ADD queue varchar(20) NOT NULL DEFAULT 'sales'")
    pbx.execute(
        "ALTER TABLE cdr MODIFY duration varchar(20) NOT NULL, MODIFY sequence bigint FIRST"
    )
    pbx.insert(call(now(), "1.2", linkedid="1.2", sequence=2, duration="7"))

    result = await synced(pbx)

    assert (result["inserted"], result["updated"], result["rejected"]) == (1, 1, 0)
    rows = await fetch(
        database, "SELECT duration, userfield, extra ->> 'queue' FROM ivr.calls ORDER BY sequence"
    )
    assert [tuple(row) for row in rows] == [(0, "", "sales"), (7, None, "sales")]


@pytest.mark.parametrize("table", ["freepbx", "asterisk"])
async def test_p15_each_query_reads_a_range_of_the_index(
    empty_pbx: Pbx, pbx: Pbx, table: str
) -> None:
    if table == "asterisk":
        pbx.execute("DROP TABLE cdr")
        pbx.execute(ASTERISK)
        pbx.execute(
            "INSERT INTO cdr (start) SELECT '2026-03-01' + INTERVAL seq HOUR FROM seq_1_to_5000"
        )
    else:
        pbx.fill(5000)
    pbx.execute("ANALYZE TABLE cdr")
    async with open_source(Settings(source_url=pbx.url)) as source:
        assert isinstance(source, MysqlSource)
        layout = match(CDR, await source.describe(), "cdr")
        asked: list[str] = []
        true = source._all

        async def heard(statement: str) -> Any:
            asked.append(statement)
            return await true(statement)

        source._all = heard  # type: ignore[method-assign]
        extent = await source.extent(layout)
        assert extent.first is not None
        within = Range(extent.first, position.successor(extent.first + 3000))
        await source.bound(layout, within, 100)
        await source.count(layout, within, 100)
        await source.page(layout, within)
        await source.digests(layout, within)
        assert len(asked) >= 5
        for statement in asked:
            plan = await true(f"EXPLAIN {statement}")
            plan = [row for row in plan if row[2] != b"<derived2>"]
            kinds = {row[3].decode() for row in plan if row[3] is not None}
            assert kinds <= {"range", "index", "ref", "const"}, (statement, plan)
            keys = {row[5] for row in plan if row[3] in (b"range", b"index", b"ref")}
            assert keys <= {b"calldate", b"start"}, (statement, plan)


async def test_p15_memory_does_not_grow_with_the_table(
    pbx: Pbx, context: Callable[..., RecordedRun]
) -> None:
    peaks = []
    for count in (20_000, 100_000):
        pbx.fill(count, start="2025-03-01 00:00:00", seconds=60)
        tracemalloc.start()
        await sync.function(context(pbx.url, source=f"of {count}"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 2**20


async def test_p15_the_loop_stays_free_for_others(pbx: Pbx, synced: Sync) -> None:
    """Processor time between two turns of another task: what a slow machine adds is not ours."""
    pbx.fill(10_000)
    longest, on = 0.0, True

    async def other() -> None:
        nonlocal longest
        while on:
            used = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - used)

    await synced(pbx, source="warm")
    watching = asyncio.create_task(other())
    await synced(pbx)
    on = False
    await watching
    assert longest < 0.05  # 3 ms where benchmarks/etl.py measures it


async def test_p15_the_source_is_read_no_faster_than_it_may_be(pbx: Pbx, synced: Sync) -> None:
    pbx.fill(60)
    begun = time.monotonic()
    await synced(pbx, batch_size=20, max_rows_per_second=100)
    assert time.monotonic() - begun > 0.5


async def test_p16_a_dry_run_prints_the_plan_and_moves_nothing(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.fill(60)
    result = await synced(pbx, params={"dry_run": True})
    assert [part["rows"] for part in result["ranges"]] == [60]
    assert result["ranges"][0]["from"] == "2026-03-01 00:00:25"
    assert not await loaded(database, "uniqueid")


def failing(times: int, true: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    left = times

    async def page(*arguments: Any) -> Any:
        nonlocal left
        if left:
            left -= 1
            raise SourceAwayError("source: lost connection")
        return await true(*arguments)

    return page


async def test_p19_a_source_that_was_away_for_a_moment_is_asked_again(
    pbx: Pbx, synced: Sync, monkeypatch: pytest.MonkeyPatch, database: str
) -> None:
    pbx.fill(60)
    monkeypatch.setattr("sereno_etl_ivr.session._FIRST_WAIT", 0.01)
    monkeypatch.setattr(MysqlSource, "page", failing(2, MysqlSource.page))

    assert (await synced(pbx, batch_size=20))["inserted"] == 60
    assert len(await loaded(database, "sequence")) == 60

    monkeypatch.setattr(MysqlSource, "page", failing(9, MysqlSource.page))
    with pytest.raises(SourceAwayError, match="lost connection"):
        await synced(pbx, source="other", patience="PT0.05S")


async def test_p19_a_wrong_password_fails_at_once(pbx: Pbx, synced: Sync) -> None:
    begun = time.monotonic()
    with pytest.raises(SourceError, match=r"Access denied.*; check user and password") as caught:
        await synced(pbx.url.replace(":sereno@", ":wrong@"))
    assert not isinstance(caught.value, SourceAwayError)
    assert "wrong" not in str(caught.value)
    assert time.monotonic() - begun < 10


async def test_p20_a_giant_cell_stays_at_the_source(pbx: Pbx, synced: Sync, database: str) -> None:
    pbx.execute("ALTER TABLE cdr MODIFY userfield longtext NOT NULL")
    pbx.execute(
        "INSERT INTO cdr (calldate, uniqueid, userfield)"
        " VALUES ('2026-03-01 10:00:00', '1.1', REPEAT('x', 9000000)),"
        " ('2026-03-01 10:00:00', '1.2', 'short'), ('2026-03-01 10:00:00', '1.3', 'a\\0b')"
    )
    result = await synced(pbx)
    assert (result["inserted"], result["rejected"]) == (1, 2)
    rejects = await fetch(database, "SELECT reason, length(raw::text) AS size FROM ivr.rejects")
    (giant,) = [row for row in rejects if "more than" in row["reason"]]
    assert giant["reason"] == "column 'userfield' holds 9000000 bytes, more than 8 MB"
    assert giant["size"] < 2000


async def test_p21_a_run_tells_what_it_did_and_how_fresh_the_target_is(
    pbx: Pbx, synced: Sync, context: Callable[..., RecordedRun]
) -> None:
    pbx.insert(call(now() - timedelta(seconds=90), "1.1"))
    first = await synced(pbx)
    late = now() - timedelta(seconds=5)
    pbx.insert(call(now() - timedelta(seconds=1000), "1.2"), call(late, "1.3", userfield="\0"))
    run = context(pbx.url)
    second = await sync.function(run)

    assert 90 <= first["lag_s"] < 120
    assert 900 < second["max_late_s"] < 1100
    assert first["max_late_s"] == 0
    assert second["watermark_before"] == first["watermark"]
    outcomes = ("read", "inserted", "updated", "unchanged", "rejected", "vanished", "batches")
    assert [second[name] for name in outcomes] == [3, 1, 0, 1, 1, 0, 1]
    assert second["read_s"] + second["write_s"] <= second["duration"]
    assert run.reporter.progresses[-1].total == 3


async def test_p22_a_call_is_what_its_legs_are_now(pbx: Pbx, synced: Sync, database: str) -> None:
    whole = "SELECT call, legs, answered, talk_seconds FROM ivr.whole_calls"
    at = now() - timedelta(minutes=10)
    leg = {"linkedid": "1.1", "disposition": "ANSWERED"}
    pbx.insert(call(at, "1.1", sequence=1, billsec=30, **leg))
    await synced(pbx)
    assert [tuple(r) for r in await fetch(database, whole)] == [("1.1", 1, False, None)]
    pbx.insert(call(at, "1.2", sequence=2, billsec=20, dstchannel="PJSIP/201-1", **leg))
    await synced(pbx)
    assert [tuple(r) for r in await fetch(database, whole)] == [("1.1", 2, True, 20)]
