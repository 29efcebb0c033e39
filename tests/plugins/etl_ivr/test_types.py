"""Types are the source's: what it holds is loaded, and what nobody needs costs no call."""

from decimal import Decimal
from typing import Any

import asyncpg
import msgspec
import pytest

from sereno import ConfigurationError
from sereno_etl_ivr.errors import TargetError
from sereno_etl_ivr.feed import feeds
from sereno_etl_ivr.reconcile import reconcile
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.sync import sync_of
from sereno_etl_ivr.target import widening

from .conftest import Sync
from .pbx import Pbx, call, fetch, loaded
from .test_postgres import TABLE, source_rows

AT = "2026-03-01 10:00:00"
NARROW = """
DROP VIEW ivr.whole_calls;
ALTER TABLE ivr.calls ALTER duration TYPE integer, ALTER billsec TYPE integer;
CREATE VIEW ivr.whole_calls AS SELECT max(billsec) AS talk_seconds FROM ivr.calls;
"""


def _shown(text: str | None) -> str | None:
    """The digits of bytes may be of either case."""
    return text.lower() if text is not None and text.startswith("\\") else text


async def narrow(database: str) -> None:
    """Make `ivr.calls` what an earlier version made it."""
    connection = await asyncpg.connect(database)
    await connection.execute(NARROW)
    await connection.close()


@pytest.mark.parametrize(
    "kind", ["decimal(10,3)", "float", "double", "varchar(20)", "int unsigned"]
)
async def test_seconds_are_loaded_as_the_source_has_them(
    pbx: Pbx, synced: Sync, database: str, kind: str
) -> None:
    pbx.execute(f"ALTER TABLE cdr MODIFY duration {kind} NOT NULL, MODIFY billsec {kind} NOT NULL")
    pbx.insert(call(AT, "1.1", duration="12.000", billsec=0))
    pbx.insert(call(AT, "1.2", duration="12.345", billsec="4294967295"))

    result = await synced(pbx)

    assert (result["inserted"], result["rejected"]) == (2, 0)
    assert await loaded(database, "duration", "billsec") == pbx.rows("duration", "billsec")


