"""Reasons to wake are neither lost nor told twice."""

import asyncio

from sereno.engine.wakeup import Wakeup


async def test_reasons_that_came_before_anybody_waited_are_told_together() -> None:
    wakeup = Wakeup()
    for reason in ("run", "schedule", "run"):
        wakeup.ring(reason)
    assert await wakeup.wait(10) == {"run", "schedule"}
    assert await wakeup.wait(0) == set()


async def test_a_reason_wakes_who_waits() -> None:
    wakeup = Wakeup()
    waiting = asyncio.ensure_future(wakeup.wait(10))
    await asyncio.sleep(0)
    wakeup.ring("cancel")
    assert await waiting == {"cancel"}


async def test_who_waits_is_woken_though_one_who_waited_before_has_given_up() -> None:
    wakeup = Wakeup()
    before, after = (asyncio.ensure_future(wakeup.wait(60)) for _ in range(2))
    await asyncio.sleep(0)
    before.cancel()
    await asyncio.wait({before})
    wakeup.ring("lost")
    async with asyncio.timeout(20):
        assert await after == {"lost"}


async def test_without_a_reason_it_returns_when_the_time_is_up() -> None:
    assert await Wakeup().wait(0.01) == set()


async def test_to_wait_for_no_time_lets_others_have_their_turn() -> None:
    wakeup, turns = Wakeup(), 0

    async def other() -> None:
        nonlocal turns
        turns += 1

    task = asyncio.ensure_future(other())
    await wakeup.wait(0)
    assert turns == 1
    await task
