"""What waits with a key is found key by key, in turns, however much waits behind each."""

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sereno.model.ledger import Queued
from sereno.store import queue
from sereno.store.sql import sql

from ..servers.plans import blocks_read
from .scene import Scene, declared_job, opened

pytestmark = pytest.mark.every_postgres

MANY = """
INSERT INTO sereno.run (job, cause, concurrency_key, priority, run_at)
SELECT $1, 'program', $2, $3, now() - interval '1 day' + n * interval '1 ms' + $5 * interval '1 day'
  FROM generate_series(1, $4) AS n
"""

READY_BEFORE = """
SELECT id, job, schedule_id, concurrency_key, policies FROM sereno.run
 WHERE state = 'queued' AND run_at <= clock_timestamp() AND job = ANY($2::text[])
   AND (concurrency_key IS NULL OR concurrency_key <> ALL($3::text[]))
   AND (schedule_id IS NULL OR schedule_id <> ALL($4::bigint[]))
 ORDER BY priority DESC, run_at, id LIMIT $1
"""
"""What the version before keys took turns asks for."""


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare(
            declared_job("t.a", concurrency_key="{site}"), declared_job("t.b"), "t.free"
        )
        yield found


async def queued(
    scene: Scene, key: str | None, runs: int = 1, job: str = "t.a", priority: int = 0, days: int = 0
) -> None:
    """Have so many runs wait, all older than a moment; `days`: instead, for so many to come."""
    await scene.eye.execute(MANY, job, key, priority, runs, days)


async def in_turn(scene: Scene, limit: int = 10, **chosen: Any) -> list[Queued]:
    asked = {"jobs": ["t.a", "t.b"], "keys": [], "excluded": [], "last": {}, **chosen}
    return await queue.ready_keyed(scene.db, limit, **asked)


def keys(found: list[Queued]) -> list[str | None]:
    return [run.concurrency_key for run in found]


async def test_each_key_has_one_of_its_own_before_any_has_its_second(scene: Scene) -> None:
    await queued(scene, "large", 1_000)
    await queued(scene, "one")
    await queued(scene, "two", 2)
    found = keys(await in_turn(scene))
    assert sorted(found[:3], key=str) == ["large", "one", "two"]
    assert sorted(found[3:5], key=str) == ["large", "two"]
    assert set(found[5:]) == {"large"}


async def test_it_goes_on_after_the_turn_that_was_last_and_comes_round(scene: Scene) -> None:
    for n in range(7):
        await queued(scene, f"k{n}", 3)
    whole = [run.turn for run in await in_turn(scene, 7)][:7]
    assert len(set(whole)) == 7
    for n, turn in enumerate(whole):
        assert turn is not None
        (after,) = {r.turn for r in await in_turn(scene, 1, last={0: turn})}
        assert after == whole[(n + 1) % 7]
        found = [run.turn for run in await in_turn(scene, 7, last={0: turn})][:7]
        assert found == whole[n + 1 :] + whole[: n + 1]


async def test_priority_comes_first_whosever_turn_it_is(scene: Scene) -> None:
    await queued(scene, "low", 5, priority=-32768)
    await queued(scene, "high", 2, priority=32767)
    await queued(scene, "high", 2)
    found = await in_turn(scene)
    assert [r.priority for r in found] == [32767] * 2 + [0] * 2 + [-32768] * 5
    last = {found[0].priority: found[0].turn, 0: 3, -7: 5}
    again = await in_turn(scene, last=last)
    assert [r.priority for r in again] == [r.priority for r in found]


async def test_a_key_without_a_place_and_what_is_not_due_are_passed_over(scene: Scene) -> None:
    await queued(scene, "full", 3)
    await queued(scene, "later", 3, days=2)
    await queued(scene, "mine")
    await queued(scene, "mine", job="t.b")
    found = await in_turn(scene, keys=["full"])
    assert sorted(r.job for r in found) == ["t.a", "t.b"]
    assert keys(await in_turn(scene, jobs=["t.b"], keys=["full"])) == ["mine"]
    assert await in_turn(scene, jobs=[]) == []


