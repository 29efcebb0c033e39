"""Rows are found by a time of any form: a datetime, a text in a stated format, an epoch."""

from typing import Any

import asyncpg
import msgspec
import pytest

from sereno import RunError
from sereno_etl_ivr.layout import match
from sereno_etl_ivr.page import Range
from sereno_etl_ivr.reconcile import reconcile
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.source import open_source
from sereno_etl_ivr.source.postgres import PostgresSource
from sereno_etl_ivr.sync import sync_of
from sereno_etl_ivr.table import FOUND_OUT, QUEUE_LOG

from .conftest import Sync
from .pbx import Pbx, fetch

TIMES = [
    ("datetime(6)", "'2026-03-01 10:00:00.25'", {}),
    ("varchar(26)", "'2026-03-01 10:00:00.25'", {}),
    ("varchar(32)", "'2026-03-01 10:00:00.25'", {"time_format": "iso"}),
    ("char(32)", "'2026-03-01T10:00:00.250000'", {}),
    ("varchar(32)", "'01/03/2026 10:00:00.25'", {"time_format": "%d/%m/%Y %H:%M:%S.%f"}),
    ("decimal(16,2)", "1772359200.25", {}),
    ("double", "1772359200.25", {"time_format": "epoch"}),
    ("bigint", "1772359200250", {}),
    ("bigint", "1772359200250", {"time_format": "epoch_ms"}),
    ("varchar(26)", "'1772359200.250000'", {}),
    ("char(13)", "'1772359200250'", {}),
    ("varchar(26)", "'1772359200.25'", {"time_format": "epoch"}),
]


@pytest.mark.parametrize(("kind", "time", "settings"), TIMES)
async def test_queue_events_are_found_by_a_time_of_any_form(
    empty_pbx: Pbx, synced: Sync, database: str, kind: str, time: str, settings: dict[str, Any]
) -> None:
    empty_pbx.execute(
        f"CREATE TABLE queue_log (id bigint PRIMARY KEY AUTO_INCREMENT, time {kind},"
        " callid varchar(40), queuename varchar(40), agent varchar(40), event varchar(40))"
    )
    empty_pbx.execute(
        f"INSERT INTO queue_log (time, callid, event) SELECT {time}, seq, 'ENTERQUEUE'"
        " FROM seq_1_to_40"
    )
    empty_pbx.execute("INSERT INTO queue_log (time, callid, event) VALUES (NULL, '0', 'DID')")
    tables = {"queue_log": {"kind": "queue_log", **settings}}

    first = await synced(empty_pbx, sync_of("queue_log"), tables=tables, batch_size=10)

    assert (first["inserted"], first["rejected"]) == (41, 0)
    rows = await fetch(
        database, "SELECT DISTINCT happened_at::text FROM ivr.queue_events WHERE callid <> '0'"
    )
    assert [row[0] for row in rows] == ["2026-03-01 10:00:00.25+00"]
    empty_pbx.execute("DELETE FROM queue_log WHERE id = 7")
    empty_pbx.execute("UPDATE queue_log SET agent = 'Ana' WHERE id = 8")
    params = {"since": "2026-02-01", "table": "queue_log"}
    repaired = await synced(empty_pbx, reconcile, params=params, tables=tables)
    assert (repaired["deleted"], repaired["updated"]) == (1, 1)
    again = await synced(empty_pbx, sync_of("queue_log"), tables=tables, overlap="P9000D")
    assert again["processed"] == 0


