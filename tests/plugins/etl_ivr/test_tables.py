"""Tables beside the calls: cel, queue_log, and any other that the settings describe."""

from typing import Any

import msgspec
import pytest

from sereno import ConfigurationError, RunError
from sereno_etl_ivr import plugin
from sereno_etl_ivr.errors import TargetError
from sereno_etl_ivr.feed import chosen_feed, feeds
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.sync import sync_of

from .conftest import Sync
from .pbx import Pbx, fetch

CEL = """
CREATE TABLE cel (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY, eventtype varchar(30) NOT NULL,
  eventtime datetime NOT NULL, cid_name varchar(80) NOT NULL, exten varchar(80) NOT NULL DEFAULT '',
  uniqueid varchar(32) NOT NULL, linkedid varchar(32) NOT NULL, extra varchar(255) NOT NULL,
  KEY uniqueid (uniqueid)
) DEFAULT CHARSET = utf8mb4
"""
QUEUE_LOG = """
CREATE TABLE queue_log (
  id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, time datetime(6), callid varchar(80),
  queuename varchar(256), agent varchar(80), event varchar(32), data1 varchar(100), KEY time (time)
) DEFAULT CHARSET = utf8mb4
"""
SURVEY = """
CREATE TABLE survey (
  n int NOT NULL PRIMARY KEY, answered_on datetime NOT NULL, score int, words text,
  KEY answered_on (answered_on)
) DEFAULT CHARSET = utf8mb4
"""
MAPPED = {
    "columns": {"number": "n bigint", "at": "answered_on timestamp", "score": "score integer"},
    "cursor": "at",
    "key": ["number"],
}


async def test_channel_events_move_though_no_index_leads_to_their_time(
    empty_pbx: Pbx, synced: Sync, database: str
) -> None:
    empty_pbx.execute(CEL)
    empty_pbx.execute(
        "INSERT INTO cel (eventtype, eventtime, cid_name, uniqueid, linkedid, extra)"
        " SELECT 'CHAN_START', '2026-03-01' + INTERVAL seq MINUTE, 'é', seq, seq, '{}'"
        " FROM seq_1_to_30000"
    )
    tables = {"cel": {"kind": "cel"}}

    first = await synced(empty_pbx, sync_of("cel"), tables=tables, overlap="P9000D")

    assert (first["inserted"], first["batches"]) == (30_000, 2)
    empty_pbx.execute("UPDATE cel SET cid_name = 'x' WHERE id = 7")
    empty_pbx.execute("UPDATE cel SET eventtime = '2026-03-01 00:07:00' WHERE id = 8")
    empty_pbx.execute(
        "INSERT INTO cel SELECT 0, 'X', eventtime, '', '', '', '', '' FROM cel LIMIT 1"
    )
    again = await synced(empty_pbx, sync_of("cel"), tables=tables, overlap="P9000D")
    assert (again["inserted"], again["updated"], again["vanished"]) == (2, 1, 1)
    (row,) = await fetch(
        database,
        "SELECT cid_name, extra_text, happened_at::text FROM ivr.channel_events WHERE id = 7",
    )
    assert tuple(row) == ("x", "{}", "2026-03-01 00:07:00+00")


async def test_queue_events_move_with_their_fractions_of_a_second(
    empty_pbx: Pbx, synced: Sync, database: str
) -> None:
    empty_pbx.execute(QUEUE_LOG)
    empty_pbx.execute(
        "INSERT INTO queue_log (time, callid, queuename, agent, event, data1) VALUES"
        " ('2026-03-01 10:00:00.25', '1.1', '400', 'NONE', 'ENTERQUEUE', ''),"
        " ('2026-03-01 10:00:00.75', '1.1', '400', 'Ana', 'CONNECT', '20'),"
        " (NULL, 'NONE', NULL, NULL, 'QUEUESTART', NULL)"
    )
    tables = {"queues": {"kind": "queue_log", "source_table": "queue_log"}}

    assert (await synced(empty_pbx, sync_of("queues"), tables=tables))["inserted"] == 3
    assert (await synced(empty_pbx, sync_of("queues"), tables=tables))["processed"] == 0

    rows = await fetch(
        database, "SELECT event, time::text FROM ivr.queue_events ORDER BY time NULLS LAST"
    )
    assert [tuple(row) for row in rows] == [
        ("ENTERQUEUE", "2026-03-01 10:00:00.25"),
        ("CONNECT", "2026-03-01 10:00:00.75"),
        ("QUEUESTART", None),
    ]


async def test_any_table_moves_by_a_mapping(empty_pbx: Pbx, synced: Sync, database: str) -> None:
    empty_pbx.execute(SURVEY)
    empty_pbx.execute("INSERT INTO survey VALUES (1, '2026-07-01 10:00:00', 5, 'fine')")
    tables = {"survey": {**MAPPED, "timezone": "Europe/Madrid"}}

    await synced(empty_pbx, sync_of("survey"), tables=tables)

    (row,) = await fetch(
        database,
        "SELECT number, at::text, at_at::text, score, extra ->> 'words' AS w FROM ivr.survey",
    )
    assert tuple(row) == (1, "2026-07-01 10:00:00", "2026-07-01 08:00:00+00", 5, "fine")


