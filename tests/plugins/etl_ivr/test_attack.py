"""What goes wrong while a sync is under way: the source, the target, and rows made to be lost."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from sereno import RunSuperseded
from sereno.testing import RecordedRun
from sereno_etl_ivr.aggregate import aggregate
from sereno_etl_ivr.layout import match
from sereno_etl_ivr.page import Range
from sereno_etl_ivr.reconcile import reconcile
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.source import mysql, open_source
from sereno_etl_ivr.source.mysql import MysqlSource
from sereno_etl_ivr.sync import sync_of
from sereno_etl_ivr.table import CDR
from sereno_etl_ivr.target import Target, Watermark
from sereno_etl_ivr.target.connection import connected

from .conftest import Sync
from .pbx import Pbx, call, fetch, loaded
from .test_tables import MAPPED, SURVEY

ALL = ("calldate", "clid", "src", "duration", "disposition", "uniqueid", "sequence")
ALWAYS = timedelta(days=9000)


def before_call(
    owner: type, method: str, number: int, deed: Callable[[], Awaitable[None]]
) -> Callable[..., Awaitable[Any]]:
    """Return `method` of `owner`, with `deed` done before its call of that number."""
    true = getattr(owner, method)
    calls = 0

    async def prepared(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            await deed()
        return await true(*arguments, **named)

    return prepared


async def test_a_source_whose_server_ends_the_session_between_pages_is_read_to_the_end(
    pbx: Pbx, synced: Sync, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pbx.fill(300)

    async def kill() -> None:
        with pbx.connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM information_schema.processlist"
                " WHERE db = DATABASE() AND id <> CONNECTION_ID()"
            )
            for (number,) in cursor.fetchall():
                cursor.execute(f"KILL {number}")

    monkeypatch.setattr("sereno_etl_ivr.session._FIRST_WAIT", 0.01)
    monkeypatch.setattr(MysqlSource, "page", before_call(MysqlSource, "page", 3, kill))

    result = await synced(pbx, batch_size=20)

    assert result["inserted"] == 300
    assert await loaded(database, *ALL) == pbx.rows(*ALL)


@pytest.mark.parametrize(
    ("owner", "method"), [(Target, "load"), (Target, "_copy"), (Watermark, "claim")]
)
async def test_a_target_whose_sessions_are_ended_at_work_holds_each_call_once(
    pbx: Pbx,
    synced: Sync,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    owner: type[Target | Watermark],
    method: str,
) -> None:
    pbx.fill(300)

    async def end() -> None:
        await fetch(
            database,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'sereno etl_ivr target'",
        )

    monkeypatch.setattr("sereno_etl_ivr.session._FIRST_WAIT", 0.01)
    monkeypatch.setattr(owner, method, before_call(owner, method, 4, end))

    await synced(pbx, batch_size=20)

    assert await loaded(database, *ALL) == pbx.rows(*ALL)


@pytest.mark.parametrize(
    "change",
    [
        "DROP COLUMN userfield",
        "CHANGE src caller varchar(80) NOT NULL",
        "MODIFY src varchar(80) NULL, ADD queue int",
        "MODIFY billsec varchar(20) NOT NULL FIRST",
    ],
)
async def test_a_table_that_is_altered_between_pages_loses_no_call(
    pbx: Pbx, synced: Sync, database: str, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    pbx.fill(300)

    async def alter() -> None:
        pbx.execute(f"ALTER TABLE cdr {change}")
        if "NULL, ADD" in change:
            pbx.execute("UPDATE cdr SET src = NULL WHERE sequence % 3 = 0")

    monkeypatch.setattr("sereno_etl_ivr.session._FIRST_WAIT", 0.01)
    monkeypatch.setattr(MysqlSource, "page", before_call(MysqlSource, "page", 3, alter))
    await synced(pbx, batch_size=20)
    await synced(pbx, reconcile, params={"since": "2026-03-01"})

    names = [name for name in ALL if name != "src" or "CHANGE src" not in change]
    assert await loaded(database, *names) == pbx.rows(*names)


async def test_calls_that_come_and_change_while_pages_are_read_are_all_there_in_the_end(
    pbx: Pbx, synced: Sync, database: str, context: Callable[..., RecordedRun]
) -> None:
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    done = asyncio.Event()

    def write() -> None:
        with Pbx.connected(pbx.url) as other:
            for n in range(400):
                at = now - timedelta(seconds=n * 7 % 50)
                other.insert(call(at, f"{n % 5}.1", linkedid="1", sequence=n, src="new"))
                other.execute("UPDATE cdr SET src = %s WHERE sequence = %s", f"at {n}", n * 3 // 4)

    async def writing() -> None:
        await asyncio.to_thread(write)
        done.set()

    task = asyncio.create_task(writing())
    while not done.is_set():
        await synced(pbx, batch_size=7)
    await task
    await synced(pbx, batch_size=7)

    assert await loaded(database, *ALL) == pbx.rows(*ALL)


async def test_two_runs_at_once_harm_nothing(
    pbx: Pbx, synced: Sync, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock keeps them apart; here it is given to both."""
    pbx.fill(2000)
    pbx.execute("INSERT INTO cdr SELECT * FROM cdr WHERE sequence % 50 = 0")

    async def granted(*_: Any) -> bool:
        return True

    monkeypatch.setattr(Target, "lock", granted)
    ends = await asyncio.gather(
        *(synced(pbx, batch_size=50) for _ in range(3)), return_exceptions=True
    )

    assert any(isinstance(end, dict) for end in ends)
    assert all(isinstance(end, dict | RunSuperseded) for end in ends), ends
    surplus = await loaded(database, *ALL) - pbx.rows(*ALL)
    assert not surplus
    await synced(pbx, batch_size=50, overlap=ALWAYS)
    assert await loaded(database, *ALL) == pbx.rows(*ALL)