async def test_a_text_that_is_no_time_is_kept_without_one(
    empty_pbx: Pbx, synced: Sync, database: str
) -> None:
    empty_pbx.execute(
        "CREATE TABLE queue_log (time varchar(32), callid varchar(40), event varchar(40))"
    )
    empty_pbx.execute(
        "INSERT INTO queue_log VALUES ('2026-03-01 10:00:00', '1', 'a'), ('yesterday', '2', 'b'),"
        " ('', '3', 'c'), ('9', '4', 'd'), ('2026-13-45 10:00:00', '5', 'e')"
    )
    tables = {"queue_log": {"kind": "queue_log"}}

    assert (await synced(empty_pbx, sync_of("queue_log"), tables=tables))["inserted"] == 5

    rows = await fetch(
        database, "SELECT callid FROM ivr.queue_events WHERE happened_at IS NOT NULL"
    )
    assert [row[0] for row in rows] == ["1"]


@pytest.mark.parametrize(
    ("kind", "settings"), [("varchar(32)", {}), ("bigint", {"time_format": "epoch"})]
)
async def test_rows_of_which_none_has_a_time_fail_the_run_and_are_not_loaded(
    empty_pbx: Pbx, synced: Sync, database: str, kind: str, settings: dict[str, Any]
) -> None:
    time = "'01/03/2026 10:00'" if kind != "bigint" else "1772359200250"
    empty_pbx.execute(f"CREATE TABLE queue_log (time {kind}, callid varchar(40), event text)")
    empty_pbx.execute(f"INSERT INTO queue_log VALUES ({time}, '1', 'a'), (NULL, '2', 'b')")
    tables = {"queue_log": {"kind": "queue_log", **settings}}

    with pytest.raises(RunError, match=r"'time' holds is in no row a time.*time_format"):
        await synced(empty_pbx, sync_of("queue_log"), tables=tables)


@pytest.mark.parametrize(
    ("kind", "time", "settings"),
    [
        ("text", "'2026-03-01 10:00:00.25'", {}),
        ("text", "'01.03.26 10:00:00'", {"time_format": "%d.%m.%y %H:%M:%S"}),
        ("numeric", "1772359200.25", {}),
        ("bigint", "1772359200", {"time_format": "epoch"}),
        ("bigint", "1772359200250", {}),
        ("text", "'1772359200'", {}),
        ("text", "'1772359200250'", {"time_format": "epoch_ms"}),
    ],
)
async def test_queue_events_of_postgres_are_found_so_too(
    synced: Sync, database: str, kind: str, time: str, settings: dict[str, Any]
) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute(
        f"CREATE TABLE queue_log (time {kind}, callid text, event text);"
        f"INSERT INTO queue_log VALUES ({time}, '1', 'a'), (NULL, '2', 'b')"
    )
    if kind == "text":
        await connection.execute("INSERT INTO queue_log VALUES ('yesterday', '3', 'c')")
    await connection.close()
    tables = {"queue_log": {"kind": "queue_log", **settings}}

    result = await synced(database, sync_of("queue_log"), tables=tables)

    assert (result["rejected"], result["inserted"]) == (0, 3 if kind == "text" else 2)
    (row,) = await fetch(
        database, "SELECT happened_at::text FROM ivr.queue_events WHERE happened_at IS NOT NULL"
    )
    assert row[0].startswith("2026-03-01 10:00:00")


@pytest.mark.parametrize("time_format", ["%d/%m", "dd/mm/yyyy", "%d/%m/%Y %q", "%Y%m%d'", "", "%"])
def test_a_format_that_is_not_understood_is_refused(time_format: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="time_format is"):
        msgspec.convert({"tables": {"q": {"kind": "cel", "time_format": time_format}}}, Settings)


BLANK = "DATE_FORMAT(at, '%Y-%m-%d %H:%i:%s')"
JOINED = "DATE_FORMAT(at, '%Y-%m-%dT%H:%i:%s.%f')"
EPOCH = "UNIX_TIMESTAMP(at)"
MILLIS = "1000 * UNIX_TIMESTAMP(at)"
INDEXED = [
    *(("varchar(26)", BLANK), ("varchar(32)", JOINED)),
    *(("bigint", EPOCH), ("double", EPOCH), ("bigint", MILLIS)),
]


