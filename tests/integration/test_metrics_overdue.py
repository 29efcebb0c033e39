"""When a job is overdue, from what a real database says of it."""

import pytest

from sereno.observe.job_watch import JobWatch
from sereno.observe.overdue import overdue_at, overdue_seconds
from sereno.store.pool import Database

from .metrics_scene import add_job, add_schedule, add_slot, change_state, opened, run_sql

HOUR, DAY = 3600, 86400


async def overdue(database: Database, job: str = "etl.sync") -> float:
    """Return the seconds that `job` is overdue by, rounded to minutes."""
    glance = await JobWatch(database).poll()
    assert glance.snapshot is not None, glance.error
    now = glance.snapshot.now.timestamp()
    seconds = overdue_seconds(overdue_at(glance.jobs[job], glance.jobs, now), now)
    return round(seconds / 60) * 60


async def test_a_failing_job_is_overdue_from_the_age_on(database: str) -> None:
    async with opened(database) as db:
        await add_job(
            db, overdue_after="'7h'", last_success_at="now() - interval '9h'", last_state="'failed'"
        )
        await add_schedule(db)
        await add_slot(db, "etl.sync", "now() - interval '3h'")

        assert await overdue(db) == 2 * HOUR


async def test_slots_while_paused_or_outside_a_window_are_no_reason_to_be_overdue(
    database: str,
) -> None:
    async with opened(database) as db:
        await add_job(db, overdue_after="'7h'", last_success_at="now() - interval '2 days'")
        await add_schedule(db)
        await add_slot(db, "etl.sync", "now() - interval '1d'", "skipped", "'paused'")
        await add_slot(db, "etl.sync", "now() - interval '20h'", "skipped", "'outside its window'")
        await run_sql(
            db,
            "INSERT INTO sereno.slot_range SELECT id, now() - interval '15h',"
            " now() - interval '3h', 50, 'skipped', 'outside its window', 1 FROM sereno.schedule",
        )

        assert await overdue(db) == 0


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        ("skipped", "'overlap: an earlier run is not over'"),
        ("missed", "'later than its grace'"),
    ],
)
async def test_slots_that_should_have_run_are(database: str, verdict: str, reason: str) -> None:
    async with opened(database) as db:
        await add_job(db, overdue_after="'7h'", last_success_at="now() - interval '2 days'")
        await add_schedule(db)
        await run_sql(
            db,
            "INSERT INTO sereno.slot_range SELECT id, now() - interval '46h',"
            f" now() - interval '3h', 50, '{verdict}', {reason}, 1 FROM sereno.schedule",
        )

        assert await overdue(db) == 2 * DAY - 7 * HOUR


async def test_a_pause_of_a_week_does_not_count_when_it_is_over(database: str) -> None:
    async with opened(database) as db:
        await add_job(
            db, overdue_after="'7h'", last_success_at="now() - interval '8d'", last_state="'failed'"
        )
        await add_schedule(db)
        await add_slot(db, "etl.sync", "now() - interval '7 days 12 hours'")
        assert await overdue(db) > 0

        await change_state(db, "etl.sync", "paused", "now() - interval '7d'")
        assert await overdue(db) == 0

        await change_state(db, "etl.sync", "active", "now() - interval '1h'")
        assert await overdue(db) == 0


async def test_a_schedule_that_is_new_does_not_make_an_old_job_overdue(database: str) -> None:
    async with opened(database) as db:
        await add_job(db, overdue_after="'7h'", last_success_at="now() - interval '30d'")
        await add_schedule(db, created_at="now()")

        assert await overdue(db) == 0


async def test_a_pause_of_one_of_two_schedules_does_not_excuse_the_job(database: str) -> None:
    async with opened(database) as db:
        await add_job(db, overdue_after="'7h'", last_success_at="now() - interval '9h'")
        await add_schedule(db)
        await add_schedule(db, label="extra")
        await change_state(db, "etl.sync@extra", "paused", "now() - interval '2h'")
        await change_state(db, "etl.sync@extra", "active", "now() - interval '1h'")
        await add_slot(db, "etl.sync", "now() - interval '3h'")

        assert await overdue(db) == 2 * HOUR
