from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest

from sereno.testing import run_context
from sereno_cleanup.checks.record import CheckResults
from sereno_cleanup.integrity import IntegrityError, integrity
from sereno_cleanup.plugin import sereno_register_collectors, sereno_register_jobs
from sereno_cleanup.settings import CheckRule, Settings

TABLES = """
CREATE TABLE call (id int PRIMARY KEY, seconds int, queue int);
CREATE TABLE queue (id int PRIMARY KEY);
INSERT INTO queue VALUES (1), (2);
INSERT INTO call SELECT n, n, n % 2 + 1 FROM generate_series(1, 20) AS n;
INSERT INTO call VALUES (21, 21, NULL);
"""


@pytest.fixture
async def database(empty_database: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(empty_database)
    await connection.execute(TABLES)
    yield connection
    await connection.close()


def rules(url: str) -> dict[str, CheckRule]:
    given: list[dict[str, Any]] = [
        {"name": "length", "sql": "SELECT * FROM call WHERE seconds < 0"},
        {"name": "queues", "kind": "orphans", "table": "call", "column": "queue"}
        | {"other_table": "queue", "other_column": "id"},
        {"name": "enough", "kind": "count", "sql": "SELECT count(*) FROM call", "at_least": 20}
        | {"at_most": 30},
        {"name": "sums", "kind": "equal", "sql": "SELECT sum(seconds) FROM call", "tolerance": 1}
        | {"other_sql": "SELECT 230", "other_database_url": url},
    ]
    return {one["name"]: msgspec.convert(one, CheckRule) for one in given}


async def run(url: str, *chosen: CheckRule, number: int = 1, **params: Any) -> dict[str, Any]:
    context = run_context(
        integrity, params, settings=Settings(checks=chosen), database_url=url, run_id=number
    )
    result: dict[str, Any] = await integrity.function(context)
    return result


async def results(database: Any) -> dict[str, Any]:
    query = 'SELECT * FROM cleanup.check_result ORDER BY "check", at'
    return {row["check"]: row for row in await database.fetch(query)}


async def test_sound_data_pass_every_check(empty_database: str, database: Any) -> None:
    assert await run(empty_database, *rules(empty_database).values()) == {"checks": 4, "failed": 0}
    assert {name for name, row in (await results(database)).items() if row["ok"]} == {
        "length",
        "queues",
        "enough",
        "sums",
    }


@pytest.mark.parametrize(
    ("spoil", "check", "sentence", "example"),
    [
        (
            "UPDATE call SET seconds = -1 WHERE id < 4",
            "length",
            "3 rows are wrong",
            '"seconds":"-1"',
        ),
        ("UPDATE call SET seconds = -1", "length", "21 rows are wrong", '"id":"1"'),
        ("UPDATE call SET queue = 9 WHERE id < 4", "queues", "1 rows are wrong", '"rows":"3"'),
        ("DELETE FROM call WHERE id > 5", "enough", "5, it must be at least 20", "[]"),
        (
            "INSERT INTO call SELECT n FROM generate_series(100, 110) AS n",
            "enough",
            "32, it must be at most 30",
            "[]",
        ),
        ("UPDATE call SET seconds = 3 WHERE id = 1", "sums", "233 here, 230 there", "[]"),
        ("DELETE FROM call", "sums", "None here, 230 there", "[]"),
        ("DROP TABLE call", "length", "could not be made: relation", "[]"),
    ],
)
async def test_what_is_wrong_fails_the_run_with_examples_and_is_kept(
    empty_database: str, database: Any, spoil: str, check: str, sentence: str, example: str
) -> None:
    await database.execute(spoil)
    with pytest.raises(IntegrityError) as failed:
        await run(empty_database, rules(empty_database)[check], number=7)
    assert sentence in str(failed.value)
    assert check in str(failed.value)
    kept = (await results(database))[check]
    assert (kept["ok"], kept["run_id"]) == (False, 7)
    assert sentence in kept["sentence"]
    assert example in kept["examples"].replace(" ", "")


async def test_one_failed_check_does_not_stop_the_next(empty_database: str, database: Any) -> None:
    bad = CheckRule(name="nonsense", sql="SELECT nothing")
    with pytest.raises(IntegrityError, match="nonsense"):
        await run(empty_database, bad, *rules(empty_database).values())
    assert sum(row["ok"] for row in (await results(database)).values()) == 4


@pytest.mark.parametrize(
    "sql", ["DELETE FROM call", "UPDATE call SET seconds = 0", "DROP TABLE call"]
)
async def test_a_check_changes_nothing(empty_database: str, database: Any, sql: str) -> None:
    with pytest.raises(IntegrityError, match="read-only transaction"):
        await run(empty_database, CheckRule(name="sly", sql=sql))
    assert await database.fetchval("SELECT sum(seconds) FROM call") == 231


async def test_a_check_has_a_time_limit(empty_database: str, database: Any) -> None:
    slow = msgspec.convert(
        {"name": "slow", "sql": "SELECT pg_sleep(60)", "limit": 0.05}, CheckRule, strict=False
    )
    with pytest.raises(IntegrityError, match="slow: the check could not be made: canceling"):
        await run(empty_database, slow)


async def test_a_source_that_is_away_fails_its_check(empty_database: str, database: Any) -> None:
    away = rules("postgresql://nobody@127.0.0.1:1/none")["sums"]
    with pytest.raises(IntegrityError, match="could not be made"):
        await run(empty_database, away)


# A stand-in for the extension, which the server that the tests start everywhere does not have: it
# takes the indexes whose name says so for damaged.
AMCHECK = """
CREATE FUNCTION bt_index_check(index regclass, heapallindexed boolean) RETURNS void LANGUAGE plpgsql
AS $$ BEGIN
    IF index::text LIKE '%damaged%' THEN
        RAISE EXCEPTION 'item order invariant violated for index "%"', index
            USING ERRCODE = 'index_corrupted';
    END IF;
END $$
"""


async def test_each_damaged_index_is_named_and_a_missing_extension_is_told(
    empty_database: str, database: Any
) -> None:
    check = CheckRule(name="indexes", kind="amcheck", table="call")
    with pytest.raises(IntegrityError, match="CREATE EXTENSION amcheck is missing"):
        await run(empty_database, check)
    await database.execute(AMCHECK)
    assert (await run(empty_database, check))["failed"] == 0
    await database.execute("CREATE INDEX damaged ON call (queue)")
    await database.execute("CREATE INDEX damaged_too ON call (seconds)")
    with pytest.raises(IntegrityError, match="2 indexes are damaged"):
        await run(empty_database, check)
    assert "item order invariant" in (await results(database))["indexes"]["examples"]


async def test_the_newest_results_are_metrics_on_every_replica(
    empty_database: str, database: Any
) -> None:
    chosen = tuple(rules(empty_database).values())
    collector = CheckResults(Settings(checks=chosen))
    before = await collector.collect(empty_database)
    assert {sample.value for sample in before} == {0}

    await database.execute("UPDATE call SET seconds = -5 WHERE id = 1")
    with pytest.raises(IntegrityError):
        await run(empty_database, *chosen)

    after = await collector.collect(empty_database)
    failed = {s.labels["check"]: s.value for s in after if s.metric.name == "cleanup_check_failed"}
    assert failed == {"length": 1, "queues": 0, "enough": 0, "sums": 1}
    assert all(s.value > 0 for s in after if s.metric.name.endswith("_seconds"))


async def test_results_are_kept_for_their_time_and_the_newest_for_ever(
    empty_database: str, database: Any
) -> None:
    check = rules(empty_database)["length"]
    await run(empty_database, check)
    await database.execute("UPDATE cleanup.check_result SET at = at - interval '3 years'")
    await run(empty_database, check)
    assert await database.fetchval("SELECT count(*) FROM cleanup.check_result") == 1
    await database.execute("UPDATE cleanup.check_result SET at = at - interval '3 years'")
    await run(empty_database, rules(empty_database)["enough"])
    assert await database.fetchval("SELECT count(*) FROM cleanup.check_result") == 2


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"name": "a"}, "needs sql; 'sql' is missing"),
        ({"name": "a", "kind": "count", "sql": "SELECT 1"}, "at_least, at_most or both"),
        ({"name": "a", "kind": "orphans", "table": "t"}, "'column' is missing"),
        ({"name": " ", "sql": "SELECT 1"}, "a check must have a name"),
        ({"name": "a\0", "sql": "SELECT 1"}, "a check must have a name"),
        ({"name": "a" * 201, "sql": "SELECT 1"}, "a check must have a name, of 200 letters"),
        ({"name": "a", "sql": "SELECT 1", "limit": timedelta(0)}, "longer than nothing, as '5m'"),
        (
            {"name": "a", "kind": "count", "sql": "SELECT 1", "at_least": 5, "at_most": 3},
            "at_least is 5.0, above at_most, 3.0",
        ),
        (
            {"name": "a", "kind": "count", "sql": "SELECT 1", "at_least": float("nan")},
            "a bound is no number",
        ),
        ({"name": "a", "kind": "amcheck", "table": "t; DROP TABLE t"}, "it must be a name"),
    ],
)
def test_a_check_that_cannot_be_is_refused_with_a_sentence(
    given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(msgspec.ValidationError, match=sentence):
        msgspec.convert(given, CheckRule)


def test_two_checks_of_one_name_are_refused() -> None:
    one = CheckRule(name="a", sql="SELECT 1")
    with pytest.raises(ValueError, match="two checks are called 'a'"):
        Settings(checks=(one, one))


def test_job_and_metrics_are_there_where_a_check_is() -> None:
    settings = Settings(checks=(CheckRule(name="a", sql="SELECT 1"),))
    assert "cleanup.integrity" in {job.name for job in sereno_register_jobs(settings)}
    assert any(isinstance(c, CheckResults) for c in sereno_register_collectors(settings))
    assert "cleanup.integrity" not in {job.name for job in sereno_register_jobs(Settings())}
    assert len(sereno_register_collectors(Settings())) == 1


ODD: list[tuple[dict[str, Any], bool, str]] = [
    ({"sql": "SELECT 1.5::numeric", "other_sql": "SELECT 1.5::float8"}, True, "1.5 here"),
    ({"sql": "SELECT 10::numeric", "other_sql": "SELECT 11::float8"}, False, "10 here, 11.0 there"),
    ({"sql": "SELECT 'NaN'::numeric", "other_sql": "SELECT 1"}, False, "NaN here, 1 there"),
    ({"sql": "SELECT 'x'", "other_sql": "SELECT 3"}, False, "x here, 3 there"),
    (
        {"sql": "SELECT '2026-01-01'::date", "other_sql": "SELECT '2026-01-01'::date"},
        True,
        "2026-01-01 here, 2026-01-01 there",
    ),
    ({"sql": "SELECT max(id) FROM call WHERE id < 0", "other_sql": "SELECT 0"}, False, "None here"),
    ({"kind": "count", "sql": "SELECT 'many'", "at_least": 1}, False, "it gave 'many'"),
    ({"kind": "count", "sql": "SELECT 'NaN'::float8", "at_least": 1}, False, "it gave 'nan'"),
    ({"kind": "count", "sql": "SELECT 'Infinity'::numeric", "at_least": 1}, True, "Infinity is"),
    ({"kind": "no_rows", "sql": "SELECT '0044-03-15 BC'::date AS d"}, False, "1 rows are wrong"),
    ({"kind": "no_rows", "sql": "TABLE call; "}, False, "21 rows are wrong"),
    ({"kind": "no_rows", "sql": "SELECT 1; SELECT 2"}, False, "could not be made"),
    ({"kind": "no_rows", "sql": "SELECT -- nothing"}, False, "rows are wrong"),
    ({"kind": "no_rows", "sql": "SELECT 1 AS a, 2 AS a"}, False, "1 rows are wrong"),
    ({"kind": "no_rows", "sql": "SELECT FROM call WHERE id < 0"}, True, "no row is wrong"),
    ({"kind": "no_rows", "sql": "SET search_path = nowhere"}, False, "it is no SELECT"),
    ({"kind": "no_rows", "sql": "DO $$ BEGIN PERFORM 1; END $$"}, False, "it is no SELECT"),
    ({"kind": "no_rows", "sql": "-- nothing"}, False, "could not be made"),
    ({"kind": "no_rows", "sql": " "}, False, "could not be made"),
]


@pytest.mark.parametrize(("given", "ok", "sentence"), ODD)
async def test_whatever_a_statement_gives_is_told_and_the_next_check_is_made(
    empty_database: str, database: Any, given: dict[str, Any], ok: bool, sentence: str
) -> None:
    odd = msgspec.convert({"name": "odd", "kind": "equal", **given}, CheckRule)
    after = msgspec.convert({"name": "after", "sql": "SELECT 1 WHERE false"}, CheckRule)
    if ok:
        await run(empty_database, odd, after)
    else:
        with pytest.raises(IntegrityError):
            await run(empty_database, odd, after)
    found = await results(database)
    assert (found["odd"]["ok"], found["after"]["ok"]) == (ok, True)
    assert sentence in found["odd"]["sentence"]


async def test_very_many_wrong_rows_are_not_all_read(empty_database: str, database: Any) -> None:
    # Read to its end, it fails.
    many = "SELECT n, 1 / (5000 - n) FROM (SELECT generate_series(1, 9000) AS n) AS wrong"
    with pytest.raises(IntegrityError, match="more than 1000 rows are wrong"):
        await run(empty_database, CheckRule(name="many", sql=many))
    assert (await results(database))["many"]["examples"].count('"n"') == 5


async def test_a_check_may_take_as_long_as_its_limit_says(
    empty_database: str, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sereno_cleanup.database.COMMAND_SECONDS", 0.2)
    slow = CheckRule(name="slow", sql="SELECT 1 FROM pg_sleep(0.4) WHERE false")
    assert await run(empty_database, slow) == {"checks": 1, "failed": 0}
