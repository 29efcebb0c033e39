"""Every named block fits the schema, and the hot ones keep to their index among many rows."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from sereno.store import pool
from sereno.store.pool import Database, prepare_connection
from sereno.store.sql import blocks, sql

from ..servers.plans import explained
from .scene import connected

pytestmark = pytest.mark.every_postgres


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection]:
    async with connected(database) as found:
        await prepare_connection(found)
        yield found


async def test_every_block_can_be_prepared(connection: asyncpg.Connection) -> None:
    failures = {}
    for name, text in blocks().items():
        try:
            await connection.prepare(text)
        except asyncpg.PostgresError as error:
            failures[name] = str(error)
    assert failures == {}


async def _plan(connection: asyncpg.Connection, name: str, *args: Any) -> str:
    """Return the plan of a block with these arguments, as one text."""
    prepared = await connection.prepare(f"EXPLAIN {sql(name)}")
    return "\n".join(row[0] for row in await prepared.fetch(*args))


NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def crowded(connection: asyncpg.Connection) -> asyncpg.Connection:
    """A database with 5,000 schedules, 50,000 runs that are over, and 2,500 that are not."""
    await connection.execute(
        """
        INSERT INTO sereno.job (name, plugin, policies)
        SELECT 'j' || n, 'p', '{}' FROM generate_series(1, 50) n;
        INSERT INTO sereno.job_stat (job) SELECT name FROM sereno.job;
        INSERT INTO sereno.schedule (name, job, origin, declared)
        SELECT 's' || n, 'j' || n % 50 + 1, 'user', '{}' FROM generate_series(1, 5000) n;
        INSERT INTO sereno.schedule_version
               (schedule_id, version, valid_from, state, trigger, params, policies, changed_by)
        SELECT id, 1, '2026-01-01', 'active', 'every 1h', '{}', '{}', 'x' FROM sereno.schedule;
        INSERT INTO sereno.watermark (schedule_id, job, settled_to, next_slot, wake_at)
        SELECT id, job, '2026-03-01', '2026-03-01', timestamptz '2026-03-01' + id * interval '1 s'
          FROM sereno.schedule;
        INSERT INTO sereno.run (job, state, cause, finished_at, run_at)
        SELECT 'j' || n % 50 + 1, 'succeeded', 'slot', now(), '2026-03-01'
          FROM generate_series(1, 50000) n;
        INSERT INTO sereno.slot (schedule_id, slot, verdict, run_id, term)
        SELECT n % 5000 + 1, timestamptz '2026-03-01' - n * interval '1 s', 'ran', n, 1
          FROM generate_series(1, 50000) n;
        INSERT INTO sereno.run (job, cause, run_at)
        SELECT 'j' || n % 50 + 1, 'program', '2026-03-01' FROM generate_series(1, 2000) n;
        INSERT INTO sereno.run (job, state, cause, node)
        SELECT 'j' || n % 50 + 1, 'running', 'program', '00000000-0000-0000-0000-000000000001'
          FROM generate_series(1, 500) n;
        """
    )
    await connection.execute("ANALYZE")
    return connection


LARGE = {"run", "watermark", "slot"}
WALKED = LARGE | {"schedule", "schedule_version"}
HOT: dict[str, tuple[Any, ...]] = {
    "agenda": (NOW + timedelta(minutes=2), 500),
    "agenda_of": ([1, 2, 3],),
    "queue_ready": (100, ["j1", "j2"], [1]),
    "queue_ready_keyed": (100, ["j1", "j2"], [], [1], [0], [7], 10),
    "queue_ready_children": (100, ["j1", "j2"], [], -1),
    "queue_next": (),
    "runs_claim": (1, uuid4(), [1, 2, 3], False),
    "runs_hand_over": (1, [1, 2, 3], [uuid4()] * 3, "sereno ", None, None, [None, None, "dask"]),
    "parts_make": (1, 1, ["host:a"], ["a"], [None], False),
    "parts_open": (),
    "parts_begun": ([1, 2, 3],),
    "parts_end": (1, [1, 2], ["gone", "gone"]),
    "wholes_end": (1, [1, 2]),
    "runs_hand_back": (1, None),
    "node_withdraw": (uuid4(), "sereno "),
    "queue_claim_first": (1, uuid4(), ["j1", "j2"], []),
    "runs_expire": (1, [1, 2, 3]),
    "cancel_request": (1, "x", None),
    "runs_active": (),
    "runs_of": (uuid4(),),
    "runs_states": ([1, 2, 3],),
    "cancel_requests": (uuid4(),),
    "node_requests": (uuid4(),),
    "absent_owners": (1,),
    "run_fence": (1, 1, uuid4(), uuid4()),
    "outcomes_write": (
        uuid4(), [1], [uuid4()], [NOW], [NOW], ["failed"], None, None, b"null", [None], [None],
        [None], [False], ["failed"], [True],
    ),
    "progress_write": (uuid4(), [1], [1], [uuid4()], [1.0], [None], ["x"], [None]),
    "settle": (
        1, uuid4(),
        [1], [NOW], [NOW], [NOW], [NOW], [1], ["j1"], [None], [None],
        [NOW], ["ran"], [None], [True], [{}], [{}], [0], [None], [NOW], [None],
        [1], [NOW], ["ran"], [None],
        [1], [NOW], [True], [{}], [{}], [0], [None], [NOW], [None],
        [], [], [], [], [], [],
    ),
}  # fmt: skip


async def test_no_hot_statement_reads_a_large_table_from_end_to_end(
    crowded: asyncpg.Connection,
) -> None:
    plans = {name: await _plan(crowded, name, *args) for name, args in HOT.items()}
    for plan in plans.values():
        assert set(re.findall(r"Seq Scan on (\w+)", plan)) & LARGE == set(), plan
    assert "watermark_wake" in plans["agenda"]


async def test_statements_are_not_compiled_first(database: str) -> None:
    db = Database(database)
    await db.open()
    try:
        async with db.connection() as pooled:
            assert await pooled.fetchval("SHOW jit") == "off"
    finally:
        await db.close()


PLANNED = "SELECT statement, custom_plans FROM pg_prepared_statements"


@pytest.fixture
async def keeping(database: str) -> AsyncIterator[Database]:
    db = Database(database, size=2, keeping=1)
    await db.open()
    yield db
    await db.close()


async def test_a_plan_that_was_made_for_empty_tables_does_not_last(
    keeping: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_KEPT_FOR", 0.0)
    states, way = sql("runs_states"), "EXPLAIN EXECUTE states('{1}')"
    async with keeping.connection_for(1) as kept:
        await kept.execute("VACUUM ANALYZE sereno.run")
        await kept.execute(f"PREPARE states AS {states}")
        assert "run_pkey" not in str(await kept.fetch(way))
        await kept.execute(
            "INSERT INTO sereno.run (job, cause)"
            " SELECT 'x', 'program' FROM generate_series(1, 9999)"
        )
        assert "run_pkey" not in str(await kept.fetch(way))
    async with keeping.connection_for(1) as kept:
        assert "run_pkey" in str(await kept.fetch(way))


async def test_a_statement_about_few_rows_is_planned_once(keeping: Database) -> None:
    for _ in range(20):
        async with keeping.connection_for(1) as kept:
            await kept.fetch(sql("runs_claim"), *HOT["runs_claim"])
            await kept.fetch(sql("outcomes_write"), *HOT["outcomes_write"])
            counts = dict(await kept.fetch(PLANNED))
    for name in ("runs_claim", "outcomes_write"):
        assert counts[sql(name)] == 0


async def test_a_statement_about_many_rows_is_planned_for_them(keeping: Database) -> None:
    async with keeping.connection_for(1_000) as pooled:
        assert await pooled.fetchval("SHOW plan_cache_mode") == "auto"
        assert await pooled.fetchval("SHOW enable_seqscan") == "on"


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_a_look_ahead_reads_the_schedules_of_its_step_alone(
    crowded: asyncpg.Connection, mode: str
) -> None:
    await crowded.execute(f"SET plan_cache_mode = {mode}")
    for instant in (NOW, None):
        asked = ("rules", instant, 1, 250, 10, False)
        plan = "\n".join(await explained(crowded, sql("drift_walk"), *asked))
        assert plan.count("watermark_wake") == 2, plan
        assert set(re.findall(r"Seq Scan on (\w+)", plan)) & WALKED == set(), plan


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_runs_that_ended_badly_are_found_among_many_that_succeeded(
    crowded: asyncpg.Connection, mode: str
) -> None:
    await crowded.execute(f"SET plan_cache_mode = {mode}")
    for states in (["failed"], ["failed", "timed_out", "lost"], ["cancelled"]):
        for job in (None, "j1"):
            jobs = None if job is None else [job]
            asked = (True, 0, 2**63 - 1, jobs, states, 500, 20, *[None] * 10, "over", None, None)
            plan = "\n".join(await explained(crowded, sql("runs_walk"), *asked, options="ANALYZE"))
            read = [line for line in plan.splitlines() if " on run " in line and "loops" in line]
            ways = [line for line in read if "run_pkey" not in line]
            assert len(ways) == 1, plan
            assert "run_ended_badly" in ways[0], plan