async def test_a_table_may_go_into_one_that_is_there(
    empty_pbx: Pbx, synced: Sync, database: str
) -> None:
    empty_pbx.execute(SURVEY)
    empty_pbx.execute("INSERT INTO survey VALUES (1, '2026-07-01 10:00:00', 5, 'fine')")
    tables = {"survey": {**MAPPED, "target": "public.answers"}}
    await fetch(database, "CREATE TABLE public.answers (number bigint, at timestamp, mine text)")

    with pytest.raises(TargetError, match=r"public.answers: column 'at_at' is missing; add what"):
        await synced(empty_pbx, sync_of("survey"), tables=tables)

    await fetch(
        database,
        "ALTER TABLE public.answers ADD at_at timestamptz, ADD score int, ADD source text,"
        " ADD position bigint, ADD content uuid, ADD ordinal int, ADD extra jsonb,"
        " ADD time_note text, ADD loaded_at timestamptz DEFAULT now()",
    )
    assert (await synced(empty_pbx, sync_of("survey"), tables=tables))["inserted"] == 1
    assert (await synced(empty_pbx, sync_of("survey"), tables=tables))["processed"] == 0


async def test_a_cursor_that_is_no_time_is_refused(empty_pbx: Pbx, synced: Sync) -> None:
    empty_pbx.execute(SURVEY)
    tables = {"survey": {**MAPPED, "columns": {**MAPPED["columns"], "at": "words timestamp"}}}
    with pytest.raises(RunError, match="column 'words' is text, and rows are found by it"):
        await synced(empty_pbx, sync_of("survey"), tables=tables)


def test_each_table_has_a_job_and_its_schedule() -> None:
    settings = msgspec.convert(
        {
            "source_url": "mysql://h/d",
            "tables": {"cel": {"kind": "cel", "schedule": "every 1h"}, "survey": MAPPED},
        },
        Settings,
    )
    jobs = {job.name: job for job in plugin.sereno_register_jobs(settings)}
    assert jobs["etl_ivr.sync.cel"].schedules[0].trigger.text == "every 1h"
    assert jobs["etl_ivr.sync.survey"].schedules[0].trigger.text == "every 6h"
    assert [job.name for job in jobs.values() if not job.schedules] == [
        "etl_ivr.backfill",
        "etl_ivr.retry_rejects",
    ]


def test_a_table_of_asterisks_is_read_by_its_own_name_whatever_the_settings_call_it() -> None:
    chosen: dict[str, Any] = {
        "waits": {"kind": "queue_log", "source": "a"},
        "log": {"kind": "queue_log", "source_table": "log_2024", "source": "b"},
        "survey": MAPPED,
    }
    settings = msgspec.convert({"source_url": "mysql://h/d", "tables": chosen}, Settings)
    found = {name: feed.source_table for name, feed in feeds(settings).items()}
    assert found == {
        "calls": "cdr",
        "waits": "queue_log",
        "log": "log_2024",
        "survey": "survey",
    }


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({**MAPPED, "cursor": "when"}, "cursor is 'when', it must be one of columns"),
        ({**MAPPED, "key": ["id"]}, "key names 'id', it must be one of columns"),
        ({**MAPPED, "columns": {**MAPPED["columns"], "content": "n"}}, "names 'content', which"),
        ({**MAPPED, "columns": {**MAPPED["columns"], "at_at": "n"}}, "names 'at_at', which every"),
        ({"kind": "cel", "timezone": "Mars"}, "timezone: time zone 'Mars': there is"),
        ({"kind": "cel", "target": "calls; DROP"}, "target"),
    ],
)
def test_a_bad_mapping_is_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert({"tables": {"it": table}}, Settings)


def test_two_tables_that_would_mix_their_rows_are_refused() -> None:
    chosen = msgspec.convert({"tables": {"old": {"kind": "cdr"}}}, Settings)
    with pytest.raises(
        ConfigurationError, match="'calls' and 'old' both move rows of source 'pbx'"
    ):
        feeds(chosen)


def test_an_unknown_table_or_type_is_named() -> None:
    chosen = msgspec.convert({"tables": {"cel": {"kind": "cel"}}}, Settings)
    with pytest.raises(ConfigurationError, match="unknown table 'cell', did you mean 'cel'"):
        chosen_feed(chosen, "cell")
    odd = {**MAPPED, "columns": {**MAPPED["columns"], "score": "score money"}}
    with pytest.raises(ConfigurationError, match="type must be one of text, integer, bigint"):
        feeds(msgspec.convert({"tables": {"it": odd}}, Settings))
