"""A target whose encoding has not every letter: a row that it cannot hold costs that row alone."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import pytest
from tests.servers.postgres import PostgresServer

from sereno_etl_ivr.aggregate import aggregate
from sereno_etl_ivr.sync import sync, sync_of

from .conftest import Sync
from .exchange import QUEUES, Exchange
from .pbx import Pbx, call, fetch

TEXTS = ["Ñandú", "emoji 😀", "€", "plain"]


@contextmanager
def encoded(server: PostgresServer, name: str, encoding: str) -> Iterator[str]:
    """Give the DSN of a database in `encoding`."""
    provider = "LOCALE_PROVIDER libc" if server.version >= 15 else ""
    server.execute(
        f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0"
        f" LC_COLLATE 'C' LC_CTYPE 'C' {provider}"
    )
    try:
        yield server.dsn(name)
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def narrow(postgres_server: PostgresServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the DSN of a database in another encoding than UTF8."""
    with encoded(postgres_server, "narrow_target", request.param) as dsn:
        yield dsn


async def test_a_letter_that_the_target_lacks_costs_its_row_alone(
    pbx: Pbx, synced: Sync, narrow: str, request: pytest.FixtureRequest
) -> None:
    lacks = "LATIN1" in request.node.name
    pbx.execute("ALTER TABLE cdr ADD mood varchar(20)")
    pbx.insert(
        *(
            call(f"2026-03-0{day} 10:00:00", f"1.{day}{n}", userfield=text, mood="fine")
            for day in (1, 2)
            for n, text in enumerate(TEXTS)
        ),
        call("2026-03-03 10:00:00", "1.31", userfield="plain", mood="😀 of no column"),
        call("0000-00-00 00:00:00", "1.32", userfield="no day of Ñ"),
    )
    chosen = {"target_url": narrow, "reject_limit": 10}

    result = await synced(pbx, **chosen)
    again = await synced(pbx, **chosen)

    kept = await fetch(narrow, "SELECT userfield FROM ivr.calls ORDER BY uniqueid")
    held = TEXTS if not lacks else ["Ñandú", "plain"]
    assert [row[0] for row in kept] == [*held, *held, "plain", "no day of Ñ"]
    assert (result["rejected"], again["processed"]) == (4 if lacks else 0, 0)
    (mood,) = await fetch(narrow, "SELECT extra ->> 'mood' FROM ivr.calls WHERE uniqueid = '1.31'")
    assert mood[0] == ("\\x" + "😀 of no column".encode().hex() if lacks else "😀 of no column")
    for reason, raw in await fetch(narrow, "SELECT reason, raw::text FROM ivr.rejects"):
        assert "has no equivalent in encoding" in reason
        cell = json.loads(raw)["userfield"]
        assert bytes.fromhex(cell["hex"]).decode() in TEXTS


async def test_a_name_is_written_out_and_a_queue_of_no_letters_costs_its_own_event(
    empty_pbx: Pbx, synced: Sync, narrow: str
) -> None:
    exchange = Exchange(empty_pbx)
    exchange.create()
    with empty_pbx.connection.cursor() as cursor:
        cursor.execute("SELECT UTC_TIMESTAMP() - INTERVAL 1 HOUR")
        (at,) = cursor.fetchone()
    exchange.queued(at, wait=3, talk=20, agent="201")
    exchange.queued(at, wait=3, talk=20, agent="202", queue="ventas😀")
    chosen = {
        "tables": QUEUES,
        "target_url": narrow,
        "reject_limit": 10,
        "names": {"agents": {"201": "Peña", "202": "Marta 😀"}, "queues": {"😀": "?"}},
    }
    for job in (sync_of("queues"), sync, aggregate):
        await synced(empty_pbx, job, **chosen)

    names = dict(await fetch(narrow, "SELECT id, name FROM ivr.names WHERE kind = 'agent'"))
    assert names["201"] == "Peña"
    (row,) = await fetch(narrow, "SELECT sum(answered) FROM ivr.quarter_hours WHERE queue = '400'")
    assert row[0] == 1


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP"])
async def test_a_source_of_postgres_may_have_any_encoding_or_none(
    postgres_server: PostgresServer, database: str, synced: Sync, encoding: str
) -> None:
    clid = "日本" if encoding == "EUC_JP" else "café"
    with encoded(postgres_server, "odd_source", encoding) as url:
        source = await asyncpg.connect(url)
        await source.execute(
            "CREATE TABLE cdr (calldate timestamp, uniqueid text, clid text, duration int,"
            f" billsec int); INSERT INTO cdr VALUES ('2026-03-01', '1.1', '{clid}', 5, 5)"
        )
        if encoding == "SQL_ASCII":  # whoever wrote there has said nothing of letters
            await source.execute(r"INSERT INTO cdr VALUES ('2026-03-01', '1.2', E'caf\351', 5, 5)")
        await source.close()

        result = await synced(url)

    assert (result["inserted"], result["rejected"]) == (1, int(encoding == "SQL_ASCII"))
    (row,) = await fetch(database, "SELECT clid FROM ivr.calls")
    assert row["clid"] == clid
