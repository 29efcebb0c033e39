"""A database of the first schema, with data in it, comes up to the newest and goes on."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sereno.engine.verification import verify
from sereno.model.errors import ParamsError
from sereno.store import ledger, queue, runs, schedules, views
from sereno.store.migration import migrations
from sereno.store.migrator import migrate
from sereno.store.sql import sql

from .scene import NODE, OTHER, Scene, connected, declared_job, named, opened, settlement

pytestmark = pytest.mark.every_postgres

DATA = Path(__file__).with_name("first_schema.sql").read_text()
SINCE_THEN = timedelta(days=365 * 50)
TEN = datetime(2026, 3, 1, 10, tzinfo=UTC)


async def _first_schema(dsn: str) -> None:
    """Bring an empty database to the first migration alone, as its own version did."""
    async with connected(dsn) as connection:
        first = migrations()[0]
        await connection.execute(sql("migration_schema"))
        await connection.execute(sql("migration_table"))
        await connection.execute(first.text)
        await connection.execute(sql("migration_record"), first.number, first.name, first.checksum)
        await connection.execute(DATA)


async def _rows(dsn: str) -> dict[str, list[Any]]:
    """Return all rows of the schema's tables, by table."""
    async with connected(dsn) as connection:
        tables = await connection.fetch(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'sereno'"
            " AND table_name <> 'migration' ORDER BY 1"
        )
        return {
            t[0]: [
                dict(r)
                for r in await connection.fetch(f"SELECT * FROM sereno.{t[0]} t ORDER BY t::text")
            ]
            for t in tables
        }


@pytest.fixture
async def scene(empty_database: str) -> AsyncIterator[Scene]:
    await _first_schema(empty_database)
    await migrate(empty_database)
    async with opened(empty_database) as found:
        found.term = 7
        yield found


async def test_no_row_is_lost_and_no_value_changed(empty_database: str) -> None:
    await _first_schema(empty_database)
    before = await _rows(empty_database)
    assert [table for table, rows in before.items() if not rows] == [
        "cancel_request",
        "catalogue",
    ]
    applied = (await migrate(empty_database, post=True)).applied
    assert sorted(applied) == [m.name for m in migrations()[1:]]
    after = await _rows(empty_database)
    for table, rows in before.items():
        kept = [{k: v for k, v in row.items() if k in rows[0]} for row in after[table] if rows]
        assert kept == rows, table


async def test_its_ledger_still_proves_that_no_slot_was_lost(scene: Scene) -> None:
    account = await verify(scene.db, SINCE_THEN)
    assert account.holds, account.faults
    assert account.verdicts == {"ran": 2, "coalesced": 3, "skipped": 5}


async def test_a_leader_goes_on_where_the_old_one_ended(scene: Scene) -> None:
    await scene.begin_term(NODE)
    jobs = [declared_job("etl.sync"), declared_job("etl.report", after="etl.sync")]
    assert await scene.declare(*jobs, named("etl.sync", "every 1h"))
    entry = await scene.entry("etl.sync")
    assert entry.settled_to == TEN - timedelta(minutes=30)
    assert entry.current.params == {"site": "vigo"}  # what a person laid over it
    settled, made = await ledger.settle(
        scene.db, scene.term, NODE, [settlement(entry, (TEN, "late"))]
    )
    assert settled == {entry.schedule_id}
    assert len(made) == 1
    (paused,) = await views.schedules(scene.db, "etl.report@mine")
    assert (paused.state, paused.paused_by, paused.paused_reason) == ("paused", "ana", "holidays")
    assert await schedules.resume(scene.db, "etl.report@mine", by="ben") == (
        ["etl.report@mine"],
        [],
    )


async def test_its_runs_are_claimed_shown_lost_and_kept_unique(scene: Scene) -> None:
    await scene.begin_term(OTHER)
    queued = await scene.value("SELECT id FROM sereno.run WHERE state = 'queued'")
    running = await scene.value("SELECT id FROM sereno.run WHERE state = 'running'")
    same = await queue.enqueue(scene.db, "etl.report", {}, requested_by="x", unique_key="day")
    assert same == queued
    with pytest.raises(ParamsError, match="unknown param 'dai'"):
        await queue.enqueue(scene.db, "etl.report", {"dai": 1}, requested_by="x")
    (claimed,) = await runs.claim(scene.db, scene.term, OTHER, [queued])
    assert claimed.params == {"day": "2026-03-01"}
    shown = await views.run(scene.db, running)
    assert [a.error for a in shown.attempts] == ["E: x"]
    assert [line.message for line in shown.lines] == ["half way"]
    assert shown.checkpoint == {"at": 5}
    (lost,) = await runs.lose(scene.db, scene.term, UUID(int=1), [(running, 2, None, True)], "gone")
    assert lost["state"] == "queued"


async def test_its_history_can_be_pruned(scene: Scene) -> None:
    pruned = "SELECT sereno.prune(interval '1 day', 0)"
    assert (
        await scene.value(pruned) == 2 + 2 + 2 + 1
    )  # runs that are over, slots, ranges, a version
    assert await scene.value(pruned) == 0
    assert (await verify(scene.db, SINCE_THEN)).holds