def fill_mysql(pbx: Pbx, kind: str, time: str) -> None:
    pbx.execute("SET time_zone = '+00:00'")
    pbx.execute(
        f"CREATE TABLE queue_log (time {kind}, callid varchar(40), event varchar(40), KEY (time))"
    )
    pbx.execute(
        f"INSERT INTO queue_log SELECT {time.replace('%', '%%')}, seq, 'a' FROM (SELECT seq,"
        " '2026-03-01' + INTERVAL 20 * seq SECOND AS at FROM seq_1_to_20000) AS made WHERE %s",
        1,
    )
    pbx.execute("INSERT INTO queue_log VALUES (NULL, '0', 'a')")
    pbx.execute("ANALYZE TABLE queue_log")


def listening(source: Any) -> list[str]:
    """Return a list to which each statement that a source asks is added."""
    asked: list[str] = []
    true = source._all

    async def heard(statement: str, *arguments: Any) -> Any:
        if not arguments:
            asked.append(statement)
        return await true(statement, *arguments)

    source._all = heard
    return asked


async def asked_of(source: Any, time: str) -> list[str]:
    """Ask a page, and what belongs to it, of some hours; return the statements."""
    table = await source.describe()
    form = "epoch_ms" if time.startswith("1000 *") else FOUND_OUT
    moved = msgspec.structs.replace(QUEUE_LOG, time_format=form)
    layout = match(moved, table, "queue_log", source.as_time)
    assert layout.indexed
    asked = listening(source)
    extent = await source.extent(layout)
    assert (extent.first, extent.nulls) == (20260301_000000, True) or extent.first > 20260301_000000
    within = Range(20260302_100000, 20260302_140000)
    assert await source.bound(layout, within, 100) == 20260302_103320
    assert await source.count(layout, within, 10_000) == 720
    assert sum(d.rows for d in (await source.digests(layout, within)).values()) == 720
    assert (await source.page(layout, within)).rows == 720
    if isinstance(source, PostgresSource):
        asked.append(source._reading(layout, within))
    return asked


@pytest.mark.parametrize(("kind", "time"), INDEXED)
async def test_a_text_or_a_number_is_found_by_its_index(
    empty_pbx: Pbx, kind: str, time: str
) -> None:
    fill_mysql(empty_pbx, kind, time)
    settings = Settings(source_url=empty_pbx.url)
    async with open_source(settings, "queue_log") as source:
        for statement in await asked_of(source, time):
            with empty_pbx.connection.cursor() as cursor:
                cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'")
                cursor.execute(f"EXPLAIN {statement}")
                plan = [row for row in cursor.fetchall() if "derived" not in str(row[2])]
            assert {row[5] for row in plan if row[2]} == {"time"}, (statement, plan)
            if "GROUP BY" not in statement:
                assert "Using filesort" not in str(plan), (statement, plan)
            rows = [int(row[8]) for row in plan if row[3] == "range" and "LIMIT 1" not in statement]
            assert max(rows, default=0) < 2000, (statement, plan)


@pytest.mark.parametrize(
    ("kind", "time"),
    [
        ("text", "to_char(at, 'YYYY-MM-DD HH24:MI:SS')"),
        ("text", "to_char(at, 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"),
        ("bigint", "extract(epoch FROM at)"),
        ("double precision", "extract(epoch FROM at)"),
        ("bigint", "1000 * extract(epoch FROM at)"),
    ],
)
async def test_a_text_or_a_number_of_postgres_is_found_by_its_index(
    database: str, kind: str, time: str
) -> None:
    await queried(
        database,
        f"CREATE TABLE queue_log (time {kind}, callid text, event text);"
        f"INSERT INTO queue_log SELECT {time}, n, 'a' FROM (SELECT n,"
        " timestamp '2026-03-01' + n * interval '20 s' AS at FROM generate_series(1, 20000) AS n)"
        " AS made; INSERT INTO queue_log VALUES (NULL, '0', 'a');"
        "CREATE INDEX ON queue_log (time); ANALYZE queue_log",
    )
    async with open_source(Settings(source_url=database), "queue_log") as source:
        for statement in await asked_of(source, time):
            if "AS nulls" in statement and kind == "text":
                continue  # which texts are no time, no index tells
            plan = "\n".join(row[0] for row in await fetch(database, f"EXPLAIN {statement}"))
            assert "Seq Scan" not in plan, (statement, plan)


