"""What is not due costs nothing: ten times the schedules and the runs, and no more is read."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from sereno.store.pool import prepare_connection
from sereno.store.sql import sql

from ..servers.plans import blocks_read
from .scene import connected

NODE = UUID(int=1)
THEN = datetime(2026, 3, 1, tzinfo=UTC)
SINCE = timedelta(days=36_500)
FEW = 2_000
HOURS = [THEN + n * timedelta(hours=1) for n in range(25)]
JOBS = """
INSERT INTO sereno.job (name, plugin, policies, overdue_after, registered_at)
VALUES ('kept', 'p', '{}', '1h', '2026-01-01'), ('idle', 'p', '{}', NULL, '2026-01-01');
INSERT INTO sereno.job_stat (job, last_success_at) SELECT name, '2026-03-01' FROM sereno.job;
INSERT INTO sereno.change (by, subject, action) VALUES ('ana@far', 'idle', 'pause'),
       ('bo', 'idle@x', 'drift');
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
INSERT INTO sereno.run_log (run_id, attempt, line, at, level, logger, message)
SELECT id, 1, 0, queued_at, 'INFO', 'kept', 'said' FROM sereno.run WHERE schedule_id >= %(first)s;
INSERT INTO sereno.bulk (action, filter, reason, requested_by, place, state, finished_at)
SELECT 'retry', '{}', 'x', 'ana', n, 'done', now() FROM generate_series(%(first)s, %(last)s) n;
INSERT INTO sereno.change (at, by, subject, action)
SELECT timestamptz '2026-01-01' + n * interval '1 m', 'ci@h' || n, 'kept@' || n, 'change'
  FROM generate_series(%(first)s, %(last)s) n, generate_series(1, 5);
