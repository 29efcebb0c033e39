"""What is not due costs nothing: ten times the schedules and the runs, and no more is read."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from sereno.store.pool import prepare_connection
from sereno.store.sql import sql

from .scene import connected

NODE = UUID(int=1)
THEN = datetime(2026, 3, 1, tzinfo=UTC)
SINCE = timedelta(days=36_500)
FEW = 2_000
JOBS = """
INSERT INTO sereno.job (name, plugin, policies, overdue_after, registered_at)
VALUES ('kept', 'p', '{}', '1h', '2026-01-01'), ('idle', 'p', '{}', NULL, '2026-01-01');
INSERT INTO sereno.job_stat (job, last_success_at) SELECT name, '2026-03-01' FROM sereno.job;
INSERT INTO sereno.change (by, subject, action) VALUES ('ana', 'kept', 'pause');
"""
MORE = """
WITH s AS (
    INSERT INTO sereno.schedule (name, job, origin, declared)
    SELECT 'kept@' || n, 'kept', 'user', '{}' FROM generate_series(%(first)s, %(last)s) n
    RETURNING id
), v AS (
    INSERT INTO sereno.schedule_version
           (schedule_id, version, valid_from, state, trigger, params, policies, changed_by)
    SELECT id, 1, '2026-01-01', 'active', 'every 1h', '{}', '{}', 'x' FROM s
)
INSERT INTO sereno.watermark (schedule_id, job, settled_to, next_slot, wake_at, grace, due_by)
SELECT id, 'kept', '2026-02-01', at, at, g, at + g
  FROM s, LATERAL (SELECT timestamptz '2036-01-01' + id * interval '1 s' AS at,
                          CASE WHEN id %% 2 = 0 THEN interval '1 h' END AS g) AS d;
WITH made AS (
    INSERT INTO sereno.run (job, state, cause, schedule_id, slot, run_at, queued_at, finished_at)
    SELECT 'kept', 'succeeded', 'slot', n, at, at, at, at
      FROM generate_series(%(first)s, %(last)s) n,
           LATERAL (SELECT timestamptz '2026-01-01' + n * interval '1 m' AS at) AS d,
           generate_series(1, 5)
    RETURNING id, schedule_id, slot
)
INSERT INTO sereno.slot (schedule_id, slot, verdict, run_id, term)
SELECT schedule_id, slot + id * interval '1 ms', 'ran', id, 1 FROM made;
"""

QUESTIONS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "what monitors ask": ("watch_jobs", (1, 1)),
    "what the leader is to look at": ("agenda", (THEN, 20_000)),
    "what waits": ("queue_ready", (100, ["kept"], [], [])),
    "when the next run is ready": ("queue_next", ()),
    "what a new leader takes over": ("runs_active", ()),
    "whose owner is gone": ("absent_owners", (1,)),
    "the runs of a node": ("runs_of", (NODE,)),
    "what is to stop": ("cancel_requests", (NODE,)),
    "the replicas": ("nodes_present", (1,)),
    "the jobs": ("view_jobs", ()),
    "one schedule": ("view_schedules", ("kept@7",)),
    "the newest runs": ("view_runs", (None, None, 20)),
    "the newest runs of a job": ("view_runs", ("kept", None, 20)),
    "the runs of a job without any": ("view_runs", ("idle", None, 20)),
    "what failed": ("view_runs", (None, ["failed", "timed_out"], 20)),
    "what failed of a job": ("view_runs", ("kept", ["failed"], 20)),
    "what runs": ("view_runs", (None, ["running"], 20)),
    "what runs or waits of a job": ("view_runs", ("kept", ["running", "queued"], 20)),
    "all that did not succeed": ("view_runs", (None, ["queued", "running", "lost"], 20)),
    "one run": ("view_run", (3,)),
    "the slots of a day": ("view_slots", ("kept", THEN, THEN + timedelta(days=1), 100)),
    "declared schedules": ("schedules_declared", ()),
    "schedules that a deploy concerns": ("schedules_astray", (["kept", "idle"],)),
    "names that are taken": ("schedules_taken", (["kept@7", "idle"],)),
    "the first run since": ("verify_first", (THEN + timedelta(days=3_650),)),
    "the look ahead": ("drift_walk", ("rules", THEN, 1, 250, 10, False)),
    "open notifications": ("notification_open", (["job_overdue"],)),
}


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(database) as found:
        await prepare_connection(found)
        await found.execute(JOBS)
        yield found


async def grow(connection: asyncpg.Connection, first: int, last: int) -> None:
    await connection.execute(MORE % {"first": first, "last": last})
    await connection.execute("VACUUM ANALYZE")


async def pages_read(connection: asyncpg.Connection) -> dict[str, int]:
    """Return for each question how many pages of the database its answer takes."""
    found = {}
    for question, (name, args) in QUESTIONS.items():
        async with connection.transaction():
            plan = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql(name)}"
            await connection.fetchval(plan, *args)  # the first reads the catalogue as well
            top = json.loads(await connection.fetchval(plan, *args))[0]["Plan"]
        found[question] = top["Shared Hit Blocks"] + top["Shared Read Blocks"]
    return found


@pytest.mark.every_postgres
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_no_answer_reads_what_it_is_not_about(
    connection: asyncpg.Connection, mode: str
) -> None:
    await connection.execute(f"SET plan_cache_mode = {mode}")
    await grow(connection, 1, FEW)
    few = await pages_read(connection)
    await grow(connection, FEW + 1, 10 * FEW)
    many = await pages_read(connection)
    # An index that is ten times as large may be a level deeper, for each of twenty runs.
    grown = {q: (few[q], many[q]) for q in QUESTIONS if many[q] > 1.5 * few[q] + 30}
    assert grown == {}


async def test_a_batch_of_pruning_reads_what_it_deletes(connection: asyncpg.Connection) -> None:
    read = (
        "SELECT sum(seq_tup_read + idx_tup_fetch)::float8 FROM pg_stat_xact_user_tables"
        " WHERE relname IN ('run', 'slot', 'schedule', 'schedule_version', 'watermark')"
    )
    found = []
    for first, last in ((1, FEW), (FEW + 1, 10 * FEW)):
        await grow(connection, first, last)
        async with connection.transaction():
            assert await connection.fetchval("SELECT sereno.prune($1, 100, 50)", SINCE) == 50
            found.append(await connection.fetchval(read))
    assert found[1] < 1.2 * found[0]