async def test_a_table_of_an_earlier_version_gets_room_for_fractions_when_they_come(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.fill(50)
    await synced(pbx, overlap="P9000D")
    await narrow(database)
    pbx.insert(call(AT, "9.1", duration=7, sequence=999))
    assert (await synced(pbx, overlap="P9000D"))["inserted"] == 1  # whole seconds need no room
    pbx.execute("ALTER TABLE cdr MODIFY duration decimal(10,3) NOT NULL")
    pbx.insert(call(AT, "9.2", duration="12.345", sequence=1000))

    result = await synced(pbx, overlap="P9000D")

    assert (result["inserted"], result["updated"], result["rejected"]) == (1, 51, 0)
    names = ("sequence", "duration", "billsec")
    assert await loaded(database, *names) == pbx.rows(*names)
    assert await fetch(database, "SELECT max(talk_seconds) FROM ivr.whole_calls")
    assert await fetch(database, "SELECT to_regclass('ivr.widening') AS it") == [(None,)]


async def test_making_room_goes_on_where_it_was_cut_off(
    pbx: Pbx, synced: Sync, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pbx.fill(50)
    await synced(pbx)
    await narrow(database)
    connection = await asyncpg.connect(database)
    monkeypatch.setattr(widening, "_ROWS", 10)
    late = [False, False, True]
    assert not await widening.widen(connection, lambda: late.pop(0))
    (done,) = await fetch(
        database, "SELECT count(*) FROM ivr.calls WHERE duration_wide IS NOT NULL"
    )
    assert done["count"] == 20
    # What is written meanwhile, by whichever version, has both.
    await connection.execute(
        "INSERT INTO ivr.calls (source, position, content, ordinal, duration)"
        " VALUES ('a', 1, gen_random_uuid(), 1, 77)"
    )
    await connection.execute("UPDATE ivr.calls SET billsec = 88 WHERE sequence = 1")

    assert await widening.widen(connection, lambda: False)

    rows = await fetch(
        database, "SELECT duration, billsec FROM ivr.calls ORDER BY sequence NULLS FIRST LIMIT 2"
    )
    assert [tuple(row) for row in rows] == [(Decimal(77), None), (Decimal(1), Decimal(88))]
    assert len(await fetch(database, "SELECT FROM ivr.calls WHERE duration IS NULL")) == 0
    await connection.close()


async def test_a_view_of_ones_own_on_the_narrow_columns_is_named(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.fill(5)
    await synced(pbx, overlap="P9000D")
    await narrow(database)
    await fetch(database, "CREATE VIEW public.mine AS SELECT duration FROM ivr.calls")
    pbx.execute("ALTER TABLE cdr MODIFY duration decimal(10,3) NOT NULL")

    with pytest.raises(TargetError, match=r"view mine depends on column duration.*make it again"):
        await synced(pbx)

    await fetch(database, "DROP VIEW public.mine")
    assert (await synced(pbx, overlap="P9000D"))["updated"] == 5


async def test_fractions_that_a_target_of_ones_own_cannot_hold_are_rejected_and_whole_ones_are_not(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.execute("CREATE TABLE notes (at datetime NOT NULL, score decimal(8,2), KEY at (at))")
    pbx.execute("INSERT INTO notes VALUES ('2026-03-01', 12.00), ('2026-03-01', 12.50)")
    columns = {"at": "at timestamp", "score": "score integer"}
    tables = {"notes": {"columns": columns, "cursor": "at"}}

    result = await synced(pbx, sync_of("notes"), tables=tables)

    assert (result["inserted"], result["rejected"]) == (1, 1)
    (row,) = await fetch(database, "SELECT score FROM ivr.notes")
    assert row["score"] == 12


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("uuid", "'123e4567-e89b-12d3-a456-426655440000'", "123e4567-e89b-12d3-a456-426655440000"),
        ("inet6", "'2001:db8::1'", "2001:db8::1"),
        ("point", "POINT(1, 2)", "POINT(1 2)"),
        ("geometry", "ST_GeomFromText('LINESTRING(0 0,1 1)')", "LINESTRING(0 0,1 1)"),
        ("time(2)", "'-10:11:12.5'", "-10:11:12.50"),
        ("year", "2026", "2026"),
        ("date", "'2026-03-01'", "2026-03-01"),
        ("json", "'{\"a\": 1}'", '{"a": 1}'),
        ("bit(5)", "b'101'", "5"),
        ("varbinary(40)", "'plain text'", "plain text"),
        ("varbinary(40)", "'Ñandú 😀'", "Ñandú 😀"),
        ("varbinary(40)", "''", ""),
        ("binary(3)", "'ab'", "\\x616200"),
        ("blob", "x'ff00'", "\\xFF00"),
        ("blob", "x'1f'", "\\x1F"),
        ("varchar(9)", "'a\\0b'", "\\x610062"),
        ("set('a','b')", "'a,b'", "a,b"),
    ],
)
async def test_a_column_that_nobody_asked_for_costs_no_call(
    pbx: Pbx, synced: Sync, database: str, kind: str, value: str, text: str
) -> None:
    pbx.execute(f"ALTER TABLE cdr ADD more {kind} NULL")
    pbx.insert(call(AT, "1.1"), call(AT, "1.2"))
    pbx.execute(f"UPDATE cdr SET more = {value} WHERE uniqueid = '1.1'")

    result = await synced(pbx)

    assert (result["inserted"], result["rejected"]) == (2, 0)
    shown = await loaded(database, "uniqueid", "extra ->> 'more'")
    assert {
        (row[0], row[1].lower() if row[1] and row[1][0] == "\\" else row[1]) for row in shown
    } == {
        ("1.1", text.lower() if text[:1] == "\\" else text),
        ("1.2", None),
    }
    assert (await synced(pbx, overlap="P9000D"))["processed"] == 0


async def test_a_number_that_is_none_by_its_type_stands_in_extra(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.execute("ALTER TABLE cdr DROP sequence, ADD sequence uuid NULL")
    pbx.insert(call(AT, "1.1", sequence="123e4567-e89b-12d3-a456-426655440000"))

    assert (await synced(pbx))["inserted"] == 1

    assert await loaded(database, "sequence", "extra ->> 'sequence'") == {
        (None, "123e4567-e89b-12d3-a456-426655440000"): 1
    }


@pytest.mark.parametrize(
    ("column", "kind", "value", "shown"),
    [
        ("sequence", "bigint unsigned", str(2**64 - 1), None),
        ("sequence", "bigint unsigned", str(2**63 - 1), 2**63 - 1),
        ("sequence", "decimal(65,0)", "1" + 60 * "0", None),
        ("sequence", "decimal(10,2)", "1.50", None),
        ("sequence", "decimal(10,2)", "7.00", 7),
        ("sequence", "double", "1e300", None),
        ("sequence", "varchar(20)", "", None),
        ("sequence", "varchar(20)", "abc", None),
        ("sequence", "varchar(20)", "Infinity", None),
        ("sequence", "varchar(20)", " 12 ", 12),
        ("duration", "varchar(20)", "", None),
        ("billsec", "varchar(20)", "  ", None),
    ],
)
async def test_a_number_of_which_no_figure_is_made_costs_no_call(
    pbx: Pbx, synced: Sync, database: str, column: str, kind: str, value: str, shown: int | None
) -> None:
    pbx.execute(f"ALTER TABLE cdr MODIFY {column} {kind} NOT NULL")
    pbx.insert(call(AT, "1.1", **{column: value}), call(AT, "1.2", **{column: "5"}))

    result = await synced(pbx)

    assert (result["inserted"], result["rejected"]) == (2, 0)
    rows = await fetch(
        database, f"SELECT uniqueid, {column}, extra ? '{column}' AS aside FROM ivr.calls"
    )
    assert {tuple(row) for row in rows} == {
        ("1.1", shown, True if shown is None else None),
        ("1.2", 5, None),
    }
    assert (await synced(pbx, reconcile))["differing"] == 0
    assert (await synced(pbx, overlap="P9000D"))["processed"] == 0


async def test_a_length_that_cannot_be_read_is_rejected_and_told(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.execute("ALTER TABLE cdr MODIFY duration varchar(20) NOT NULL")
    pbx.insert(call(AT, "1.1", duration="1 min"), call(AT, "1.2", duration="5"))
    assert (await synced(pbx))["rejected"] == 1
    (row,) = await fetch(database, "SELECT reason FROM ivr.rejects")
    assert '"1 min"' in row["reason"]


MAPPED = {
    "at": "at timestamp",
    "amount": "amount numeric",
    "done": "done boolean",
    "born": "born date",
    "words": "words json",
    "ident": "ident uuid",
    "bytes": "bytes uuid",
}


async def test_numbers_booleans_dates_json_and_uuids_are_mapped(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.execute(
        "CREATE TABLE survey (n int PRIMARY KEY, at datetime NOT NULL, amount decimal(20,4),"
        " done tinyint(1), born date, words longtext, ident char(36), bytes binary(16),"
        " KEY at (at))"
    )
    ident = "123e4567-e89b-12d3-a456-426655440000"
    pbx.execute(
        f"INSERT INTO survey VALUES (1, '{AT}', 1234567890123456.7891, 1, '1980-02-29',"
        f" '{{\"a\": [1, 2]}}', '{ident}', x'{ident.replace('-', '')}'),"
        f" (2, '{AT}', NULL, 0, '0000-00-00', NULL, NULL, NULL),"
        f" (3, '{AT}', 1, 7, '1980-02-29', '{{broken', NULL, NULL)"
    )
    tables = {"survey": {"columns": MAPPED, "cursor": "at"}}

    result = await synced(pbx, sync_of("survey"), tables=tables)

    assert (result["inserted"], result["rejected"]) == (2, 1)
    rows = await fetch(
        database,
        "SELECT amount, done, born::text, words ->> 'a' AS a, ident::text, bytes::text"
        " FROM ivr.survey ORDER BY amount",
    )
    assert [tuple(row) for row in rows] == [
        (Decimal("1234567890123456.7891"), True, "1980-02-29", "[1, 2]", ident, ident),
        (None, False, None, None, None, None),
    ]
    assert (await synced(pbx, sync_of("survey"), tables=tables, overlap="P9000D"))["processed"] == 0


async def test_types_of_postgres_are_read_as_it_shows_them(synced: Sync, database: str) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute(TABLE)
    await connection.execute(
        "ALTER TABLE pbx.cdr ALTER duration TYPE numeric(10,3), ALTER billsec TYPE real,"
        " ADD place point, ADD address inet, ADD raw bytea, ADD more bytea, ADD ident uuid,"
        " ADD tags text[], ADD range tstzrange"
    )
    await connection.execute(
        "INSERT INTO pbx.cdr (start, uniqueid, duration, billsec, place, address, raw, more, ident,"
        " tags, range) VALUES ('2026-03-01 10:00', '1.1', 12.345, 0.1, '(1,2)', '10.0.0.1',"
        " 'plain text', '\\xff00', '123e4567-e89b-12d3-a456-426655440000', '{a,b}', '[,)')"
    )
    await connection.close()

    assert (await synced(database, source_table="pbx.cdr"))["inserted"] == 1

    names = ("place", "address", "more", "ident", "tags", "range")
    cells = [f"extra ->> '{name}'" for name in names]
    ours = await loaded(database, "duration", "billsec", *cells)
    assert ours == await source_rows(database, "duration", "billsec", *names)
    (row,) = await fetch(database, "SELECT extra ->> 'raw' AS raw FROM ivr.calls")
    assert row["raw"] == "plain text"


def test_an_unknown_type_is_refused_with_those_there_are() -> None:
    chosen: dict[str, Any] = {"columns": {"at": "at money"}, "cursor": "at"}
    with pytest.raises(ConfigurationError, match="bigint, numeric, boolean, date, timestamp"):
        feeds(msgspec.convert({"tables": {"it": chosen}}, Settings))
