"""What the kernel finds in the package: settings, jobs, the demonstration."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from sereno import ConfigurationError, RunError
from sereno_etl_ivr import plugin
from sereno_etl_ivr.demo import write_calls
from sereno_etl_ivr.errors import SourceAwayError, SourceError
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.source import open_source

from .conftest import Sync
from .pbx import Pbx, fetch, loaded


def test_sync_runs_every_six_hours_for_ten_minutes_at_most() -> None:
    job, *_ = plugin.sereno_register_jobs(Settings(source_url="mysql://h/d"))
    (schedule,) = job.schedules
    assert job.name == "etl_ivr.sync"
    assert schedule.trigger.text == "every 6h"
    assert job.policies.timeout == timedelta(minutes=10)
    assert job.policies.overdue_after == timedelta(hours=7)
    assert job.policies.severity == "critical"
    assert job.policies.retry.attempts > 1


def test_settings_choose_the_schedule_and_the_timeout() -> None:
    chosen = Settings(source_url="mysql://h/d", frequency_hours=0.5, timeout=timedelta(minutes=3))
    job, *_ = plugin.sereno_register_jobs(chosen)
    assert job.schedules[0].trigger.text == "every 30m"
    assert job.policies.overdue_after == timedelta(minutes=90)
    assert job.policies.timeout == timedelta(minutes=3)
    job, *_ = plugin.sereno_register_jobs(Settings(source_url="mysql://h/d", schedule="every 10s"))
    assert job.schedules[0].trigger.text == "every 10s"


def test_without_a_source_nothing_is_scheduled() -> None:
    job, *_ = plugin.sereno_register_jobs(Settings())
    assert not job.schedules
    assert job.policies.overdue_after is None


async def test_a_sync_without_a_source_says_what_to_set() -> None:
    with pytest.raises(ConfigurationError, match=r"plugins\.etl_ivr\.source_url is not set: name"):
        async with open_source(Settings()):
            pass


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"source_timezone": "Mars/Olympus"},
            "source_timezone: time zone 'Mars/Olympus': there is",
        ),
        ({"schedule": "every never"}, "never"),
        ({"source_url": "oracle://h/d"}, "source_url"),
        ({"source_url": "mysql://u:p@h"}, "source_url names no database"),
        ({"batch_size": 0}, "batch_size"),
        ({"batchsize": 10}, "batchsize"),
        ({"source_url": "mysql://u:p/w@h/d"}, "source_url: its user or password holds a '/'"),
        ({"source_url": "mysql://u:p@h:99999/d"}, "source_url: its port must be a number"),
        ({"source": "a\0b"}, "source"),
        ({"tables": {"q": {"kind": "queue_log", "source": "a\nb"}}}, "source"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(settings, Settings)


def test_settings_show_no_password() -> None:
    shown = repr(Settings(source_url="mysql://app:s3cr:et@h/d", target_url="postgresql://u:pw@h/d"))
    assert "s3cr" not in shown
    assert "pw" not in shown
    assert "mysql://app:***@h/d" in shown


async def test_a_source_that_is_away_says_which() -> None:
    settings = Settings(source_url="mysql://app:secret@127.0.0.1:1/d")
    with pytest.raises(SourceAwayError, match=r"source 127\.0\.0\.1:1: ") as caught:
        async with open_source(settings):
            pass
    assert "secret" not in str(caught.value)


async def test_a_source_table_that_is_missing_says_what_to_check(pbx: Pbx, synced: Sync) -> None:
    with pytest.raises(RunError, match=r"source table 'cdrs' is not there.*source_table"):
        await synced(pbx, source_table="cdrs")


async def test_a_source_without_a_needed_column_is_refused(pbx: Pbx, synced: Sync) -> None:
    pbx.execute("ALTER TABLE cdr CHANGE uniqueid other varchar(32)")
    with pytest.raises(RunError, match=r"column 'uniqueid' is missing.*it has calldate, clid"):
        await synced(pbx)


async def test_a_user_without_rights_is_told_what_is_needed(pbx: Pbx, synced: Sync) -> None:
    name = pbx.url.rpartition("/")[2]
    reader = pbx.url.replace("sereno:sereno@", f"{name}:secret@")
    pbx.execute(f"CREATE USER {name}@'%' IDENTIFIED BY 'secret'")
    pbx.execute(f"GRANT SELECT (calldate) ON cdr TO {name}@'%'")
    try:
        with pytest.raises(SourceError, match="check the database in plugins"):
            await synced(f"{reader.rpartition('/')[0]}/mysql")
        with pytest.raises(RunError, match="column 'uniqueid' is missing"):
            await synced(reader)
    finally:
        pbx.execute(f"DROP USER {name}@'%'")


async def test_nothing_can_be_written_at_the_source(pbx: Pbx) -> None:
    async with open_source(Settings(source_url=pbx.url)) as source:
        writing = [source._all("DELETE FROM cdr") for _ in range(source.sessions)]
        for error in await asyncio.gather(*writing, return_exceptions=True):
            assert isinstance(error, SourceError)
            assert "READ ONLY" in str(error)
        assert len(source._connections) == source.sessions


async def test_a_user_with_one_session_reads_all_with_it(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.fill(3000)
    name = pbx.url.rpartition("/")[2]
    pbx.execute(f"CREATE USER {name}@'%' IDENTIFIED BY 'secret' WITH MAX_USER_CONNECTIONS 1")
    pbx.execute(f"GRANT SELECT ON cdr TO {name}@'%'")
    try:
        reader = pbx.url.replace("sereno:sereno@", f"{name}:secret@")
        result = await synced(reader, batch_size=100)
    finally:
        pbx.execute(f"DROP USER {name}@'%'")
    assert result["inserted"] == 3000
    assert await loaded(database, "uniqueid") == pbx.rows("uniqueid")


async def test_the_demonstration_keeps_writing_calls_that_a_sync_finds(
    database: str, synced: Sync
) -> None:
    stop = asyncio.Event()
    writing = asyncio.create_task(
        write_calls(database, per_second=200, stop=stop, history=300, seed=1)
    )
    settings = {
        key: timedelta(minutes=15) if key == "overlap" else value
        for key, value in plugin.sereno_register_demo().settings.items()
        if key != "source_url"
    }
    try:
        total = 0
        async with asyncio.timeout(120):
            while total < 800:  # the history, and calls that have come since
                if await fetch(database, "SELECT to_regclass('demo_pbx.cdr') AS it") != [(None,)]:
                    total += (await synced(database, **settings))["inserted"]
    finally:
        stop.set()
        await writing
    await synced(database, **settings)
    names = ("calldate", "src", "dst", "duration", "uniqueid", "linkedid", "sequence")
    theirs = await fetch(database, f"SELECT {', '.join(names)} FROM demo_pbx.cdr")
    texts = [tuple(str(cell) for cell in row) for row in theirs]
    assert await loaded(database, *names) == {text: texts.count(text) for text in texts}
    newest = max(row["calldate"] for row in theirs)
    assert newest <= datetime.now(UTC).replace(tzinfo=None)


def test_the_names_of_the_sites_own_variables_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETL_FREQUENCY_HOURS", "2")
    monkeypatch.setenv("ETL_BATCH_SIZE", "500")
    chosen = msgspec.convert({"source_url": "mysql://h/d"}, Settings)
    assert (chosen.frequency_hours, chosen.batch_size) == (2, 500)
    assert plugin.sereno_register_jobs(chosen)[0].schedules[0].trigger.text == "every 2h"
    assert msgspec.convert({"batch_size": 7}, Settings).batch_size == 7


@pytest.mark.parametrize("text", ["often", "0", "-1", "nan", "10001", "1e9"])
def test_a_variable_that_is_no_size_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ETL_BATCH_SIZE", text)
    with pytest.raises((ValueError, msgspec.ValidationError), match=f"ETL_BATCH_SIZE is '{text}'"):
        msgspec.convert({}, Settings)
