"""A success queues what is chained after it, once, as the leader's code has it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from .run_scene import NOW, claimed, outcome, write
from .scene import OTHER, Scene, declared_job, opened


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await after(found, down="a", join=["a", "b"])
        yield found


async def after(scene: Scene, **chained: str | list[str]) -> None:
    """Let a leader register a, b and c, and what its code chains after which of them."""
    later = [declared_job(name, after=upstreams) for name, upstreams in chained.items()]
    await scene.declare("a", "b", "c", *later)


async def chained(scene: Scene) -> list[tuple[Any, ...]]:
    return await scene.rows(
        "SELECT job, state, cause, upstream::text, requested_by FROM sereno.run"
        " WHERE cause = 'chain' ORDER BY id"
    )


async def test_a_success_queues_what_is_chained_after_it_with_its_result(scene: Scene) -> None:
    claim = await claimed(scene)
    await write(scene, outcome(claim, result=b"[1, 2]"), chains={"a": [("down", ("a",))]})
    assert await chained(scene) == [
        ("down", "queued", "chain", '{"a": [1, 2]}', f"run {claim.run_id}")
    ]


@pytest.mark.parametrize("state", ["failed", "timed_out", "cancelled", "queued"])
async def test_what_did_not_succeed_queues_nothing(scene: Scene, state: str) -> None:
    claim = await claimed(scene)
    retry = {"retry_at": NOW} if state == "queued" else {}
    await write(scene, outcome(claim, state, **retry), chains={"a": [("down", ("a",))]})
    assert await chained(scene) == []


JOIN = {"a": [("join", ("a", "b"))], "b": [("join", ("a", "b"))]}


async def test_a_fan_in_runs_once_all_have_succeeded(scene: Scene) -> None:
    a, b = await claimed(scene, "a"), await claimed(scene, "b")
    await write(scene, outcome(a, result=b"1"), chains=JOIN)
    assert await chained(scene) == []
    await write(scene, outcome(b, result=b"2"), chains=JOIN)
    assert [(r[0], r[3]) for r in await chained(scene)] == [("join", '{"a": 1, "b": 2}')]


async def test_a_fan_in_takes_the_newest_of_each_and_each_once(scene: Scene) -> None:
    for result in (b"1", b"2"):
        await write(scene, outcome(await claimed(scene, "a"), result=result), chains=JOIN)
    await write(scene, outcome(await claimed(scene, "b"), result=b"3"), chains=JOIN)
    assert [r[3] for r in await chained(scene)] == ['{"a": 2, "b": 3}']
    await write(scene, outcome(await claimed(scene, "b"), result=b"4"), chains=JOIN)
    assert len(await chained(scene)) == 1


async def test_upstreams_that_end_in_the_same_moment_queue_their_fan_in_once(
    scene: Scene,
) -> None:
    for round_ in range(10):
        a, b = await claimed(scene, "a"), await claimed(scene, "b", node=OTHER)
        await asyncio.gather(
            write(scene, outcome(a), chains=JOIN),
            write(scene, outcome(b), node=OTHER, chains=JOIN),
        )
        assert len(await chained(scene)) == round_ + 1


async def test_a_chain_is_queued_in_the_transaction_that_records_the_success(
    scene: Scene,
) -> None:
    claim = await claimed(scene)
    await scene.eye.execute(
        "ALTER TABLE sereno.run ADD CONSTRAINT no_chain CHECK (cause <> 'chain')"
    )
    with pytest.raises(Exception, match="no_chain"):
        await write(scene, outcome(claim), chains={"a": [("down", ("a",))]})
    assert await scene.state(claim.run_id) == "running"


# --- when the code chains otherwise than it did -----------------------------------------------


async def arrivals(scene: Scene) -> list[tuple[Any, ...]]:
    return await scene.rows("SELECT downstream, upstream FROM sereno.chain_arrival ORDER BY 1, 2")


async def succeeds(scene: Scene, name: str, chains: Any) -> None:
    await write(scene, outcome(await claimed(scene, name), result=b'"%s"' % name.encode()),
                chains=chains)  # fmt: skip


async def test_a_success_that_a_fan_in_no_longer_waits_for_is_forgotten(scene: Scene) -> None:
    await succeeds(scene, "a", JOIN)
    await after(scene, join=["b", "c"])
    assert await arrivals(scene) == []
    chains = {"b": [("join", ("b", "c"))], "c": [("join", ("b", "c"))]}
    await succeeds(scene, "b", chains)
    await succeeds(scene, "c", chains)
    assert [r[3] for r in await chained(scene)] == ['{"b": "b", "c": "c"}']


async def test_a_success_that_a_fan_in_still_waits_for_counts_on(scene: Scene) -> None:
    await succeeds(scene, "a", JOIN)
    await after(scene, join=["a", "c"])
    await succeeds(scene, "c", {"c": [("join", ("a", "c"))]})
    assert [r[3] for r in await chained(scene)] == ['{"a": "a", "c": "c"}']


async def test_a_fan_in_that_was_something_else_meanwhile_begins_anew(scene: Scene) -> None:
    await succeeds(scene, "a", JOIN)
    await after(scene, join="b")
    await after(scene, join=["a", "b"])
    await succeeds(scene, "b", JOIN)
    assert await chained(scene) == []
    assert await arrivals(scene) == [("join", "b")]


async def test_what_a_fan_in_waits_for_is_kept_while_nobody_declares_it(scene: Scene) -> None:
    await succeeds(scene, "a", JOIN)
    await after(scene)
    await after(scene, join=["a", "b"])
    await succeeds(scene, "b", JOIN)
    assert [r[3] for r in await chained(scene)] == ['{"a": "a", "b": "b"}']


async def test_a_replica_of_older_code_chains_as_the_leader_s_code_does(scene: Scene) -> None:
    old = {"a": [("join", ("a", "b")), ("down", ("a",))], "b": [("join", ("a", "b"))]}
    await after(scene, down=["a", "b"], join="b")
    await succeeds(scene, "a", old)
    assert await chained(scene) == []
    assert await arrivals(scene) == [("down", "a")]
    await succeeds(scene, "b", {"b": [*old["b"], ("down", ("a", "b"))]})
    assert [(r[0], r[3]) for r in await chained(scene)] == [
        ("down", '{"a": "a", "b": "b"}'),
        ("join", '{"b": "b"}'),
    ]
    assert await arrivals(scene) == []


async def test_a_replica_of_older_code_does_not_start_what_is_chained_no_more(
    scene: Scene,
) -> None:
    await after(scene, down=[], join=["b", "c"])
    await succeeds(scene, "a", {"a": [*JOIN["a"], ("down", ("a",))]})
    assert (await chained(scene), await arrivals(scene)) == ([], [])
