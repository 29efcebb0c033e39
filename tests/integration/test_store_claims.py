"""Who claims a run owns it, and nobody else may claim it after."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from sereno.model.errors import LeaseLostError
from sereno.store import queue, runs

from .run_scene import NOW, claimed, outcome, said, write
from .scene import NODE, OTHER, Scene, declared_job, opened


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare("a", "b", declared_job("down", after="a"))
        yield found


async def test_a_claimed_run_is_its_owner_s_and_a_second_claim_gets_nothing(scene: Scene) -> None:
    claim = await claimed(scene, n=7)
    assert (claim.job, claim.attempt, claim.params) == ("a", 1, {"n": 7})
    row = "SELECT state, node, term, attempt FROM sereno.run WHERE id = $1"
    assert await scene.rows(row, claim.run_id) == [("running", NODE, scene.term, 1)]
    assert await runs.claim(scene.db, scene.term, OTHER, [claim.run_id]) == []


async def test_a_deposed_leader_claims_nothing(scene: Scene) -> None:
    run_id, old = await scene.enqueue("a"), scene.term
    await scene.begin_term(OTHER)
    with pytest.raises(LeaseLostError, match=f"term {old} is over"):
        await runs.claim(scene.db, old, NODE, [run_id])
    assert await scene.state(run_id) == "queued"


async def test_claims_come_in_the_order_in_which_runs_start(scene: Scene) -> None:
    low, first, second = [await scene.enqueue("a") for _ in range(3)]
    await scene.eye.execute("UPDATE sereno.run SET priority = -1 WHERE id = $1", low)
    found = await runs.claim(scene.db, scene.term, NODE, [low, second, first])
    assert [c.run_id for c in found] == [first, second, low]


async def test_ready_are_those_whose_instant_has_come_and_whose_job_and_key_have_room(
    scene: Scene,
) -> None:
    a, b, keyed, later = [await scene.enqueue(job) for job in ("a", "b", "a", "a")]
    await scene.eye.execute("UPDATE sereno.run SET concurrency_key = 'k' WHERE id = $1", keyed)
    await scene.eye.execute(
        "UPDATE sereno.run SET run_at = now() + interval '1 h' WHERE id = $1", later
    )

    async def found(**limits: Any) -> set[int]:
        chosen = {"jobs": ["a", "b"], "keys": [], "excluded": [], "last": {}, **limits}
        with_key = await queue.ready_keyed(scene.db, 10, **chosen)
        free = await queue.ready(scene.db, 10, chosen["jobs"], chosen["excluded"])
        assert all(q.turn is not None for q in with_key)
        return {q.run_id for q in [*free, *with_key]}

    assert await found() == {a, b, keyed}
    assert await found(keys=["k"]) == {a, b}
    assert await found(jobs=["b"]) == {b}
    await scene.eye.execute("UPDATE sereno.run SET schedule_id = 3 WHERE id = $1", a)
    assert await found(excluded=[3]) == {b, keyed}


async def test_of_several_with_keys_none_is_claimed_before_it_is_seen_whose_turn_it_is(
    scene: Scene,
) -> None:
    first, second, free = [await scene.enqueue(job) for job in ("a", "a", "b")]
    await scene.eye.execute(
        "UPDATE sereno.run SET concurrency_key = 'k' || id WHERE id = ANY($1)", [first, second]
    )
    assert await first_claimed(scene) is None
    await scene.eye.execute("UPDATE sereno.run SET state = 'running' WHERE id = $1", second)
    assert [await first_claimed(scene) for _ in range(2)] == [first, free]


async def first_claimed(scene: Scene, **limits: Any) -> int | None:
    chosen = {"jobs": ["a", "b"], "keys": [], **limits}
    taken = await runs.claim_first(scene.db, scene.term, NODE, **chosen)
    return None if taken is None else taken[1].run_id


async def test_the_first_that_may_start_is_claimed_by_one_statement(scene: Scene) -> None:
    later, keyed, b, low = [await scene.enqueue(job) for job in ("a", "a", "b", "a")]
    await scene.eye.execute(
        "UPDATE sereno.run SET run_at = now() + interval '1 h' WHERE id = $1", later
    )
    await scene.eye.execute("UPDATE sereno.run SET concurrency_key = 'k' WHERE id = $1", keyed)
    await scene.eye.execute("UPDATE sereno.run SET priority = -1 WHERE id = $1", low)
    assert await first_claimed(scene, jobs=["down"]) is None
    assert await first_claimed(scene, keys=["k"]) == b
    assert await first_claimed(scene) == keyed
    assert await first_claimed(scene) == low
    assert await first_claimed(scene) is None
    row = "SELECT state, node, term, attempt FROM sereno.run WHERE id = $1"
    assert await scene.rows(row, keyed) == [("running", NODE, scene.term, 1)]


async def test_the_first_one_tells_who_has_to_wait_for_it(scene: Scene) -> None:
    run_id = await scene.enqueue("a", n=7)
    await scene.eye.execute(
        "UPDATE sereno.run SET concurrency_key = 'k', schedule_id = 3 WHERE id = $1", run_id
    )
    taken = await runs.claim_first(scene.db, scene.term, NODE, ["a"], [])
    assert taken is not None
    run, claim = taken
    assert (run.run_id, run.schedule_id, run.concurrency_key) == (run_id, 3, "k")
    assert (claim.run_id, claim.job, claim.attempt, claim.params) == (run_id, "a", 1, {"n": 7})


async def test_a_first_one_with_policies_of_its_own_is_left_to_who_can_read_them(
    scene: Scene,
) -> None:
    run_id = await scene.enqueue("a")
    await scene.enqueue("a")
    await scene.eye.execute(
        "UPDATE sereno.run SET policies = '{\"max_running\": 1}' WHERE id = $1", run_id
    )
    assert await first_claimed(scene) is None
    assert await scene.state(run_id) == "queued"


async def test_a_deposed_leader_claims_no_first_one(scene: Scene) -> None:
    run_id, old = await scene.enqueue("a"), scene.term
    await scene.begin_term(OTHER)
    with pytest.raises(LeaseLostError, match=f"term {old} is over"):
        await runs.claim_first(scene.db, old, NODE, ["a"], [])
    assert await scene.state(run_id) == "queued"


async def test_a_retry_is_given_the_checkpoint_of_the_attempt_before(scene: Scene) -> None:
    claim = await claimed(scene)
    word = said(claim, done=3, total=9, checkpoint=b'{"page": 3}')
    await runs.write_progress(scene.db, NODE, [word])
    await write(scene, outcome(claim, "queued", retry_at=NOW))
    (again,) = await runs.claim(scene.db, scene.term, NODE, [claim.run_id])
    assert (again.attempt, again.saved) == (2, {"page": 3})