async def test_a_key_of_any_length_waits_as_another(scene: Scene) -> None:
    long = "x" * 900_000
    await queued(scene, long, 2)
    await queued(scene, "")
    assert sorted(len(k or "") for k in keys(await in_turn(scene))) == [0, 900_000, 900_000]


async def pages(scene: Scene, name: str, *args: Any) -> int:
    """Return how many pages the block `name` reads."""
    return await pages_of(scene, sql(name), *args)


async def pages_of(scene: Scene, statement: str, *args: Any) -> int:
    await scene.eye.execute("SET plan_cache_mode = force_generic_plan")
    return await blocks_read(scene.eye, statement, *args)


@pytest.mark.parametrize("full", [[], ["large"]])
async def test_a_hundred_thousand_of_one_key_are_not_read_for_one_of_another(
    scene: Scene, full: list[str]
) -> None:
    await queued(scene, "large", 100_000)
    await queued(scene, "small")
    await queued(scene, None, job="t.free")
    await scene.eye.execute("ANALYZE sereno.run")
    asked = ["t.a", "t.b", "t.free"]
    assert await pages(scene, "queue_ready_keyed", 10, asked, full, [], [0], [5], 10) < 120
    assert await pages(scene, "queue_ready", 10, asked, []) < 20
    assert "small" in keys(await in_turn(scene, keys=full))
    assert len(await queue.ready(scene.db, 10, asked, [])) == 1
    await scene.eye.execute("DELETE FROM sereno.run WHERE concurrency_key = 'small'")
    assert await pages(scene, "queue_ready_keyed", 10, asked, full, [], [0], [5], 10) < 120


async def test_a_replica_of_before_reads_who_is_next_and_sorts_nothing(scene: Scene) -> None:
    await queued(scene, "key", 20_000)
    await queued(scene, None, 20_000, job="t.free")
    await scene.eye.execute("ANALYZE sereno.run")
    assert await pages_of(scene, READY_BEFORE, 10, ["t.a", "t.free"], [], []) < 20


async def test_nothing_waits_with_a_key_and_a_page_says_so(scene: Scene) -> None:
    await queued(scene, None, 20_000, job="t.free")
    await scene.eye.execute("ANALYZE sereno.run")
    assert await pages(scene, "queue_ready_keyed", 10, ["t.free"], [], [], [0], [5], 10) < 10


@pytest.mark.parametrize("seed", range(6))
async def test_whoever_waits_starts_within_a_round_of_all_that_may(scene: Scene, seed: int) -> None:
    """Drains by one place, with arrivals: no turn is passed twice by another of its priority."""
    chance = random.Random(seed)
    last: dict[int, int] = {}
    waits: dict[tuple[int, int], int] = {}
    for _ in range(60):
        for _ in range(chance.choice((0, 0, 1, 3))):
            key, priority = f"k{chance.randrange(6)}", chance.choice((0, 0, 5))
            await queued(scene, key, chance.choice((1, 1, 8)), "t.a", priority)
        found = await in_turn(scene, 1, last=last)
        if not found:
            continue
        run = found[0]
        assert run.turn is not None
        ready = await scene.rows(
            "SELECT DISTINCT priority, hashtextextended(concurrency_key, hashtext(job))"
            " FROM sereno.run WHERE state = 'queued'"
        )
        assert run.priority == max(priority for priority, _ in ready)
        turns = {turn for priority, turn in ready if priority == run.priority}
        for turn in turns - {run.turn}:
            passed = waits[run.priority, turn] = waits.get((run.priority, turn), 0) + 1
            assert passed <= 6, "it is passed by each other once at the most"
        waits[run.priority, run.turn] = 0
        last[run.priority] = run.turn
        await scene.eye.execute(
            "UPDATE sereno.run SET state = 'succeeded' WHERE id = $1", run.run_id
        )
