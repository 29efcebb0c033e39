"""The target's tables: made by the kernel's migrator, wherever it is and whatever stood there."""

import asyncio
import signal
import sys
from pathlib import Path

import asyncpg
import pytest

from sereno_etl_ivr.errors import TargetAwayError, TargetError
from sereno_etl_ivr.query import query
from sereno_etl_ivr.target.schema import ensure_schema

from ...servers.filling import on_connection
from .before import MAKE, SYNC, before, run_before
from .conftest import Sync
from .pbx import Pbx, fetch, loaded

__all__ = ["before"]

SHAPE = """
SELECT c.relname::text, c.relkind::text, a.attname::text, format_type(a.atttypid, NULL)
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'ivr'::regnamespace AND c.relname NOT LIKE 'sereno_migration%'
"""
STATE = """
SELECT relname::text, oid::bigint, relfilenode::bigint, xmin::text FROM pg_class
 WHERE relnamespace = 'ivr'::regnamespace AND relname NOT LIKE 'sereno_migration%' ORDER BY 1
"""
LISTED = "SELECT name FROM ivr.sereno_migration ORDER BY name"
MADE = [("0001_pre_tables.sql",), ("0002_pre_kept_from.sql",)]
DYING = """
import asyncio, os, signal, sys, asyncpg
from sereno.store import migration_series
from sereno_etl_ivr.target.schema import ensure_schema
true = migration_series._execute
async def deadly(*arguments):
    await true(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
migration_series._execute = deadly
async def main():
    await ensure_schema(await asyncpg.connect(sys.argv[1]))
asyncio.run(main())
"""


make = on_connection(ensure_schema)


async def shape(database: str) -> set[tuple[str, ...]]:
    return {tuple(row) for row in await fetch(database, SHAPE)}


async def test_a_target_elsewhere_has_the_tables_and_their_list_and_the_kernel_s_database_neither(
    pbx: Pbx, synced: Sync, database: str, empty_database: str
) -> None:
    await fetch(database, "DROP SCHEMA ivr CASCADE")
    pbx.fill(20)

    result = await synced(pbx, target_url=empty_database)

    assert result["inserted"] == 20
    assert await fetch(empty_database, LISTED) == MADE
    assert await fetch(empty_database, "SELECT to_regnamespace('sereno')") == [(None,)]
    assert await fetch(database, "SELECT to_regnamespace('ivr')") == [(None,)]


async def test_of_replicas_that_begin_at_once_one_makes_the_tables(empty_database: str) -> None:
    await asyncio.gather(*(make(empty_database) for _ in range(6)))

    assert await fetch(empty_database, LISTED) == MADE


async def test_a_replica_killed_while_it_makes_the_tables_leaves_none_and_the_next_makes_all(
    empty_database: str,
) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", DYING, empty_database)

    assert await process.wait() == -signal.SIGKILL
    assert await fetch(empty_database, "SELECT to_regclass('ivr.calls')") == [(None,)]
    await make(empty_database)
    assert await fetch(empty_database, LISTED) == MADE


async def test_tables_that_the_version_before_made_are_listed_as_they_stand(
    empty_database: str, before: Path
) -> None:
    await run_before(before, MAKE, empty_database, "99")
    asked = f"SELECT * FROM ({STATE}) AS c WHERE relname <> 'aggregated'"  # which the second alters
    stood = await fetch(empty_database, asked)
    reading = await asyncpg.connect(empty_database)  # who reads for hours is not waited for
    try:
        async with reading.transaction():
            await reading.fetch("SELECT FROM ivr.calls")
            await make(empty_database)
    finally:
        await reading.close()

    assert await fetch(empty_database, LISTED) == MADE
    assert await fetch(empty_database, asked) == stood


@pytest.mark.parametrize("steps", range(9))
async def test_tables_that_an_earlier_version_made_get_what_they_lack_and_keep_their_rows(
    empty_database: str, database: str, before: Path, steps: int
) -> None:
    await make(database)
    await run_before(before, MAKE, empty_database, str(steps))
    put = "INSERT INTO ivr.watermarks (source, table_name, position) VALUES ('pbx', 'cdr', 7)"
    await fetch(empty_database, put)

    await make(empty_database)

    assert await shape(empty_database) == await shape(database)
    assert await fetch(empty_database, "SELECT position FROM ivr.watermarks") == [(7,)]


async def test_the_version_before_loads_into_the_tables_of_this_one(
    pbx: Pbx, synced: Sync, database: str, before: Path
) -> None:
    pbx.fill(30)
    await make(database)
    stood = await fetch(database, STATE)

    await run_before(before, SYNC, database, pbx.url)

    assert await loaded(database, "uniqueid") == pbx.rows("uniqueid")
    assert await fetch(database, STATE) == stood
    assert (await synced(pbx, overlap="P9000D"))["inserted"] == 0


async def test_both_versions_that_begin_at_once_make_the_tables_once(
    empty_database: str, before: Path
) -> None:
    await asyncio.gather(
        *(run_before(before, MAKE, empty_database, "99") for _ in range(2)),
        *(make(empty_database) for _ in range(2)),
    )

    assert await fetch(empty_database, LISTED) == MADE


async def test_a_role_that_may_make_nothing_works_with_tables_that_are_there(
    empty_database: str, before: Path
) -> None:
    await make(empty_database)
    connection = await asyncpg.connect(empty_database)
    try:
        await connection.execute("DROP ROLE IF EXISTS etl_loader; CREATE ROLE etl_loader")
        await connection.execute("GRANT USAGE ON SCHEMA ivr TO etl_loader")
        await connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA ivr TO etl_loader")
        await connection.execute("SET ROLE etl_loader")
        await ensure_schema(connection)
        await connection.execute("RESET ROLE; DROP TABLE ivr.sereno_migration; SET ROLE etl_loader")
        with pytest.raises(TargetError, match="permission denied") as told:
            await ensure_schema(connection)
        assert not isinstance(told.value, TargetAwayError)  # waiting mends no grant
    finally:
        await connection.execute("RESET ROLE; DROP OWNED BY etl_loader; DROP ROLE etl_loader")
        await connection.close()


async def test_the_view_of_whole_calls_is_one_text_in_both_places(database: str) -> None:
    await make(database)
    asked = "SELECT pg_get_viewdef('ivr.whole_calls'::regclass)"
    made = await fetch(database, asked)

    await fetch(database, query("whole_calls"))

    assert await fetch(database, asked) == made
