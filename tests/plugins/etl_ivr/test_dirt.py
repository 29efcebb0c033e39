"""Rows that no schema promised: loaded exactly, or rejected with their reason, never altered."""

import json
from datetime import UTC, datetime

import pytest

from sereno_etl_ivr.errors import RejectsError

from .conftest import Sync
from .pbx import Pbx, call, fetch, loaded

NASTY = [
    "tab\there",
    "line\nend",
    "return\rhere",
    "back\\slash",
    "\\N",
    "\\.",
    "quote'\"`",
    "emoji 😀",
    "Ñandú",
    "\x1a",
    "unit\x1fseparator",
    "record\x1eseparator",
    "a\x1ab",
    " blanks ",
    "%s",
    "{brace}",
    "",
]


async def test_every_text_arrives_as_it_was(pbx: Pbx, synced: Sync, database: str) -> None:
    pbx.insert(
        *(call("2026-03-01 10:00:00", f"1.{n}", userfield=text) for n, text in enumerate(NASTY))
    )

    result = await synced(pbx)

    assert result["rejected"] == 0
    assert await loaded(database, "uniqueid", "userfield") == pbx.rows("uniqueid", "userfield")
    assert (await synced(pbx))["processed"] == 0


async def test_a_row_is_the_same_row_however_its_page_was_read(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.execute("ALTER TABLE cdr MODIFY src varchar(80) NULL, ADD ratio float, ADD flags bit(5)")
    pbx.execute(
        "ALTER TABLE cdr ADD raw varbinary(9), ADD fine datetime(3), ADD late timestamp NULL"
    )
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    odd = {
        "ratio": 0.1,
        "flags": 5,
        "raw": b"a\\\xff",
        "fine": f"{now}.25",
        "late": now,
        "src": None,
    }
    texts = [text for text in NASTY if not {"\x1a", "\x1e", "\x1f"} & set(text)]
    pbx.insert(*(call(now, f"1.{n}", userfield=text, **odd) for n, text in enumerate(texts)))
    first = await synced(pbx)
    pbx.insert(call(now, "2.1", userfield="unit\x1fseparator", src=None))

    again = await synced(pbx)

    assert (first["inserted"], again["inserted"], again["unchanged"]) == (len(texts), 1, len(texts))
    assert (first["repaired"], again["repaired"]) == (0, 1)
    assert (again["updated"], again["vanished"]) == (0, 0)


@pytest.mark.parametrize("sign", ["\x1e", "\x1a", "\x1f"])
async def test_pages_read_at_once_are_read_again_each_alone_when_one_is_damaged(
    pbx: Pbx, synced: Sync, database: str, sign: str
) -> None:
    pbx.execute("ALTER TABLE cdr MODIFY src varchar(80) NULL")
    pbx.fill(300)
    pbx.execute("UPDATE cdr SET src = NULL WHERE sequence % 7 = 0")
    pbx.execute("UPDATE cdr SET userfield = %s WHERE sequence = 150", f"a{sign}b")

    result = await synced(pbx, batch_size=20)

    assert (result["inserted"], result["batches"], result["repaired"]) == (300, 15, 1)
    names = ("sequence", "src", "userfield")
    assert await loaded(database, *names) == pbx.rows(*names)


async def test_other_character_sets_arrive_as_unicode(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.execute("ALTER TABLE cdr MODIFY clid varchar(80) CHARACTER SET latin1 NOT NULL")
    pbx.execute(
        "ALTER TABLE cdr MODIFY userfield varchar(80) CHARACTER SET utf8mb3"
        " COLLATE utf8mb3_unicode_ci NOT NULL"
    )
    pbx.insert(call("2026-03-01 10:00:00", "1.1", clid="José", userfield="Ñandú", src="😀"))

    await synced(pbx)

    assert await loaded(database, "clid", "userfield", "src") == {("José", "Ñandú", "😀"): 1}


async def test_impossible_dates_are_kept_beside_an_instant_from_the_uniqueid(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.insert(
        call("0000-00-00 00:00:00", ""),
        call("0000-00-00 00:00:00", ""),
        call("2026-00-10 00:00:00", "pbx1-1772359200.1"),
        call("2026-02-31 12:00:00", "1772359200.2"),
        call("2026-03-01 10:00:00", "1772359200.3"),
    )

    result = await synced(pbx)

    assert (result["inserted"], result["rejected"]) == (5, 0)
    rows = await fetch(
        database,
        "SELECT uniqueid, calldate, started_at, time_note, extra ->> 'calldate' AS raw"
        " FROM ivr.calls ORDER BY position, ordinal",
    )
    epoch = datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert [tuple(row) for row in rows] == [
        ("", None, None, "no real time", "0000-00-00 00:00:00"),
        ("", None, None, "no real time", "0000-00-00 00:00:00"),
        ("pbx1-1772359200.1", None, epoch, "no real time, uniqueid taken", "2026-00-10 00:00:00"),
        ("1772359200.2", None, epoch, "no real time, uniqueid taken", "2026-02-31 12:00:00"),
        ("1772359200.3", epoch.replace(tzinfo=None), epoch, None, None),
    ]
    assert (await synced(pbx))["processed"] == 0


async def test_calls_outside_of_time_are_found_whenever_they_come(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.insert(call("2026-03-01 10:00:00", "1.1"))
    before = await synced(pbx)
    for at in ("0000-00-00 00:00:00", "1970-01-01 00:00:07", "2091-01-01 00:00:00"):
        pbx.insert(call(at, "2.1"))
    pbx.insert(call("9999-12-31 23:59:59", "2.1"))

    result = await synced(pbx)

    assert result["inserted"] == 4
    assert before["watermark"] <= result["watermark"] < "2091"
    assert await loaded(database, "uniqueid") == {("1.1",): 1, ("2.1",): 4}
    assert (await synced(pbx))["processed"] == 0


async def test_a_row_that_cannot_be_loaded_is_rejected_and_the_others_are_not(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.execute("ALTER TABLE cdr MODIFY billsec varchar(20) NOT NULL")
    pbx.fill(100)
    pbx.execute("UPDATE cdr SET billsec = 'abc' WHERE sequence = 30")
    pbx.execute("UPDATE cdr SET billsec = '1e999999' WHERE sequence = 31")
    pbx.execute("UPDATE cdr SET userfield = 'a\\0b' WHERE sequence = 99")

    result = await synced(pbx)

    assert (result["inserted"], result["rejected"], result["processed"]) == (97, 3, 100)
    rejects = await fetch(database, "SELECT * FROM ivr.rejects ORDER BY position")
    raw = [json.loads(row["raw"]) for row in rejects]
    assert [r["sequence"] for r in raw] == ["30", "31", "99"]
    assert raw[0]["billsec"] == "abc"
    assert raw[2]["userfield"] == {"hex": "610062"}
    assert 'invalid input syntax for type numeric: "abc"' in rejects[0]["reason"]
    assert "overflow" in rejects[1]["reason"]
    assert rejects[2]["reason"] == "column 'userfield' holds U+0000, which PostgreSQL cannot keep"


async def test_a_rejected_row_that_is_read_again_is_counted_once(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    pbx.insert(call(now, "1.1", userfield="a\0b"), call(now, "1.2"))
    await synced(pbx)

    again = await synced(pbx)

    assert (again["rejected"], again["still_rejected"], again["processed"]) == (0, 1, 0)
    assert len(await fetch(database, "SELECT FROM ivr.rejects")) == 1


async def test_too_many_rejects_fail_the_run_and_keep_what_was_loaded(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.execute("ALTER TABLE cdr MODIFY billsec varchar(20) NOT NULL")
    pbx.fill(200)
    pbx.execute("UPDATE cdr SET billsec = 'abc' WHERE sequence % 10 = 0")

    with pytest.raises(RejectsError, match=r"20 of 200 rows could not be loaded.*reject_limit"):
        await synced(pbx, reject_limit=10)

    assert len(await loaded(database, "uniqueid")) == 180
    assert len(await fetch(database, "SELECT FROM ivr.rejects")) == 20


async def test_unknown_columns_go_to_extra_and_missing_ones_stay_null(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.execute("ALTER TABLE cdr DROP COLUMN linkedid, DROP COLUMN peeraccount")
    pbx.execute("ALTER TABLE cdr ADD `odd \"name` varchar(9) DEFAULT 'x' FIRST")
    pbx.execute("ALTER TABLE cdr ADD answered_by varchar(9) NOT NULL DEFAULT 'Ana'")
    pbx.insert(call("2026-03-01 10:00:00", "1.1", did="5550100"))

    await synced(pbx)

    (row,) = await fetch(database, "SELECT linkedid, peeraccount, did, cnum, extra FROM ivr.calls")
    assert tuple(row)[:4] == (None, None, "5550100", None)
    assert json.loads(row["extra"]) == {"answered_by": "Ana", 'odd "name': "x"}


async def test_a_page_longer_than_the_server_may_join_is_read_row_by_row(
    pbx: Pbx, synced: Sync, database: str
) -> None:
    pbx.execute("ALTER TABLE cdr MODIFY userfield longtext NOT NULL")
    for n in range(5):
        pbx.execute(
            "INSERT INTO cdr (calldate, uniqueid, userfield) VALUES ('2026-03-01 10:00:00', %s,"
            " REPEAT('x', 5000000))",
            f"1.{n}",
        )

    result = await synced(pbx)

    assert (result["inserted"], result["repaired"]) == (5, 1)
    assert await loaded(database, "uniqueid", "length(userfield)") == {
        (f"1.{n}", "5000000"): 1 for n in range(5)
    }