@pytest.mark.parametrize("over", [-1, 0, 1, 2, 9])
async def test_a_page_that_is_cut_in_its_last_cell_is_noticed(
    pbx: Pbx, synced: Sync, database: str, monkeypatch: pytest.MonkeyPatch, over: int
) -> None:
    """The server cuts at group_concat_max_len: every row is there, and one is short."""
    monkeypatch.setattr(mysql, "_LONGEST_PAGE", 5000)
    pbx.fill(10, seconds=0)
    async with open_source(Settings(source_url=pbx.url)) as source:
        layout = match(CDR, await source.describe(), "cdr")
        assert layout.cells[-1].name == "userfield"
        page = await source.page(layout, Range(0, 2030_00_00_00_00_00))
    size = sum(map(len, page.lines)) + 9
    pbx.execute("UPDATE cdr SET userfield = REPEAT('x', 200)")
    rest = 5000 + over - size - 10 * 200
    pbx.execute("ALTER TABLE cdr MODIFY userfield varchar(5000) NOT NULL")
    pbx.execute(f"UPDATE cdr SET userfield = REPEAT('x', {200 + rest}) WHERE sequence = 10")

    await synced(pbx)

    names = ("sequence", "userfield")
    assert await loaded(database, *names) == pbx.rows(*names)


