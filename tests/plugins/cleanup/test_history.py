from datetime import timedelta
from typing import Any

import asyncpg

from sereno.testing import run_context
from sereno_cleanup.history import history
from sereno_cleanup.settings import Settings

# Stands for the kernel's function: it takes from a heap, and writes down what it was asked.
STUB = """
CREATE SCHEMA IF NOT EXISTS stub;
CREATE TABLE stub.heap AS SELECT 2500::int AS rows;
CREATE TABLE stub.asked (age interval, keep int, batch int, at xid8 DEFAULT pg_current_xact_id());
CREATE SCHEMA IF NOT EXISTS sereno;
CREATE FUNCTION sereno.prune(older_than interval, keep_per_job int, batch int) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE taken int;
BEGIN
  INSERT INTO stub.asked VALUES (older_than, keep_per_job, batch);
  SELECT least(rows, batch) INTO taken FROM stub.heap;
  UPDATE stub.heap SET rows = rows - taken;
  RETURN taken;
END $$;
"""


async def stubbed(url: str) -> Any:
    connection = await asyncpg.connect(url)
    await connection.execute(STUB)
    return connection


async def test_history_is_pruned_batch_by_batch_until_nothing_is_left(
    empty_database: str,
) -> None:
    connection = await stubbed(empty_database)
    settings = Settings(history_days=7, history_keep=50, history_batch=1000)
    run = run_context(history, settings=settings, database_url=empty_database)
    result = await history.function(run)
    asked = await connection.fetch("SELECT age, keep, batch, at FROM stub.asked")
    await connection.close()
    assert result == {"deleted": 2500, "batches": 3, "complete": True}
    assert {tuple(row)[:3] for row in asked} == {(timedelta(days=7), 50, 1000)}
    assert len({row["at"] for row in asked}) == len(asked) == 4


async def test_the_trail_is_kept_for_two_years_or_as_long_as_is_said(database: str) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute(
        "INSERT INTO sereno.change (at, by, subject, action)"
        " SELECT now() - make_interval(days => d), 'ann', 'a', 'pause'"
        " FROM unnest(ARRAY[4000, 731, 729, 100, 31, 1]) AS d"
    )
    left = "SELECT array_agg(extract(day FROM now() - at)::int ORDER BY id) FROM sereno.change"
    for days, kept in ((None, [729, 100, 31, 1]), (90, [31, 1])):
        settings = Settings(history_days=7, history_trail_days=days)
        run = run_context(history, settings=settings, database_url=database)
        await history.function(run)
        assert await connection.fetchval(left) == kept
    await connection.close()


async def test_the_kernel_s_own_function_takes_what_is_asked(database: str) -> None:
    run = run_context(history, settings=Settings(), database_url=database)
    assert await history.function(run) == {"deleted": 0, "batches": 0, "complete": True}
