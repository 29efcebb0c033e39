"""Rows are found by a time of any form: a datetime, a text in a stated format, an epoch."""

from typing import Any

import asyncpg
import msgspec
import pytest

from sereno_etl_ivr.reconcile import reconcile
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.sync import sync_of

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
    again = await synced(empty_pbx, sync_of("queue_log"), tables=tables, overlap="P900D")
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
    ("kind", "time", "settings"),
    [
        ("text", "'2026-03-01 10:00:00.25'", {}),
        ("text", "'01.03.26 10:00:00'", {"time_format": "%d.%m.%y %H:%M:%S"}),
        ("numeric", "1772359200.25", {}),
        ("bigint", "1772359200", {"time_format": "epoch"}),
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
