import asyncio
import csv
import gzip
import io
import json
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from sereno import parse_duration
from sereno.testing import run_context
from sereno_cleanup import retention
from sereno_cleanup.expiry import vault as vault_module
from sereno_cleanup.expiry.pace import Pace, Stride
from sereno_cleanup.logs import CleanupFailedError
from sereno_cleanup.plugin import sereno_register_jobs
from sereno_cleanup.settings import Settings, TableRule
from sereno_cleanup.tables import tables

from ...servers.locks import BLOCKED

TABLE = "CREATE TABLE notice (id bigint PRIMARY KEY, at {type}, text text, read boolean)"
ADD = """INSERT INTO notice SELECT n, {at}, 'notice ' || n, n % 2 = 0
         FROM generate_series($1::int, $2::int) AS n"""
OLD = "now() - interval '10 days' - n * interval '1 second'"
NEW = "now() - interval '1 day'"


@asynccontextmanager
async def notices(url: str, kind: str = "timestamptz") -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(TABLE.format(type=kind))
        await connection.execute("CREATE INDEX ON notice (at)")
        yield connection
    finally:
        await connection.close()


def rule(**changes: Any) -> TableRule:
    chosen: dict[str, Any] = {"keep": timedelta(days=7), "rest": 0.0, "batch": 100}
    return TableRule(table="notice", column="at", **(chosen | changes))


async def clear(url: str, *rules: TableRule, **params: Any) -> dict[str, Any]:
    run = run_context(
        tables, params, settings=Settings(tables=rules or (rule(),)), database_url=url
    )
    result: dict[str, Any] = await tables.function(run)
    return result


async def left(connection: Any) -> int:
    return int(await connection.fetchval("SELECT count(*) FROM notice"))


# C8: tables that grow for ever
@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
async def test_rows_past_their_time_go_and_the_others_stay(empty_database: str, kind: str) -> None:
    async with notices(empty_database, kind) as connection:
        await connection.execute(ADD.format(at=OLD), 1, 2500)
        await connection.execute(ADD.format(at=NEW), 2501, 2510)
        await connection.execute(ADD.format(at="NULL"), 2511, 2512)
        await connection.execute(ADD.format(at="now() + interval '1 year'"), 2513, 2514)
        result = await clear(empty_database)
        assert result["deleted"] == 2500
        assert result["complete"] is True
        assert await left(connection) == 14


async def test_rows_of_one_instant_all_go_however_many(empty_database: str) -> None:
    async with notices(empty_database) as connection:
        await connection.execute(ADD.format(at="'2020-01-01'::timestamptz"), 1, 5001)
        result = await clear(empty_database)
        assert (result["deleted"], await left(connection)) == (5001, 0)


async def test_a_condition_limits_what_goes(empty_database: str) -> None:
    async with notices(empty_database) as connection:
        await connection.execute(ADD.format(at=OLD), 1, 10)
        await clear(empty_database, rule(where="read"))
        assert await left(connection) == 5


async def test_a_locked_row_stays_for_the_next_run_and_stops_nothing(empty_database: str) -> None:
    async with notices(empty_database) as connection:
        await connection.execute(ADD.format(at="'2020-01-01'::timestamptz"), 1, 3000)
        async with connection.transaction():
            await connection.execute("UPDATE notice SET text = 'read it' WHERE id <= 2500")
            result = await clear(empty_database)
        assert result["deleted"] <= 500
        assert (await clear(empty_database))["deleted"] == 3000 - result["deleted"]


# C3: many expired rows beside a snapshot
async def test_what_is_deleted_and_held_by_a_snapshot_is_not_read_again_for_each_batch(
    empty_database: str,
) -> None:
    async with notices(empty_database) as connection:
        await connection.execute(ADD.format(at=OLD), 1, 20_000)
        await connection.execute("ANALYZE notice")
        other = await asyncpg.connect(empty_database)
        async with other.transaction(isolation="repeatable_read"):
            await other.fetchval("SELECT count(*) FROM notice")
            before = await index_reads(connection)
            result = await clear(empty_database)
            read = await index_reads(connection) - before
        await other.close()
        assert result["deleted"] == 20_000
        # Each is found once, and passed again by the look that follows; from the front each time
        # it would be two million.
        assert read < 3 * 20_000


async def index_reads(connection: Any) -> int:
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    query = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'notice_at_idx'"
    return int(await connection.fetchval(query))


async def test_a_dry_run_tells_what_would_go_and_touches_nothing(empty_database: str) -> None:
    async with notices(empty_database) as connection:
        await connection.execute(ADD.format(at=OLD), 1, 42)
        result = await clear(empty_database, dry_run=True)
        assert result["tables"][0]["planned"].startswith("42 rows of notice, the oldest of 20")
        assert await left(connection) == 42