async def test_a_row_that_is_longer_than_a_packet_arrives_whole(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.execute(
        "ALTER TABLE cdr MODIFY userfield longtext NOT NULL, ADD notes longtext, ADD more longtext"
    )
    pbx.execute(
        "INSERT INTO cdr (calldate, uniqueid, userfield, notes, more) VALUES"
        " ('2026-03-01 10:00:00', '1.1', REPEAT('x', 7000000), REPEAT('y', 7000000),"
        " REPEAT('z', 7000000)), ('2026-03-01 10:00:00', '1.2', '', NULL, NULL)"
    )

    result = await synced(pbx)

    assert (result["inserted"], result["rejected"]) == (2, 0)
    lengths = ("uniqueid", "length(userfield)", "length(extra ->> 'more')")
    assert await loaded(database, *lengths) == {
        ("1.1", "7000000", "7000000"): 1,
        ("1.2", "0", None): 1,
    }


async def test_a_row_that_the_target_s_own_constraints_refuse_is_rejected_and_stops_no_other(
    empty_pbx: Pbx, synced: Sync, database: str
) -> None:
    empty_pbx.execute(SURVEY)
    empty_pbx.execute(
        "INSERT INTO survey SELECT seq, '2026-07-01' + INTERVAL seq MINUTE, seq % 6, 'fine'"
        " FROM seq_1_to_200"
    )
    tables = {"survey": MAPPED}
    await synced(empty_pbx, sync_of("survey"), tables=tables, source="none", overlap=ALWAYS)
    await fetch(database, "TRUNCATE ivr.survey")
    await fetch(
        database,
        "ALTER TABLE ivr.survey"
        " ADD CHECK (score < 5), ADD UNIQUE (number), ALTER score SET NOT NULL",
    )
    empty_pbx.execute("UPDATE survey SET score = NULL WHERE n = 7")
    await fetch(
        database,
        "INSERT INTO ivr.survey (source, number, score, position, content, ordinal)"
        " VALUES ('other', 12, 1, 1, gen_random_uuid(), 1)",
    )

    result = await synced(empty_pbx, sync_of("survey"), tables=tables, reject_limit=1000)

    bad = {n for n in range(1, 201) if n % 6 == 5} | {7, 12}
    assert (result["inserted"], result["rejected"]) == (200 - len(bad), len(bad))
    numbers = await fetch(database, "SELECT number FROM ivr.survey WHERE source = 'pbx'")
    assert {row["number"] for row in numbers} == set(range(1, 201)) - bad
    reasons = await fetch(database, "SELECT reason FROM ivr.rejects")
    assert {row["reason"].partition(" constraint")[0].split(" ")[0] for row in reasons} == {
        "duplicate",
        "new",
        "null",
    }
    again = await synced(empty_pbx, sync_of("survey"), tables=tables, overlap=ALWAYS)
    assert again["processed"] == 0


SEVEN = """
CREATE FUNCTION seven() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF NEW.number = 7 THEN RAISE EXCEPTION 'no seven'; END IF; RETURN NEW; END $$;
CREATE TRIGGER seven BEFORE INSERT ON ivr.survey FOR EACH ROW EXECUTE FUNCTION seven()
"""


@pytest.mark.parametrize(
    ("refusing", "reason"),
    [
        (SEVEN, "no seven"),
        ("CREATE INDEX ON ivr.survey (words)", "index row"),
        ("ALTER TABLE ivr.survey ADD b numeric GENERATED ALWAYS AS (1/(number-7)) STORED", "divis"),
        ("ALTER TABLE ivr.survey ALTER words TYPE varchar(100)", "too long"),
    ],
)
async def test_a_row_that_a_trigger_or_an_index_of_the_target_refuses_stops_no_other(
    empty_pbx: Pbx, synced: Sync, database: str, refusing: str, reason: str
) -> None:
    empty_pbx.execute(SURVEY)
    empty_pbx.execute(
        "INSERT INTO survey SELECT seq, '2026-07-01' + INTERVAL seq MINUTE, seq % 6, 'fine'"
        " FROM seq_1_to_50"
    )
    empty_pbx.execute("ALTER TABLE survey MODIFY words longtext")
    empty_pbx.execute("UPDATE survey SET words = %s WHERE n = 7", secrets.token_hex(6000))
    columns = {"number": "n bigint", "at": "answered_on timestamp", "words": "words"}
    tables = {"survey": {**MAPPED, "columns": columns}}
    await synced(empty_pbx, sync_of("survey"), tables=tables, source="none", overlap=ALWAYS)
    await fetch(database, "TRUNCATE ivr.survey")
    connection = await asyncpg.connect(database)
    await connection.execute(refusing)
    await connection.close()

    result = await synced(empty_pbx, sync_of("survey"), tables=tables)

    assert (result["inserted"], result["rejected"]) == (49, 1)
    (row,) = await fetch(database, "SELECT reason FROM ivr.rejects")
    assert reason in row["reason"]


async def test_an_id_that_no_index_can_hold_costs_its_row_and_no_figure(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.execute("ALTER TABLE cdr MODIFY linkedid longtext")
    pbx.insert(call("2026-03-01 10:00:00", "1.1", linkedid="1.1"))
    pbx.insert(call("2026-03-01 10:00:00", "1.2", linkedid=secrets.token_hex(6000)))
    pbx.insert(call("2026-03-01 10:00:00", "1.3", linkedid="1.3", userfield="x" * 250))

    result = await synced(pbx)

    assert (result["inserted"], result["rejected"]) == (2, 1)
    (row,) = await fetch(database, "SELECT reason FROM ivr.rejects")
    assert row["reason"].startswith("column 'linkedid' holds 12000 bytes")
    assert (await synced(pbx, aggregate))["calls"] == 2


async def test_a_source_that_is_behind_its_zone_is_told(
    pbx: Pbx, synced: Sync, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The setting says UTC, the exchange writes New York's time: new calls seem to be hours old."""
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    for n in range(3):
        epoch = int((now - timedelta(minutes=n)).replace(tzinfo=UTC).timestamp())
        pbx.insert(call(now - timedelta(hours=5, minutes=n), f"{epoch}.{n}", sequence=n))
    await synced(pbx)
    assert "source_timezone seems to be wrong" in caplog.text
    pbx.insert(call(now - timedelta(hours=5), f"{epoch}.9", sequence=9))
    assert (await synced(pbx))["inserted"] == 0  # what the warning is for

    await fetch(database, "DELETE FROM ivr.calls WHERE source = 'pbx'")
    await fetch(database, "DELETE FROM ivr.watermarks WHERE source = 'pbx'")
    assert (await synced(pbx, source_timezone="Etc/GMT+5"))["zone_apart_s"] == 0
    assert await loaded(database, *ALL) == pbx.rows(*ALL)


async def test_a_sync_names_its_isolation_whatever_the_database_has(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    name = database.rpartition("/")[2]
    await fetch(
        database, f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"
    )
    pbx.fill(50)
    assert (await synced(pbx))["inserted"] == 50
    async with connected(database) as session, session.transaction():
        assert await session.fetchval("SHOW transaction_isolation") == "read committed"
