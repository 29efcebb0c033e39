"""Old history goes in batches; what is not over stays, and the account of slots still holds."""

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from sereno.engine.verify import verify
from sereno.store.ledger import settle

from .scene import NODE, Scene, named, opened, settlement, slots_after

YEAR = timedelta(days=365)


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare("a", "b", named("a"))
        yield found


async def fill(scene: Scene, job: str, days: int, count: int, state: str = "succeeded") -> None:
    """Make so many runs that ended, or began, so many days ago, each with a log line."""
    await scene.eye.execute(
        "WITH made AS (INSERT INTO sereno.run (job, state, cause, finished_at)"
        " SELECT $1, $2, 'program', CASE WHEN $2 IN ('queued', 'running') THEN NULL"
        " ELSE clock_timestamp() - make_interval(days => $3) END"
        " FROM generate_series(1, $4) RETURNING id)"
        " INSERT INTO sereno.run_log SELECT id, 1, 0, now(), 'INFO', 'x', 'y' FROM made",
        job,
        state,
        days,
        count,
    )


async def prune(scene: Scene, days: int = 30, keep: int = 1000, batch: int = 1000) -> int:
    query = "SELECT sereno.prune(make_interval(days => $1), $2, $3)"
    return int(await scene.value(query, days, keep, batch))


async def left(scene: Scene, job: str) -> int:
    return int(await scene.value("SELECT count(*) FROM sereno.run WHERE job = $1", job))


async def test_runs_that_ended_too_long_ago_go_with_all_that_is_theirs(scene: Scene) -> None:
    await fill(scene, "a", 31, 3)
    await fill(scene, "a", 29, 2)
    assert await prune(scene) == 3
    assert await left(scene, "a") == 2
    assert await scene.value("SELECT count(*) FROM sereno.run_log") == 2
    assert await prune(scene) == 0


async def test_of_each_job_the_newest_stay(scene: Scene) -> None:
    await fill(scene, "a", 1, 5)
    await fill(scene, "b", 1, 2)
    assert await prune(scene, keep=3) == 2
    assert (await left(scene, "a"), await left(scene, "b")) == (3, 2)
    ids = await scene.rows("SELECT id FROM sereno.run WHERE job = 'a' ORDER BY id")
    assert ids == [(3,), (4,), (5,)]


async def test_what_is_not_over_stays_however_old(scene: Scene) -> None:
    await fill(scene, "a", 400, 2, "queued")
    await fill(scene, "a", 400, 2, "running")
    await fill(scene, "a", 1, 3)
    assert await prune(scene, days=1, keep=0) == 3
    assert await left(scene, "a") == 4


async def test_one_call_deletes_one_batch(scene: Scene) -> None:
    await fill(scene, "a", 31, 25)
    assert [await prune(scene, batch=10) for _ in range(4)] == [10, 10, 5, 0]


@pytest.mark.parametrize(("days", "keep", "batch"), [(0, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, 0)])
async def test_limits_that_make_no_sense_are_refused(
    scene: Scene, days: int, keep: int, batch: int
) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError, match="prune: older_than must be"):
        await prune(scene, days, keep, batch)


async def settled_long_ago(scene: Scene, days: int, hours: int) -> None:
    """Settle so many hourly slots from so many days ago on, each with a run that is over."""
    await scene.eye.execute(
        "UPDATE sereno.schedule_version SET valid_from = valid_from - make_interval(days => $1)",
        days,
    )
    await scene.eye.execute(
        "UPDATE sereno.watermark SET settled_to = settled_to - make_interval(days => $1)", days
    )
    entry = await scene.entry("a")
    verdicts = [(slot, "ran") for slot in slots_after(entry, hours)]
    await settle(scene.db, scene.term, NODE, [settlement(entry, *verdicts)])
    await scene.eye.execute("UPDATE sereno.run SET state = 'succeeded', finished_at = slot")


async def test_the_account_of_slots_holds_before_and_after(scene: Scene) -> None:
    await settled_long_ago(scene, days=10, hours=200)
    assert (await verify(scene.db, YEAR)).holds
    while await prune(scene, days=5, batch=50):
        account = await verify(scene.db, YEAR)
        assert account.holds, account.faults
    assert 0 < await scene.value("SELECT count(*) FROM sereno.slot") < 200
    assert await prune(scene, keep=5) > 0
    account = await verify(scene.db, YEAR)
    assert account.holds, account.faults


HARMS = {
    "lost": "DELETE FROM sereno.slot WHERE slot = $1",
    "run missing": "DELETE FROM sereno.run WHERE slot = $1",
    "unexpected": "INSERT INTO sereno.slot (schedule_id, slot, verdict, term)"
    " VALUES (1, $1::timestamptz + interval '1 s', 'missed', 1)",
    "doubled": "INSERT INTO sereno.slot_range (schedule_id, first_slot, last_slot, slots, verdict,"
    " reason, term) VALUES (1, $1, $1, 1, 'missed', 'x', 1)",
    "doubled by a run": "INSERT INTO sereno.run (job, cause, schedule_id, slot)"
    " VALUES ('a', 'slot', 1, $1)",
}


@pytest.mark.parametrize("kind", HARMS)
async def test_what_somebody_did_by_hand_is_found(scene: Scene, kind: str) -> None:
    await settled_long_ago(scene, days=2, hours=24)
    slot = await scene.value("SELECT slot FROM sereno.slot ORDER BY slot OFFSET 10 LIMIT 1")
    await scene.eye.execute(HARMS[kind], slot)
    account = await verify(scene.db, YEAR)
    assert not account.holds
    assert kind.removesuffix(" by a run") in account.counts
