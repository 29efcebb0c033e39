"""What monitors read from a real database, and what they see while there is none."""

import asyncio
import json
import re
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from sereno.observe.job_watch import Glance, JobWatch
from sereno.observe.overdue import overdue_at, overdue_seconds
from sereno.store.keys import LEADER_LOCK, LOCK_CLASS
from sereno.store.migrator import migrate
from sereno.store.pool import Database
from sereno.store.snapshot import JobFacts
from sereno.store.sql import sql

from ..servers.postgres import PostgresServer
from .metrics_scene import add_job, add_schedule, add_slot, change_state, opened, run_sql

HOUR = 3600


class Steps:
    """A steady clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def look(database: Database) -> Glance:
    return await JobWatch(database).poll()


async def facts(database: Database, job: str = "etl.sync") -> JobFacts:
    glance = await look(database)
    assert glance.error is None, glance.error
    return glance.jobs[job]


@pytest.mark.every_postgres
async def test_an_empty_database_has_no_jobs_and_no_leader(database: str) -> None:
    async with opened(database) as db:
        glance = await look(db)

    assert glance.error is None
    assert glance.snapshot is not None
    assert (glance.snapshot.term, glance.snapshot.leader, glance.snapshot.led) == (0, None, False)
    assert glance.jobs == {}


@pytest.mark.every_postgres
async def test_each_fact_of_a_job_stands_in_its_place(database: str) -> None:
    async with opened(database) as db:
        await add_job(
            db,
            policies='{"grace": "PT90S", "timeout": "PT600S"}',
            overdue_after="'7h'",
            severity="critical",
            registered_at="to_timestamp(1000)",
            succeeded="1",
            failed="2",
            timed_out="3",
            cancelled="4",
            lost="5",
            retried="6",
            expired="12",
            late="7",
            warnings="11",
            coalesced="8",
            skipped="9",
            missed="10",
            last_success_at="to_timestamp(2000)",
            last_end_at="to_timestamp(3000)",
            last_state="'failed'",
            last_run="77",
            last_duration="interval '1.5 s'",
        )
        await add_schedule(db, next_slot="to_timestamp(5000)", created_at="to_timestamp(1500)")
        await add_schedule(db, label="later", next_slot="to_timestamp(6000)")
        await add_schedule(db, label="held", state="paused")
        await add_slot(db, "etl.sync", "to_timestamp(2500)")
        await run_sql(
            db,
            "INSERT INTO sereno.run (job, state, cause, slot, started_at, attempt) VALUES"
            " ('etl.sync', 'queued', 'slot', to_timestamp(4000), NULL, 0),"
            " ('etl.sync', 'queued', 'slot', to_timestamp(3900), NULL, 1),"
            " ('etl.sync', 'running', 'slot', to_timestamp(3500), to_timestamp(3600), 1),"
            " ('etl.sync', 'succeeded', 'slot', to_timestamp(1), to_timestamp(1), 1)",
        )
        job = await facts(db)

    assert job == JobFacts(
        name="etl.sync",
        plugin="etl",
        severity="critical",
        after=[],
        overdue_after=7 * HOUR,
        grace=90,
        timeout=600,
        fresh_at=2000,
        succeeded=1,
        failed=2,
        timed_out=3,
        cancelled=4,
        lost=5,
        retried=6,
        expired=12,
        late=7,
        coalesced=8,
        skipped=9,
        missed=10,
        warnings=11,
        last_success_at=2000,
        last_end_at=3000,
        last_state="failed",
        last_run=77,
        last_duration=1.5,
        active=True,
        paused=False,
        next_slot=5000,
        due_by=5090,
        queued=2,
        queued_slot=4000,
        running=1,
        running_since=3600,
        resumed_at=1500,
        unmet_slot=2500,
    )


async def test_a_schedules_own_grace_counts_for_its_slots(database: str) -> None:
    async with opened(database) as db:
        await add_job(db)
        await add_schedule(db, next_slot="to_timestamp(5000)", policies='{"grace": "PT10M"}')

        assert (await facts(db)).due_by == 5600


async def test_the_soonest_slot_and_the_soonest_end_of_a_grace_may_be_two_schedules(
    database: str,
) -> None:
    async with opened(database) as db:
        await add_job(db)
        await add_schedule(db, next_slot="to_timestamp(5500)")
        await add_schedule(
            db, label="own", next_slot="to_timestamp(5000)", policies='{"grace": "PT10M"}'
        )
        one = await facts(db)
        await add_schedule(db, label="soon", next_slot="to_timestamp(4900)")
        two = await facts(db)

    assert (one.next_slot, one.due_by) == (5000, 5560)
    assert (two.next_slot, two.due_by) == (4900, 4960)


async def test_a_job_is_paused_when_none_of_its_schedules_is_active(database: str) -> None:
    async with opened(database) as db:
        await add_job(db)
        await add_schedule(db)
        await add_schedule(db, label="held", state="paused")
        one = await facts(db)
        await change_state(db, "etl.sync", "orphaned", "now()")
        none = await facts(db)

    assert (one.active, one.paused) == (True, False)
    assert (none.active, none.paused, none.next_slot) == (False, True, None)


async def test_a_job_that_is_no_longer_declared_is_not_shown(database: str) -> None:
    async with opened(database) as db:
        await add_job(db)
        await run_sql(db, "UPDATE sereno.job SET present = false")

        assert (await look(db)).jobs == {}


async def test_who_leads_is_told_while_the_lock_is_held(database: str) -> None:
    node = uuid4()
    async with opened(database) as db:
        await run_sql(
            db,
            f"INSERT INTO sereno.node (id, label, pid, version) VALUES ('{node}', 'a-1', 1, '1');"
            f"UPDATE sereno.leadership SET term = 4, node = '{node}', acquired_at = now()",
        )
        leader = await asyncpg.connect(database)
        for lock in (1, LEADER_LOCK):
            await leader.execute("SELECT pg_advisory_lock($1::int, $2::int)", LOCK_CLASS, lock)
        while_held = (await look(db)).snapshot
        await leader.close()
        after = (await look(db)).snapshot

    assert while_held is not None
    assert after is not None
    assert (while_held.term, while_held.leader, while_held.leader_label) == (4, node, "a-1")
    assert (while_held.led, after.led) == (True, False)


async def test_a_change_by_a_person_or_a_deploy_is_dated(database: str) -> None:
    async with opened(database) as db:
        before = (await look(db)).snapshot
        await run_sql(
            db,
            "INSERT INTO sereno.change (at, by, subject, action) VALUES"
            " ('2026-01-01T00:00Z', 'ana', 'etl.sync', 'pause');"
            "INSERT INTO sereno.catalogue (fingerprint, term, at)"
            " VALUES ('x', 1, '2026-01-02T00:00Z')",
        )
        after = (await look(db)).snapshot

    assert before is not None
    assert before.changed_at is None
    assert after is not None
    assert after.changed_at == datetime(2026, 1, 2, tzinfo=UTC)


def tables_read(plan: dict[str, Any], found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return table and access path of every scan in `plan`."""
    if "Relation Name" in plan:
        found.append((plan["Relation Name"], plan.get("Index Name", plan["Node Type"])))
    for part in plan.get("Plans", []):
        tables_read(part, found)
    return found