async def test_a_missing_table_is_said_and_is_no_failure(empty_database: str) -> None:
    result = await clear(empty_database)
    assert result["tables"] == [{"table": "notice", "note": "table notice does not exist"}]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"table": "notice", "column": "nothing"}, "has no column 'nothing'"),
        ({"table": "notice", "column": "text"}, "is of type text, it must be one of timestamp"),
        ({"table": "seen", "column": "at"}, "'seen' is no table"),
        ({"table": "parent", "column": "at"}, "rows of child refer to rows of 'parent'"),
        ({"table": "notice", "column": "at", "where": "no sql"}, 'syntax error at or near "sql"'),
    ],
)
async def test_a_rule_that_does_not_fit_says_why_and_the_others_have_their_turn(
    empty_database: str, changes: dict[str, Any], sentence: str
) -> None:
    async with notices(empty_database) as connection:
        await connection.execute("CREATE VIEW seen AS SELECT * FROM notice")
        await connection.execute("CREATE TABLE parent (id int PRIMARY KEY, at date)")
        await connection.execute("CREATE TABLE child (p int REFERENCES parent ON DELETE CASCADE)")
        await connection.execute(ADD.format(at=OLD), 1, 3)
        bad = TableRule(keep=timedelta(days=1), **changes)
        with pytest.raises(CleanupFailedError) as failed:
            await clear(empty_database, bad, rule())
        assert sentence in str(failed.value)
        assert "deleted all the same: 3 rows" in str(failed.value)


@pytest.mark.parametrize("keep", [timedelta(0), timedelta(days=-1)])
def test_rows_are_kept_for_longer_than_nothing(keep: timedelta) -> None:
    with pytest.raises(ValueError, match="keep must be longer than nothing"):
        rule(keep=keep)


ODD = 'he said "no",\nthen\tleft \\ ñ 🎉'


async def test_archived_rows_can_be_put_back_as_they_were(
    empty_database: str, tmp_path: Path
) -> None:
    async with notices(empty_database) as connection:
        await connection.execute('ALTER TABLE notice ADD "odd ""name" bytea')
        await connection.execute(
            "ALTER TABLE notice ADD twice bigint GENERATED ALWAYS AS (id * 2) STORED"
        )
        await connection.execute(ADD.format(at=OLD), 1, 250)
        await connection.execute("UPDATE notice SET text = $1 WHERE id = 7", ODD)
        await connection.execute("UPDATE notice SET text = NULL WHERE id = 8")
        await connection.execute("UPDATE notice SET text = '' WHERE id = 9")
        before = await connection.fetch("SELECT * FROM notice ORDER BY id")

        result = await clear(empty_database, rule(archive=str(tmp_path)))

        [name] = result["tables"][0]["archives"]
        content = gzip.decompress((tmp_path / name).read_bytes())
        [entry] = manifest(tmp_path)
        assert (entry["rows"], entry["copy"]) == (250, name)
        assert [column for column, _ in entry["columns"]] == [
            "id",
            "at",
            "text",
            "read",
            'odd "name',
        ]
        await connection.copy_to_table(
            "notice",
            source=io.BytesIO(content),
            columns=[column for column, _ in entry["columns"]],
            format="csv",
            header=True,
        )
        assert await connection.fetch("SELECT * FROM notice ORDER BY id") == before


def manifest(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (place / "manifest.jsonl").read_text().splitlines()]


def rows_in(place: Path) -> list[str]:
    found = []
    for file in sorted(place.glob("*.csv.gz*")):
        with gzip.open(file, "rt", encoding="utf-8", newline="") as text:
            found += [row[0] for row in list(csv.reader(text))[1:]]
    return found


