# ruff: noqa: DTZ001 - local times have no zone
"""Agents and queues are called as people do: by settings, a table of the source, the calls."""

import logging
import secrets
from datetime import datetime
from typing import Any

import pytest

from sereno_etl_ivr.aggregate import aggregate

from .conftest import Sync
from .exchange import Exchange
from .pbx import Pbx, fetch

AT = datetime(2026, 3, 2, 9, 5)
USERS = {"table": "users", "id": "extension", "name": "name"}


async def names(database: str) -> set[tuple[str, ...]]:
    rows = await fetch(database, "SELECT kind, id, name, origin FROM ivr.names")
    return {tuple(row) for row in rows}


@pytest.fixture
def exchange(empty_pbx: Pbx) -> Exchange:
    """Give an exchange whose calls name agent 201, and a table that names 202."""
    found = Exchange(empty_pbx, events=False)
    found.create()
    empty_pbx.execute("ALTER TABLE cdr ADD cnam varchar(40), ADD dst_cnam varchar(40)")
    found.queued(AT, talk=20, agent="201")
    found.queued(AT, talk=20, agent="202")
    empty_pbx.execute("UPDATE cdr SET dst_cnam = CONCAT('Agente ', dst) WHERE dst LIKE '20%'")
    empty_pbx.execute("UPDATE cdr SET cnam = 'Caller' WHERE lastapp = 'Queue'")
    empty_pbx.execute("CREATE TABLE users (extension int, name varchar(40) CHARACTER SET latin1)")
    empty_pbx.execute(
        "INSERT INTO users VALUES (202, 'Núria'), (NULL, 'x'), (203, NULL), (204, '')"
    )
    return found


async def test_a_table_of_the_source_names_agents_and_calls_the_others(
    exchange: Exchange, synced: Sync, database: str
) -> None:
    chosen: dict[str, Any] = {"names": {"agents_table": USERS, "queues": {"400": "Ventas"}}}
    await synced(exchange.pbx, **chosen)
    await synced(exchange.pbx, aggregate, **chosen)

    assert await names(database) == {
        ("agent", "201", "Agente 201", "calls"),
        ("agent", "202", "Núria", "table"),
        ("queue", "400", "Ventas", "settings"),
    }
    (row,) = await fetch(database, "SELECT DISTINCT caller_name FROM ivr.call_facts")
    assert row["caller_name"] == "Caller"

    exchange.pbx.execute("UPDATE users SET extension = 205 WHERE extension = 202")
    await synced(exchange.pbx, names={"agents_table": USERS, "queues": {"400": "Sales"}})

    assert await names(database) == {
        ("agent", "201", "Agente 201", "calls"),
        ("agent", "205", "Núria", "table"),
        ("queue", "400", "Sales", "settings"),
    }


async def test_a_table_of_names_that_cannot_be_read_costs_no_call(
    exchange: Exchange, synced: Sync, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        result = await synced(exchange.pbx, names={"agents_table": {**USERS, "table": "nobody"}})

    assert result["inserted"] == 4
    assert [r.message for r in caplog.records] == ["names cannot be read"]
    assert await names(database) == set()


async def test_a_name_is_cut_and_an_id_that_no_index_can_hold_has_none(
    exchange: Exchange, synced: Sync, database: str
) -> None:
    exchange.pbx.execute("ALTER TABLE users MODIFY extension longtext, MODIFY name longtext")
    exchange.pbx.execute(
        "INSERT INTO users VALUES ('206', %s), (%s, 'x')", "é" * 9000, secrets.token_hex(6000)
    )
    await synced(exchange.pbx, names={"agents_table": USERS})
    assert {name for _, _, name, _ in await names(database)} == {"Núria", "é" * 200}
