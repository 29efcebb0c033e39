"""etl_ivr.sync from a real MariaDB: each call once, whatever happens between two runs."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sereno import RunSuperseded
from sereno.testing import RecordedRun
from sereno_etl_ivr.errors import TargetError
from sereno_etl_ivr.sync import sync
from sereno_etl_ivr.target import Mark, Target, Watermark, WatermarkPlace
from sereno_etl_ivr.target.direct import is_direct

from .conftest import Sync
from .pbx import ASTERISK, ISSABEL, Pbx, call, fetch, loaded, same

ALL = ("calldate", "clid", "src", "dst", "duration", "billsec", "disposition", "uniqueid")
UTC_ZONE = ZoneInfo("UTC")
KEPT = ("processed", "inserted", "updated", "rejected", "duration")


@pytest.mark.every_postgres
@pytest.mark.timeout(240)
async def test_a_hundred_thousand_calls_end_in_the_target_once_each(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.fill(100_000)

    first = await synced(pbx)

    assert first["inserted"] == first["processed"] == first["read"] == 100_000
    assert set(KEPT) <= set(first)
    assert await loaded(database, *ALL) == pbx.rows(*ALL)

    second = await synced(pbx)

    assert [second[name] for name in KEPT[:4]] == [0, 0, 0, 0]
    assert len(await loaded(database, "uniqueid")) == 100_000


@pytest.mark.parametrize("days", [[], ["1970-01-01"], ["2099-01-01"]])
async def test_a_source_that_is_filled_after_the_first_sync_is_read_from_its_beginning(
    pbx: Pbx, synced: Sync, database: str, days: list[str]
) -> None:
    """As when a copy is being restored, or the exchange is not in service yet, be it with a call of
    before its clock was set."""
    pbx.insert(*(call(f"{day} 00:00:00", "1.1") for day in days))
    assert (await synced(pbx))["processed"] == len(days)
    pbx.fill(1_000)

    assert (await synced(pbx))["inserted"] == 1_000
    assert await loaded(database, *ALL) == pbx.rows(*ALL)

    pbx.execute("DELETE FROM cdr")
    assert (await synced(pbx))["processed"] == 0, "what was read before is read no more"


async def test_more_calls_than_a_page_in_one_second_lose_none(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    burst = [call("2026-03-01 10:00:00", f"1772359200.{n}", sequence=n) for n in range(57)]
    around = [call(f"2026-03-01 {t}", "1.1") for t in ("09:59:59", "10:00:01")]
    pbx.insert(around[0], *burst, around[1])

    result = await synced(pbx, batch_size=10)

    assert result["inserted"] == 59
    assert await loaded(database, *ALL) == pbx.rows(*ALL)
    assert (await synced(pbx, batch_size=7))["processed"] == 0


async def test_a_second_with_very_many_calls_is_read_in_parts(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.fill(12_000, seconds=0)

    overlap = timedelta(days=1000)
    result = await synced(pbx, batch_size=1000, overlap=overlap)

    assert result["inserted"] == 12_000
    assert result["batches"] > 2
    assert await loaded(database, *ALL) == pbx.rows(*ALL)
    pbx.execute("UPDATE cdr SET src = 'changed' WHERE sequence % 100 = 0")
    again = await synced(pbx, overlap=overlap)
    assert (again["inserted"], again["updated"]) == (0, 120)
    assert await loaded(database, *ALL) == pbx.rows(*ALL)


async def test_calls_that_are_equal_in_everything_are_all_kept(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.insert(*same([call("2026-03-01 10:00:00", "1.1"), call("2026-03-01 10:00:05", "1.1")], 3))

    assert (await synced(pbx, batch_size=2))["inserted"] == 6
    assert (await synced(pbx, batch_size=2))["processed"] == 0
    assert await loaded(database, *ALL) == pbx.rows(*ALL)


async def test_legs_that_share_a_uniqueid_are_all_kept(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    legs = [call("2026-03-01 10:00:00", "1.1", linkedid="1.1", sequence=n) for n in range(3)]
    pbx.insert(*legs, call("2026-03-01 10:00:00", "1.1", linkedid="1.1", sequence=1, src="201"))

    assert (await synced(pbx))["inserted"] == 4
    assert await loaded(database, *ALL, "sequence") == pbx.rows(*ALL, "sequence")


async def test_a_call_that_was_written_late_is_found_inside_the_overlap(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    pbx.insert(call(now - timedelta(minutes=1), "2.1"))
    await synced(pbx)
    pbx.insert(call(now - timedelta(hours=1), "1.1", duration=3599))

    assert (await synced(pbx))["inserted"] == 1
    assert await loaded(database, *ALL) == pbx.rows(*ALL)


async def test_a_call_that_changed_at_the_source_is_updated(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    pbx.insert(*(call(now, "1.1", linkedid="1.1", sequence=n, userfield="old") for n in range(3)))
    await synced(pbx)
    pbx.execute("UPDATE cdr SET userfield = 'new', recordingfile = 'a.wav' WHERE sequence = 1")

    result = await synced(pbx)

    assert (result["inserted"], result["updated"], result["unchanged"]) == (0, 1, 2)
    assert await loaded(database, "sequence", "userfield", "recordingfile") == pbx.rows(
        "sequence", "userfield", "recordingfile"
    )


async def test_a_change_of_one_of_several_equal_calls_updates_one(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    pbx.insert(*same([call(now, "1.1")], 3))
    await synced(pbx)
    pbx.execute("UPDATE cdr SET userfield = 'new' LIMIT 1")

    result = await synced(pbx)

    assert (result["inserted"], result["updated"]) == (0, 1)
    assert await loaded(database, *ALL, "userfield") == pbx.rows(*ALL, "userfield")


async def test_without_sequence_and_linkedid_changes_are_updates_too(
    empty_pbx: Pbx, synced: Sync, database: str
) -> None:
    empty_pbx.execute(ISSABEL)
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    empty_pbx.insert(*(call(now, f"1.{n}") for n in range(20)), *same([call(now, "1.1")], 2))
    await synced(empty_pbx, batch_size=5)
    empty_pbx.execute("UPDATE cdr SET userfield = 'new' WHERE uniqueid IN ('1.1', '1.2')")

    result = await synced(empty_pbx, batch_size=5)

    assert (result["inserted"], result["updated"]) == (0, 4)
    assert await loaded(database, *ALL[:4], "userfield") == empty_pbx.rows(*ALL[:4], "userfield")


async def test_a_primary_key_tells_which_call_changed(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.execute("ALTER TABLE cdr ADD id int NOT NULL AUTO_INCREMENT PRIMARY KEY")
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    pbx.insert(*(call(now, "1.1", sequence=7) for _ in range(3)))
    await synced(pbx)
    pbx.execute("UPDATE cdr SET uniqueid = '9.9', src = 'moved' WHERE id = 2")

    assert (await synced(pbx))["updated"] == 1
    assert await loaded(database, "extra ->> 'id'", *ALL) == pbx.rows("id", *ALL)


async def test_an_all_null_schema_keeps_null_and_empty_apart(
    empty_pbx: Pbx, synced: Sync, database: str
) -> None:
    empty_pbx.execute(ASTERISK)
    empty_pbx.insert(
        {"start": "2026-03-01 10:00:00", "uniqueid": "1.1", "src": None, "dst": ""},
        {"start": "2026-03-01 10:00:00", "uniqueid": None, "src": "", "dst": "\x1a"},
        {"start": None, "uniqueid": None, "answer": "2026-03-01 10:00:03"},
        {"start": None, "uniqueid": None, "answer": "2026-03-01 10:00:03"},
    )

    empty_pbx.insert({"start": None, "uniqueid": "1772359200.1"})

    result = await synced(empty_pbx)

    assert (result["inserted"], result["rejected"]) == (5, 0)
    noted = "SELECT started_at::text, time_note FROM ivr.calls WHERE uniqueid LIKE '17%'"
    assert [tuple(row) for row in await fetch(database, noted)] == [
        ("2026-03-01 10:00:00+00", "no real time, uniqueid taken")
    ]
    assert await loaded(
        database, "calldate", "uniqueid", "src", "dst", "extra ->> 'answer'"
    ) == empty_pbx.rows("start", "uniqueid", "src", "dst", "answer")
    assert (await synced(empty_pbx))["processed"] == 0


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
async def test_a_page_is_the_same_whether_it_is_copied_or_staged(
    pbx: Pbx, synced: Sync, database: str, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    """Over the days on which New York puts its clock."""
    pbx.fill(400, start="2026-03-07 00:00:00", seconds=600)
    pbx.fill(200, start="2026-10-31 12:00:00", seconds=300)
    pbx.insert(call("1995-01-01 10:00:00", "1.1"), call("2026-03-07 00:00:00", "1.2", clid="\\n"))
    odd = 'north\\"\\n'
    copied = []

    def told(*arguments: Any) -> bool:
        copied.append(is_direct(*arguments))
        return copied[-1]

    monkeypatch.setattr("sereno_etl_ivr.target.target.is_direct", told)
    await synced(pbx, source=odd, source_timezone=zone, batch_size=30)
    assert True in copied
    monkeypatch.setattr("sereno_etl_ivr.target.target.is_direct", lambda *_: False)
    await synced(pbx, source="staged", source_timezone=zone, batch_size=30)

    rows = "SELECT to_jsonb(c) - 'source' - 'loaded_at' FROM ivr.calls AS c WHERE source = $1"
    one, other = [Counter(r[0] for r in await fetch(database, rows, s)) for s in (odd, "staged")]
    assert one.total() == 602
    assert one == other


async def test_two_sources_share_the_tables(pbx: Pbx, synced: Sync, database: str) -> None:
    pbx.insert(call("2026-03-01 10:00:00", "1.1"))

    await synced(pbx, source="north")
    await synced(pbx, source="south")

    assert await loaded(database, "source") == {("north",): 1, ("south",): 1}


async def test_only_one_run_moves_a_table_at_a_time(pbx: Pbx, synced: Sync, database: str) -> None:
    pbx.insert(call("2026-03-01 10:00:00", "1.1"))

    async with Target.connected(database, WatermarkPlace("pbx", "cdr", _no_fence)) as other:
        assert await other.lock()
        result = await synced(pbx)

    assert result["skipped"]
    assert result["processed"] == 0
    assert not (await synced(pbx))["skipped"]


async def test_a_run_whose_watermark_was_taken_writes_nothing(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    await synced(pbx)
    async with Target.connected(database, WatermarkPlace("pbx", "cdr", _no_fence)) as first:
        await first.hold(UTC_ZONE)
        async with Target.connected(database, WatermarkPlace("pbx", "cdr", _no_fence)) as second:
            await second.hold(UTC_ZONE)
        with pytest.raises(RunSuperseded, match="another run has taken the watermark"):
            await first.finish(Mark(2030_01_01_00_00_00, None))

    (row,) = await fetch(database, "SELECT position FROM ivr.watermarks")
    assert row["position"] < 2030_01_01_00_00_00


async def test_a_run_that_lost_its_fence_commits_nothing(
    pbx: Pbx, context: Callable[..., RecordedRun], database: str
) -> None:
    pbx.fill(50)
    run = context(pbx.url)
    run.reporter.supersede()

    with pytest.raises(RunSuperseded):
        await sync.function(run)

    assert not await loaded(database, "uniqueid")


async def test_a_run_stops_before_its_time_is_up_and_the_next_goes_on(
    pbx: Pbx, context: Callable[..., RecordedRun], database: str
) -> None:
    pbx.fill(300)
    runs = 0
    partial = True
    while partial:
        run = context(pbx.url, batch_size=50)
        run.deadline = datetime(2026, 1, 1, tzinfo=UTC)
        run.clock = _clock(run.deadline, calls=2)
        partial = (await sync.function(run))["partial"]
        runs += 1

    assert runs == 3
    assert await loaded(database, *ALL) == pbx.rows(*ALL)


async def test_a_run_that_is_cancelled_leaves_whole_pages_and_the_next_goes_on(
    pbx: Pbx, context: Callable[..., RecordedRun], synced: Sync, database: str
) -> None:
    pbx.fill(3000)
    run = context(pbx.url, batch_size=100)
    run.deadline = datetime.now(UTC) + timedelta(hours=1)

    def clock() -> datetime:
        """Tell the time, as the run asks before each batch, and cancel it after three or four."""
        if len(run.reporter.progresses) >= 3 and not task.cancelling():
            task.cancel()
        return datetime.now(UTC)

    run.clock = clock
    task = asyncio.create_task(sync.function(run))
    with pytest.raises(asyncio.CancelledError):
        await task

    found = sum((await loaded(database, "uniqueid")).values())

    assert 0 < found < 3000
    assert found % 100 == 0
    assert (await synced(pbx))["inserted"] == 3000 - found
    assert await loaded(database, *ALL) == pbx.rows(*ALL)


async def test_no_page_commits_after_one_that_failed(
    pbx: Pbx, synced: Sync, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next page is already on its way, in another session, when one fails."""
    pbx.fill(300)
    true, claims = Watermark.claim, 0

    async def refusing(watermark: Watermark, *arguments: Any) -> int | None:
        nonlocal claims
        claims += 1
        if claims == 3:
            raise TargetError("target: the disk is full")
        return await true(watermark, *arguments)

    monkeypatch.setattr(Watermark, "claim", refusing)

    with pytest.raises(TargetError, match="the disk is full"):
        await synced(pbx, batch_size=50)

    assert len(await loaded(database, "sequence")) == 100
    assert claims == 3
    monkeypatch.undo()
    assert (await synced(pbx, batch_size=50))["inserted"] == 200
    assert await loaded(database, *ALL) == pbx.rows(*ALL)


def _clock(deadline: datetime, calls: int) -> Callable[[], datetime]:
    """Tell a time an hour before `deadline` so many times, and the deadline from then on."""
    times = iter([deadline - timedelta(hours=1)] * calls)
    return lambda: next(times, deadline)


async def _no_fence(_: object) -> None:
    return None