async def test_a_full_disk_leaves_the_rows_in_their_table(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    async with notices(empty_database) as connection:
        await connection.execute(ADD.format(at=OLD), 1, 150)
        with monkeypatch.context() as patch:
            patch.setattr(vault_module.os, "fsync", full)
            with pytest.raises(CleanupFailedError, match=r"so they stay: No space left"):
                await clear(empty_database, rule(archive=str(tmp_path)))
        assert await left(connection) == 150
        await clear(empty_database, rule(archive=str(tmp_path)))
        assert await left(connection) == 0
        assert sorted(rows_in(tmp_path), key=int) == [str(n) for n in range(1, 151)]


async def test_what_a_killed_run_has_archived_is_made_good_by_the_next(
    empty_database: str, tmp_path: Path
) -> None:
    async with notices(empty_database) as connection:
        await connection.execute(ADD.format(at=OLD), 1, 250)
        part, whole = left_by_a_killed_run(tmp_path)

        result = await clear(empty_database, rule(archive=str(tmp_path)))

        assert part.with_suffix("").read_bytes() == whole
        assert len(result["tables"][0]["archives"]) == 2
        assert [entry.get("recovered") for entry in manifest(tmp_path)] == [True, None]
        assert [entry["rows"] for entry in manifest(tmp_path)] == [3, 250]
        assert [entry["copy"] for entry in manifest(tmp_path)] == archives(tmp_path)


def left_by_a_killed_run(place: Path) -> tuple[Path, bytes]:
    part = place / "notice-20200101T000000Z-gone-1.csv.gz.part"
    whole = gzip.compress(b'"id"\n"900"\n"901"\n') + gzip.compress(b'"902"\n')
    part.write_bytes(whole + gzip.compress(b'"903"\n"904"\n')[:-9])
    return part, whole


def archives(place: Path) -> list[str]:
    return sorted(file.name for file in place.glob("*.csv.gz*"))


async def test_two_runs_at_once_write_two_files(empty_database: str, tmp_path: Path) -> None:
    now = datetime(2026, 3, 31, tzinfo=UTC)
    columns = [("id", "bigint")]
    vaults = [vault_module.Vault(tmp_path, '"notice"', columns, now) for _ in range(2)]
    for n, one in enumerate(vaults):
        await one.keep([(str(n),)])
    names = [await one.close() for one in vaults]
    assert len(set(names)) == 2
    assert sorted(rows_in(tmp_path)) == ["0", "1"]


PARTED = """
CREATE TABLE notice (id bigint, at timestamptz NOT NULL, text text, read boolean)
    PARTITION BY RANGE (at);
CREATE TABLE notice_old PARTITION OF notice FOR VALUES FROM (MINVALUE) TO ('2024-01-01 00:00+00');
CREATE TABLE notice_2024 PARTITION OF notice
    FOR VALUES FROM ('2024-01-01 00:00+00') TO ('2025-01-01 00:00+00');
CREATE TABLE notice_rest PARTITION OF notice DEFAULT;
CREATE INDEX ON notice (at);
INSERT INTO notice SELECT n, '2023-06-01'::timestamptz + n * interval '1 day', 'x', false
  FROM generate_series(1, 500) AS n;
INSERT INTO notice VALUES (501, '2025-06-01', 'old too', false), (502, now(), 'new', false);
"""


@pytest.mark.parametrize("archived", [False, True])
async def test_a_partition_that_has_expired_as_a_whole_is_dropped(
    empty_database: str, tmp_path: Path, archived: bool
) -> None:
    connection = await asyncpg.connect(empty_database)
    await connection.execute(PARTED)
    result = await clear(empty_database, rule(archive=str(tmp_path) if archived else None))
    rows = await connection.fetch("SELECT id FROM notice")
    found = await connection.fetch("SELECT relid::text FROM pg_partition_tree('notice')")
    await connection.close()
    assert [row["id"] for row in rows] == [502]
    assert {row["relid"] for row in found} == {"notice", "notice_rest"}
    assert sorted(result["tables"][0]["dropped"]) == ["notice_2024", "notice_old"]
    if archived:
        assert sorted(map(int, rows_in(tmp_path))) == list(range(1, 502))


async def test_a_partition_in_use_is_told_and_the_others_have_their_turn(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await asyncpg.connect(empty_database)
    await connection.execute(PARTED)
    monkeypatch.setattr(retention, "DROP_WAITS_SECONDS", (0,))
    reader = await asyncpg.connect(empty_database)
    async with reader.transaction():
        await reader.fetch("SELECT FROM notice_old")
        told = "notice: notice_old: canceling statement due to lock timeout"
        with pytest.raises(CleanupFailedError, match=told):
            await clear(empty_database)
    await reader.close()
    rows = await connection.fetch("SELECT tableoid::regclass::text AS name FROM notice")
    await connection.close()
    # The other one that had expired as a whole is gone, and of the last what had expired.
    assert {row["name"] for row in rows} == {"notice_old", "notice_rest"}
    assert len([row for row in rows if row["name"] == "notice_rest"]) == 1


async def test_a_partition_is_dropped_once_who_reads_it_is_done(empty_database: str) -> None:
    connection = await asyncpg.connect(empty_database)
    await connection.execute(PARTED)
    reader = await asyncpg.connect(empty_database)
    reading = reader.transaction()
    await reading.start()
    await reader.fetch("SELECT FROM notice")
    clearing = asyncio.create_task(clear(empty_database))
    while not await connection.fetchval(BLOCKED):
        assert not clearing.done()
    await reading.rollback()
    await reader.close()
    result = await clearing
    await connection.close()
    assert sorted(result["tables"][0]["dropped"]) == ["notice_2024", "notice_old"]


async def test_few_rows_are_held_at_a_time_however_wide(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    true = vault_module.Vault._append

    def counted(vault: vault_module.Vault, rows: list[Any]) -> None:
        taken.append(len(rows))
        true(vault, rows)

    monkeypatch.setattr(vault_module.Vault, "_append", counted)
    async with notices(empty_database) as connection:
        await connection.execute(ADD.format(at=OLD), 1, 730)
        result = await clear(empty_database, rule(archive=str(tmp_path), batch=500))
    assert result["tables"][0]["batches"] == 2
    assert (sum(taken), max(taken)) == (730, 50)
    assert sorted(rows_in(tmp_path), key=int) == [str(n) for n in range(1, 731)]


async def test_a_partition_is_not_dropped_where_a_condition_lets_rows_stay(
    empty_database: str,
) -> None:
    connection = await asyncpg.connect(empty_database)
    await connection.execute(PARTED)
    await connection.execute("UPDATE notice SET read = true WHERE id % 2 = 0")
    await clear(empty_database, rule(where="read"))
    count = await connection.fetchval("SELECT count(*) FROM notice WHERE id <= 500")
    await connection.close()
    assert count == 250


async def test_rows_of_tables_that_inherit_go_by_their_own_time_alone(empty_database: str) -> None:
    async with notices(empty_database) as connection:
        await connection.execute("CREATE TABLE young () INHERITS (notice)")
        await connection.execute("CREATE TABLE old () INHERITS (young)")
        await connection.execute(ADD.format(at=OLD), 1, 250)
        for table, at in (("young", NEW), ("old", OLD)):  # at the same places as those
            text = ADD.format(at=at).replace("INTO notice", f"INTO {table}")
            await connection.execute(text, 1, 250)
        result = await clear(empty_database)
        young = await connection.fetchval("SELECT count(*) FROM ONLY young")
        assert (result["deleted"], young, await left(connection)) == (500, 250, 250)


@pytest.mark.parametrize("archived", [False, True])
async def test_only_rows_that_are_archived_go_by_a_commit_that_waits_as_the_database_says(
    empty_database: str, tmp_path: Path, archived: bool
) -> None:
    async with notices(empty_database) as connection:
        await connection.execute(ADD.format(at=OLD), 1, 3)
        await connection.execute(f"CREATE TABLE seen (waits text); {WAITS}")
        name = empty_database.rpartition("/")[2]
        await connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = local")
        await clear(empty_database, rule(archive=str(tmp_path) if archived else None))
        waits = await connection.fetchval("SELECT DISTINCT waits FROM seen")
        assert waits == ("local" if archived else "off")


WAITS = """
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN OLD; END $$;
CREATE TRIGGER see BEFORE DELETE ON notice FOR EACH ROW EXECUTE FUNCTION see();
"""


def test_a_batch_that_takes_long_is_followed_by_a_smaller_one() -> None:
    stride = Stride(2000)
    sizes = []
    for seconds in (0.3, 0.3, 0.3, 0.3, 0.07, 0.01, 0.01, 0.01, 0.01):
        stride.took(seconds)
        sizes.append(stride.rows)
    assert sizes == [1000, 500, 250, 250, 250, 500, 1000, 2000, 2000]
    one = Stride(1)
    one.took(9)
    assert one.rows == 1


async def test_a_standby_that_stays_behind_ends_the_work_before_its_time_is_up(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behind(_: Pace) -> float:
        return 31.0

    monkeypatch.setattr(Pace, "_lag", behind)
    async with notices(empty_database) as connection:
        await connection.execute(ADD.format(at=OLD), 1, 250)
        run = run_context(tables, settings=Settings(tables=(rule(),)), database_url=empty_database)
        run.deadline = run.now() + timedelta(seconds=16)
        result = await tables.function(run)
        assert (result["complete"], result["deleted"], await left(connection)) == (False, 100, 150)


async def test_a_run_without_time_goes_on_next_time(empty_database: str) -> None:
    async with notices(empty_database) as connection:
        await connection.execute(ADD.format(at=OLD), 1, 250)
        run = run_context(tables, settings=Settings(tables=(rule(),)), database_url=empty_database)
        run.deadline = run.now() + timedelta(seconds=1)
        result = await tables.function(run)
        assert result["complete"] is False
        assert await left(connection) == 250


def test_the_examples_for_a_crm_are_rules_that_can_be() -> None:
    text = (Path(__file__).parents[3] / "conf/examples/cleanup-crm.toml").read_text()
    given = tomllib.loads(text)["plugins"]["cleanup"]
    for table in given["tables"]:
        table["keep"] = parse_duration(table["keep"])
    found = msgspec.convert(given, Settings)
    assert {one.table: one.keep.days for one in found.tables} == {
        "notifications": 7,
        "seller_metrics": 30,
        "chat_sessions": 7,
    }


def test_the_example_for_a_call_center_is_one_that_can_be() -> None:
    text = (Path(__file__).parents[3] / "conf/examples/cleanup-call-center.toml").read_text()
    given = tomllib.loads(text)["plugins"]["cleanup"]
    given["disk_fills_within"] = parse_duration(given["disk_fills_within"])
    for rotation in given["rotations"]:
        rotation["max_age"] = parse_duration(rotation["max_age"])
    found = msgspec.convert(given, Settings)
    assert [(one.category, one.days) for one in found.logs] == [
        ("application", 30),
        ("access", 90),
        ("audit", 30),
    ]
    assert found.archives() == {"/srv/archive/callcenter-audit": 730}
    jobs = {job.name for job in sereno_register_jobs(found)}
    assert {f"cleanup.{name}" for name in ("sessions", "rotate", "caches", "integrity")} <= jobs


def test_the_job_is_there_where_a_rule_is() -> None:
    assert "cleanup.tables" not in {job.name for job in sereno_register_jobs(Settings())}
    with_rule = Settings(tables=(rule(),), tables_schedule="every 6h")
    [found] = [job for job in sereno_register_jobs(with_rule) if job.name == "cleanup.tables"]
    assert [one.trigger.text for one in found.schedules] == ["every 6h"]


REFUSES = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF OLD.id % 1000 = 7 THEN RAISE 'notice % is evidence', OLD.id; END IF; RETURN OLD; END $$;
CREATE {kind} refuse {moment} DELETE ON notice {deferred} FOR EACH ROW EXECUTE FUNCTION refuse();
"""


@pytest.mark.parametrize("late", [False, True])
async def test_a_row_that_a_trigger_refuses_stays_and_the_others_go(
    empty_database: str, tmp_path: Path, late: bool
) -> None:
    async with notices(empty_database) as connection:
        await connection.execute(ADD.format(at=OLD), 1, 2500)
        await connection.execute(
            REFUSES.format(kind="CONSTRAINT TRIGGER", moment="AFTER", deferred="INITIALLY DEFERRED")
            if late
            else REFUSES.format(kind="TRIGGER", moment="BEFORE", deferred="")
        )
        told = "3 rows were refused, first: notice .* is evidence .deleted all the same: 2497 rows"
        with pytest.raises(CleanupFailedError, match=told):
            await clear(empty_database, rule(archive=str(tmp_path)))
        assert await left(connection) == 3
        archived = manifest(tmp_path)
        assert sum(one["rows"] for one in archived) == 2497  # none of them twice


async def test_a_row_that_others_refer_to_stays_and_the_others_go(empty_database: str) -> None:
    async with notices(empty_database) as connection:
        await connection.execute(ADD.format(at=OLD), 1, 500)
        await connection.execute("CREATE TABLE reply (notice bigint REFERENCES notice)")
        await connection.execute("INSERT INTO reply VALUES (77)")
        with pytest.raises(CleanupFailedError, match=r"1 rows were refused.*reply"):
            await clear(empty_database)
        assert await left(connection) == 1


async def test_a_table_that_refuses_all_is_left_in_peace(empty_database: str) -> None:
    async with notices(empty_database) as connection:
        await connection.execute(ADD.format(at=OLD), 1, 1000)
        await connection.execute(
            "CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'never'; END $$;"
            "CREATE TRIGGER never BEFORE DELETE ON notice FOR EACH ROW EXECUTE FUNCTION never()"
        )
        with pytest.raises(CleanupFailedError, match="never"):
            await clear(empty_database)
        assert await left(connection) == 1000


async def test_a_column_of_nulls_and_a_view_lose_nothing(empty_database: str) -> None:
    async with notices(empty_database) as connection:
        await connection.execute(ADD.format(at="NULL"), 1, 500)
        await connection.execute("CREATE VIEW seen AS SELECT * FROM notice")
        assert (await clear(empty_database))["deleted"] == 0
        of_view = TableRule(table="seen", column="at", keep=timedelta(days=1))
        with pytest.raises(CleanupFailedError, match="'seen' is no table"):
            await clear(empty_database, of_view)
        assert await left(connection) == 500