"""

OLD = datetime(2026, 1, 2, tzinfo=UTC)


def walked(
    older: bool = True,
    jobs: list[str] | None = None,
    states: list[str] | None = None,
    way: str | None = None,
    **rest: Any,
) -> tuple[str, tuple[Any, ...]]:
    """Return how runs are looked for: 500 at most for 20, by what else is in `rest`."""
    names = ("causes", "schedules", "nodes", "asker", "since", "until", "params", "error")
    names += ("all_of", "none_of")
    bounds = (older, 0 if older else 10, 2**63 - 1, jobs, states, 500, 21)
    return "runs_walk", (*bounds, *(rest.get(name) for name in names), way, None, None)


def said(older: bool, at: datetime, **rest: Any) -> tuple[str, tuple[Any, ...]]:
    """Return how log lines are looked for: 100 at most for 20."""
    bounds = (older, 100, 21, at, 0, 0, 0, OLD - SINCE, OLD + SINCE)
    return "lines_walk", (*bounds, rest.get("levels"), rest.get("jobs"), rest.get("text"))


def changed(
    way: str = "any", subject: str | None = None, by: str | None = None, *, older: bool = True
) -> tuple[str, tuple[Any, ...]]:
    """Return how changes are looked for: 500 at most for 20."""
    low, high = (0, 2**63 - 1) if older else (10, 2**63 - 1)
    return "changes_walk", (older, low, high, way, 500, 21, subject, by, None)


QUESTIONS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "what monitors ask": ("watch_jobs", (1, 1)),
    "what the leader is to look at": ("agenda", (THEN, 20_000)),
    "what waits": ("queue_ready", (100, ["kept"], [])),
    "what waits in turn": ("queue_ready_keyed", (100, ["kept"], [], [], [], [], 10)),
    "what waits of fan-outs": ("queue_ready_children", (26, ["kept"], [], -1)),
    "when the next run is ready": ("queue_next", ()),
    "what a new leader takes over": ("runs_active", ()),
    "whose owner is gone": ("absent_owners", (1,)),
    "the runs of a node": ("runs_of", (NODE,)),
    "what is to stop": ("cancel_requests", (NODE,)),
    "the replicas": ("nodes_present", (1,)),
    "the jobs": ("view_jobs", (None,)),
    "one schedule by its name": ("schedules_named", ("kept@7",)),
    "schedules as they stand": ("view_schedules_of", (list(range(1, 21)),)),
    "the newest runs": walked(),
    "the runs after an old one": walked(older=False),
    "runs by what no run has": walked(params={"site": 12}),
    "runs by what no run has, after": walked(older=False, params={"site": 12}),
    "the newest runs of a job": walked(jobs=["kept"]),
    "the newest runs of two jobs": walked(jobs=["kept", "idle"]),
    "the runs of a job after an old one": walked(older=False, jobs=["kept"]),
    "the runs of a job without any": walked(jobs=["idle"]),
    "what failed": walked(states=["failed", "timed_out"], way="over"),
    "what failed after an old one": walked(older=False, states=["failed"], way="over"),
    "what failed of a job": walked(jobs=["kept"], states=["failed"], way="over"),
    "what failed of a job after": walked(older=False, jobs=["kept"], states=["lost"], way="over"),
    "what runs": walked(states=["running"], way="live"),
    "what runs or waits of a job": walked(jobs=["kept"], states=["running", "queued"], way="live"),
    "all that did not succeed": walked(states=["queued", "running", "lost"], way="both"),
    "by what no run has": walked(params={"site": 12}, error="disk", asker="ana", causes=["chain"]),
    "of a job by what no run has": walked(jobs=["kept"], params={"site": 12}, nodes=[NODE]),
    "of a schedule at a time": walked(jobs=["kept"], schedules=[7], since=OLD, until=OLD),
    "of very many jobs": walked(all_of=["kept"], none_of=["idle"]),
    "the number at an instant": ("run_number_at", (OLD,)),
    "whether few wait": ("runs_queued_few", (10_000,)),
    "runs as they are listed": ("view_runs_of", (list(range(1, 21)),)),
    "what followed a run": ("chain_after", ([3], 500)),
    "the newest log lines": said(True, OLD + SINCE),
    "log lines after an old one": said(False, OLD),
    "log lines by what none has": said(True, OLD + SINCE, levels=["ERROR"], text="x"),
    "log lines of a job before": said(True, OLD, jobs=["idle"]),
    "the log lines of a run": ("view_lines_after", (3, 1, -1, 100)),
    "one run": ("view_run", (3,)),
    "the slots of a day": ("view_slots", ("kept", THEN, THEN + timedelta(days=1), 100)),
    "the slots of a day by its hours": ("count_slots", ("kept", HOURS, 4_000)),
    "what ended in each hour": ("count_ended", (HOURS[:-1], HOURS[1:], None, 1_000)),
    "declared schedules": ("schedules_declared", ()),
    "schedules that a deploy concerns": ("schedules_astray", (["kept", "idle"],)),
    "names that are taken": ("schedules_taken", (["kept@7", "idle"],)),
    "the first run since": ("verify_first", (THEN + timedelta(days=3_650),)),
    "the look ahead": ("drift_walk", ("rules", THEN, 1, 250, 10, False)),
    "which bulk is to be carried out": ("bulk_next", ()),
    "the newest bulks": ("view_bulks", (20, None)),
    "the newest changes": changed(),
    "the changes after an old one": changed(older=False),
    "the changes of a schedule": changed("subject", "idle@x"),
    "the changes of a job": changed("job", "idle"),
    "the changes of a job after an old one": changed("job", "kept", older=False),
    "what somebody changed": changed("asker", by="bo"),
    "what somebody changed of a job": changed("job", "kept", "bo"),
    "what somebody changed, after": changed("asker", by="ci", older=False),
    "whether there are changes of a name": ("view_subjects", ("nobody",)),
    "the number of changes at an instant": ("change_number_before", (OLD,)),
    "changes as they are listed": ("view_changes_of", (list(range(1, 21)),)),
    "schedules that have moved": ("view_drift", (20,)),
    "runs for a chunk of a bulk": walked(jobs=["kept"], until=OLD, states=["failed"], way="over"),
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


async def pages_read(connection: asyncpg.Connection) -> dict[tuple[str, str], int]:
    """Return for each kind of plan and question how many pages of the database its answer takes."""
    found = {}
    for mode in ("force_custom_plan", "force_generic_plan"):
        await connection.execute(f"SET plan_cache_mode = {mode}")
        for question, (name, args) in QUESTIONS.items():
            await blocks_read(connection, sql(name), *args)  # the first reads the catalogue as well
            found[mode, question] = await blocks_read(connection, sql(name), *args)
    return found


@pytest.mark.every_postgres
async def test_no_answer_reads_what_it_is_not_about(connection: asyncpg.Connection) -> None:
    await grow(connection, 1, FEW)
    few = await pages_read(connection)
    await grow(connection, FEW + 1, 10 * FEW)
    many = await pages_read(connection)
    # An index that is ten times as large may be a level deeper, for each of twenty runs.
    grown = {q: (few[q], many[q]) for q in few if many[q] > 1.5 * few[q] + 30}
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