@pytest.mark.every_postgres
async def test_the_query_does_not_read_the_runs_that_are_kept(database: str) -> None:
    async with opened(database) as db:
        await add_job(db, overdue_after="'7h'")
        await add_schedule(db)
        await run_sql(
            db,
            "INSERT INTO sereno.run (job, state, cause) SELECT 'etl.sync', 'succeeded', 'slot'"
            " FROM generate_series(1, 20000)",
        )
        await run_sql(
            db,
            "INSERT INTO sereno.slot SELECT id, now() - g * interval '1 minute', 'ran', NULL, NULL,"
            " 1 FROM sereno.schedule, generate_series(1, 20000) g",
        )
        await run_sql(db, "ANALYZE")
        async with db.connection() as connection:
            query = re.sub(r"\$\d", "1", sql("watch_jobs"))
            (row,) = await connection.fetch(f"EXPLAIN (FORMAT JSON) {query}")
    scans = tables_read(json.loads(row[0])[0]["Plan"], [])

    assert {path for table, path in scans if table == "run"} <= {
        "run_free",
        "run_child",
        "run_turn",
        "run_later",
        "run_owned",
        "run_unique",
    }
    assert {path for table, path in scans if table == "slot"} == {"slot_pkey"}


class CountedDatabase(Database):
    queries = 0

    async def fetchrow(self, name: str, *args: Any) -> asyncpg.Record | None:
        self.queries += 1
        return await super().fetchrow(name, *args)


async def test_readers_share_one_query_a_second(database: str) -> None:
    db, clock = CountedDatabase(database), Steps()
    await db.open()
    watch = JobWatch(db, steady=clock)

    await asyncio.gather(*(watch.poll() for _ in range(20)))
    clock.now += 0.9
    await watch.poll()
    assert db.queries == 1

    clock.now += 0.2
    await watch.poll()
    assert db.queries == 2
    await db.close()


async def test_while_the_database_is_away_time_goes_on(private_postgres: PostgresServer) -> None:
    private_postgres.execute("CREATE DATABASE watched")
    dsn, clock = private_postgres.dsn("watched"), Steps()
    await migrate(dsn)
    async with opened(dsn, timeout=2.0) as db:
        await add_job(db, overdue_after="'7h'", last_success_at="now()", last_state="'failed'")
        await add_schedule(db, next_slot="now() + interval '9h'")
        watch = JobWatch(db, steady=clock)
        before = await watch.poll()
        private_postgres.stop()
        clock.now += 8 * HOUR
        away = await watch.poll()
        private_postgres.start()
        clock.now += 2
        back = await watch.poll()

    assert before.error is None
    assert away.error is not None
    assert away.now is not None
    assert before.now is not None
    assert (away.now - before.now).total_seconds() == 8 * HOUR
    assert away.snapshot is before.snapshot
    job = away.jobs["etl.sync"]
    at = overdue_at(job, away.jobs, away.snapshot.now.timestamp()) if away.snapshot else None
    assert round(overdue_seconds(at, away.now.timestamp()) / 60) == 60
    assert back.error is None


async def test_a_database_that_does_not_answer_holds_no_reader_for_longer_than_its_patience(
    database: str,
) -> None:
    async with opened(database) as db:
        await add_job(db)
        blocker = await asyncpg.connect(database)
        transaction = blocker.transaction()
        await transaction.start()
        await blocker.execute("LOCK TABLE sereno.job IN ACCESS EXCLUSIVE MODE")
        watch = JobWatch(db, patience=0.2)

        glance = await watch.poll()
        assert glance.snapshot is None
        assert glance.error is not None
        assert "not answered" in glance.error

        await transaction.rollback()
        await blocker.close()
        await watch.close()
        again = await JobWatch(db).poll()
        assert list(again.jobs) == ["etl.sync"]


async def test_before_the_pool_is_open_a_look_says_so(database: str) -> None:
    glance = await JobWatch(Database(database)).poll()

    assert glance.snapshot is None
    assert glance.error is not None


async def test_a_schema_that_is_missing_is_a_sentence(empty_database: str) -> None:
    async with opened(empty_database) as db:
        glance = await look(db)

    assert glance.error is not None
    assert "sereno migrate" in glance.error