async def queried(database: str, statements: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        await connection.execute(statements)
    finally:
        await connection.close()


@pytest.mark.parametrize("index", ["", ", KEY (time)"])
async def test_texts_with_a_blank_and_with_a_t_beside_each_other_are_all_found(
    empty_pbx: Pbx, synced: Sync, database: str, index: str
) -> None:
    empty_pbx.execute(
        "CREATE TABLE queue_log (id bigint PRIMARY KEY AUTO_INCREMENT, time varchar(40),"
        f" callid varchar(40), event varchar(40){index})"
    )
    for between in (" ", "T"):
        empty_pbx.execute(
            "INSERT INTO queue_log (time, callid, event) SELECT REPLACE("
            "'2026-03-01' + INTERVAL 977 * seq SECOND, ' ', %s), seq, 'a' FROM seq_1_to_700",
            between,
        )
    for odd in ("", "0", "soon", "2026-03-01", "2026-02-31 10:00:00", "2026-03-02 09:00:00+05:00"):
        empty_pbx.execute("INSERT INTO queue_log (time, callid) VALUES (%s, 'odd')", odd)
    tables = {"queue_log": {"kind": "queue_log"}}

    first = await synced(empty_pbx, sync_of("queue_log"), tables=tables, batch_size=10)

    assert (first["inserted"], first["rejected"]) == (1406, 0)
    (row,) = await fetch(
        database,
        "SELECT count(*), min(time), max(time) FROM ivr.queue_events WHERE callid <> 'odd'"
        " AND happened_at IS NOT NULL",
    )
    assert [str(cell) for cell in row] == ["1400", "2026-03-01 00:16:17", "2026-03-08 21:58:20"]
    (row,) = await fetch(
        database,
        "SELECT happened_at::text FROM ivr.queue_events WHERE time::date = '2026-03-02'"
        " AND callid = 'odd'",
    )
    assert row[0] == "2026-03-02 09:00:00+00"  # local to the source, as all are
    empty_pbx.execute("DELETE FROM queue_log WHERE id %% 97 = %s", 0)
    params = {"since": "2026-02-01", "table": "queue_log"}
    assert (await synced(empty_pbx, reconcile, params=params, tables=tables))["deleted"] == 14


async def test_texts_of_postgres_that_are_no_real_time_stop_no_other(
    synced: Sync, database: str
) -> None:
    odd = ("2026-02-31 10:00:00", "0000-01-01 10:00:00", "2026-03-01 10:00:00 and so on", "T", "")
    values = ", ".join(f"('{text}', 'odd', 'a')" for text in odd)
    await queried(
        database,
        "CREATE TABLE queue_log (time varchar, callid text, event text);"
        "CREATE INDEX ON queue_log (time);"
        f"INSERT INTO queue_log VALUES ('2024-02-29T10:00:00.5', '1', 'a'), {values}",
    )
    tables = {"queue_log": {"kind": "queue_log"}}

    result = await synced(database, sync_of("queue_log"), tables=tables)

    assert (result["inserted"], result["rejected"]) == (6, 0)
    rows = await fetch(
        database,
        "SELECT happened_at::text FROM ivr.queue_events WHERE happened_at IS NOT NULL ORDER BY 1",
    )
    assert [row[0] for row in rows] == ["2024-02-29 10:00:00.5+00", "2026-03-01 10:00:00+00"]
