"""A job says for how long its runs are kept, and how many; all else is kept and counted as ever."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from sereno import DeclarationError, every, job, schedule
from sereno.engine.verification import verify
from sereno.store.ledger import settle

from .scene import NODE, Scene, declared_job, named, nothing, opened, settlement, slots_after

YEAR = timedelta(days=365)


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        yield found


async def jobs(scene: Scene, **policies: dict[str, Any]) -> None:
    """Declare these jobs, each with its policies, and one `plain` without."""
    await scene.declare("plain", *(declared_job(name, **said) for name, said in policies.items()))


async def fill(scene: Scene, name: str, days: float, count: int, state: str = "succeeded") -> None:
    await scene.eye.execute(
        "INSERT INTO sereno.run (job, state, cause, attempt, queued_at, started_at, finished_at)"
        " SELECT $1, $2, 'program', 1, at - interval '1 min', at,"
        " CASE WHEN $2 NOT IN ('queued', 'running') THEN at END"
        " FROM generate_series(1, $4),"
        " LATERAL (SELECT clock_timestamp() - $3::interval AS at) AS x",
        name,
        state,
        timedelta(days=days),
        count,
    )


async def prune(scene: Scene, days: int = 30, keep: int = 1000, batch: int = 1000) -> list[int]:
    """Prune as `cleanup.history` does; return how many each batch deleted."""
    batches = []
    while not batches or batches[-1]:
        query = "SELECT sereno.prune(make_interval(days => $1), $2, $3)"
        batches.append(int(await scene.value(query, days, keep, batch)))
    return batches[:-1]


async def left(scene: Scene) -> dict[str, int]:
    rows = await scene.rows("SELECT job, count(*) FROM sereno.run GROUP BY job ORDER BY job")
    return dict(rows)  # type: ignore[arg-type]


async def test_a_job_keeps_its_runs_for_less_or_more_time_than_all_others(scene: Scene) -> None:
    await jobs(scene, day={"keep_for": "1d"}, year={"keep_for": "365d"})
    for days in (400, 100, 20, 0.5):
        for name in ("day", "year", "plain"):
            await fill(scene, name, days, 2)
    await prune(scene, days=30)
    assert await left(scene) == {"day": 2, "plain": 4, "year": 6}


async def test_a_job_keeps_fewer_or_more_runs_than_all_others_however_old(scene: Scene) -> None:
    await jobs(scene, few={"keep_runs": 2}, many={"keep_runs": 8})
    for name in ("few", "many", "plain"):
        await fill(scene, name, 400, 5)
        await fill(scene, name, 1, 5)
    await prune(scene, days=30, keep=3)
    assert await left(scene) == {"few": 2, "many": 8, "plain": 3}
    newest = "SELECT id FROM sereno.run WHERE job = 'few' ORDER BY id"
    assert await scene.rows(newest) == [(9,), (10,)]


async def test_with_both_a_run_goes_as_soon_as_one_says_so(scene: Scene) -> None:
    await jobs(scene, both={"keep_for": "10d", "keep_runs": 3})
    await fill(scene, "both", 20, 2)
    await fill(scene, "both", 1, 2)
    await prune(scene)
    assert await left(scene) == {"both": 2}
    await fill(scene, "both", 0.5, 4)
    await prune(scene)
    assert await left(scene) == {"both": 3}


async def test_of_a_hundred_thousand_runs_one_is_kept_in_bounded_batches(scene: Scene) -> None:
    await jobs(scene, one={"keep_runs": 1}, second={"keep_for": 1}, none={"keep_runs": 1})
    await fill(scene, "one", 1, 100_000)
    await fill(scene, "second", 0.1, 1_500)
    batches = await prune(scene, batch=5_000)
    assert max(batches) == 5_000
    assert sum(batches) == 99_999 + 1_500
    assert await left(scene) == {"one": 1}


async def test_what_waits_or_works_stays_and_counts_for_nothing(scene: Scene) -> None:
    await jobs(scene, one={"keep_runs": 1, "keep_for": "1d"})
    await fill(scene, "one", 50, 1, "queued")
    await fill(scene, "one", 0.2, 3)
    await fill(scene, "one", 0.1, 1, "running")
    await fill(scene, "one", 0.1, 9, "queued")
    await prune(scene)
    found = "SELECT state, count(*) FROM sereno.run GROUP BY state ORDER BY state"
    assert await scene.rows(found) == [("queued", 10), ("running", 1), ("succeeded", 1)]


async def test_a_policy_that_is_gone_is_followed_no_more(scene: Scene) -> None:
    await jobs(scene, a={"keep_for": "365d"})
    await fill(scene, "a", 100, 3)
    assert await prune(scene) == []
    await jobs(scene, b={})  # its plugin is gone: it said so last
    assert await prune(scene) == []
    await jobs(scene, a={})
    assert await prune(scene) == [3]


async def test_runs_that_are_kept_longer_keep_no_others_from_going(scene: Scene) -> None:
    await jobs(scene, year={"keep_for": "365d"})
    for _ in range(50):
        await fill(scene, "year", 60, 20)
        await fill(scene, "plain", 60, 1)
    assert await prune(scene, batch=7) == [7] * 7 + [1]
    assert await left(scene) == {"year": 1_000}
    # Where a batch ended is no place that anything hides behind.
    await scene.eye.execute("UPDATE sereno.history SET runs_pruned_at = 900")
    await scene.eye.execute("UPDATE sereno.run SET job = 'plain' WHERE id % 100 = 0")
    assert await prune(scene, batch=6) == [6, 4]


async def test_what_is_counted_stays_right(scene: Scene) -> None:
    await jobs(scene, a={"keep_runs": 2})
    await fill(scene, "a", 1, 7)
    await fill(scene, "a", 1, 4, "failed")
    counted = (
        "SELECT state, sum(n)::integer FROM (SELECT state, count(*) AS n FROM sereno.run"
        " GROUP BY state UNION ALL SELECT state, runs FROM sereno.run_tally) AS x GROUP BY 1"
        " ORDER BY 1"
    )
    before = await scene.rows(counted)
    assert before == [("failed", 4), ("succeeded", 7)]
    assert sum(await prune(scene, batch=4)) == 9
    assert await scene.rows(counted) == before


@pytest.mark.parametrize(
    ("said", "kept"), [({"keep_runs": 1}, 1), ({"keep_for": 1}, 0), ({"keep_for": "365d"}, 200)]
)
async def test_the_account_of_slots_holds_before_and_after(
    scene: Scene, said: dict[str, Any], kept: int
) -> None:
    await scene.declare(declared_job("a", **said), named("a"))
    for table, column in (("schedule_version", "valid_from"), ("watermark", "settled_to")):
        back = f"UPDATE sereno.{table} SET {column} = {column} - interval '10 days'"
        await scene.eye.execute(back)
    entry = await scene.entry("a")
    verdicts = [(slot, "ran") for slot in slots_after(entry, 200)]
    await settle(scene.db, scene.term, NODE, [settlement(entry, *verdicts)])
    await scene.eye.execute(
        "UPDATE sereno.run SET state = 'succeeded', queued_at = slot, finished_at = slot"
    )
    while await scene.value("SELECT sereno.prune('5 days', 1000, 40)"):
        account = await verify(scene.db, YEAR)
        assert account.holds, account.faults
    assert await scene.value("SELECT count(*) FROM sereno.run") == kept
    assert 0 < await scene.value("SELECT count(*) FROM sereno.slot") < 200
    assert (await verify(scene.db, YEAR)).holds


async def test_children_and_filled_slots_stay_while_somebody_counts_on_them(scene: Scene) -> None:
    await jobs(scene, child={"keep_for": 1}, filler={"keep_runs": 1})
    await fill(scene, "child", 1, 3, "failed")
    await fill(scene, "filler", 1, 3)
    await scene.eye.execute(
        "INSERT INTO sereno.fan_out (run_id, key, job, on_failure, total)"
        " VALUES (1, 'k', 'child', 'fail', 4)"
    )
    await scene.eye.execute("UPDATE sereno.run SET fan_out = 1 WHERE job = 'child'")
    await scene.declare("plain", declared_job("child", keep_for=1),
                        declared_job("filler", keep_runs=1), named("filler"))  # fmt: skip
    await scene.eye.execute(
        "INSERT INTO sereno.backfill (schedule_id, schedule, job, span_start, span_end,"
        " missed_only, again, parallel, requested_by, expected, place)"
        " VALUES (1, 'filler', 'filler', now(), now(), false, false, 1, 'ana', 3, now())"
    )
    await scene.eye.execute("UPDATE sereno.run SET backfill = 1 WHERE job = 'filler'")
    assert await prune(scene) == []
    await scene.eye.execute("UPDATE sereno.fan_out SET ended_at = now()")
    await scene.eye.execute("UPDATE sereno.backfill SET state = 'done', finished_at = now()")
    assert sum(await prune(scene)) == 5
    assert await left(scene) == {"filler": 1}


async def test_a_prune_that_is_killed_in_the_middle_has_done_nothing_or_a_whole_batch(
    scene: Scene, database: str
) -> None:
    await jobs(scene, a={"keep_runs": 1}, year={"keep_for": "365d"})
    await fill(scene, "year", 100, 500)
    await fill(scene, "a", 1, 6_000)
    for _ in range(3):
        other = await asyncpg.connect(database)
        number = other.get_server_pid()
        asking = asyncio.ensure_future(other.fetchval("SELECT sereno.prune('30 days', 9, 1500)"))
        began = "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND query LIKE '%prune%'"
        while not asking.done() and not await scene.value(began, number):
            pass
        await scene.value("SELECT pg_terminate_backend($1)", number)
        await asyncio.wait({asking})
        asking.exception()
        other.terminate()
        gone = 6_000 - (await left(scene))["a"]
        counted = await scene.value("SELECT coalesce(sum(runs), 0)::integer FROM sereno.run_tally")
        assert gone == counted
        assert gone % 1_500 == 0
    await prune(scene)
    assert await left(scene) == {"a": 1, "year": 500}
    assert await scene.value("SELECT sum(runs)::integer FROM sereno.run_tally") == 5_999


async def test_two_that_prune_at_once_delete_each_run_once(scene: Scene, database: str) -> None:
    await jobs(scene, a={"keep_runs": 10}, year={"keep_for": "365d"})
    await fill(scene, "year", 100, 50)
    await fill(scene, "a", 1, 3_000)
    await fill(scene, "plain", 60, 3_000)

    async def work() -> None:
        one = await asyncpg.connect(database)
        while await one.fetchval("SELECT sereno.prune('30 days', 1000, 200)"):
            pass
        await one.close()

    await asyncio.gather(*(work() for _ in range(4)))
    assert await prune(scene) == []
    assert await left(scene) == {"a": 10, "year": 50}
    assert await scene.value("SELECT sum(runs)::integer FROM sereno.run_tally") == 5_990


STRANGE = [
    {"keep_for": "P9999999D"}, {"keep_for": "PT0S"}, {"keep_for": "-P1D"}, {"keep_for": "soon"},
    {"keep_for": 7}, {"keep_runs": 0}, {"keep_runs": -1}, {"keep_runs": "x"},
    {"keep_runs": 10**17}, {"keep_runs": 1.5}, {"keep_for": None, "keep_runs": None},
    {"keep_for": {}, "keep_runs": []},
]  # fmt: skip


@pytest.mark.parametrize("said", STRANGE)
async def test_what_nobody_can_follow_harms_no_other_job(
    scene: Scene, said: dict[str, Any]
) -> None:
    await jobs(scene, odd={}, one={"keep_runs": 1})
    for name in ("odd", "one", "plain"):
        await fill(scene, name, 40, 4)
    odd = "UPDATE sereno.job SET policies = $1 WHERE name = 'odd'"
    await scene.eye.execute(odd, json.dumps(said))
    await prune(scene)
    follows = said in ({"keep_for": "P9999999D"}, {"keep_runs": 10**17})
    assert await left(scene) == ({"odd": 4, "one": 1} if follows else {"one": 1})


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"keep_for": "0s"}, "keep_for is '0s', it must be longer than nothing"),
        ({"keep_for": "a while"}, "keep_for is 'a while'"),
        ({"keep_runs": 0}, "keep_runs is 0, it must be a whole number from 1 to 2147483647"),
        ({"keep_runs": True}, "keep_runs is True, it must be a whole number"),
        ({"keep_run": 5}, "did you mean 'keep_runs'"),
    ],
)
def test_a_bad_one_is_refused_in_a_sentence(said: dict[str, Any], fault: str) -> None:
    with pytest.raises(DeclarationError, match=fault):
        job("t.a", **said)(nothing)


@pytest.mark.parametrize("said", [{"keep_for": "1d"}, {"keep_runs": 5}])
def test_it_is_the_job_s_and_not_of_a_schedule(said: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match="is of the job, over all its schedules"):
        schedule(every("1h"), **said)
