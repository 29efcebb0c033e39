"""A one-off has one run, and a run at the start is made once: over leaders, pauses and deploys."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from sereno import RunContext, every, job, schedule
from sereno.engine.verification import verify
from sereno.store import ledger, schedules

from .node import Eye, running
from .scene import OTHER, Scene, declared_job, named, opened, settlement, slots_after

DONE = "SELECT state = 'paused' AND paused_reason LIKE 'one_off%' FROM sereno.schedule"


async def nothing(run: RunContext[dict[str, Any]]) -> None:
    """Do nothing."""


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        yield found


async def trail(scene: Scene) -> list[tuple[Any, ...]]:
    return await scene.rows("SELECT action, by FROM sereno.change ORDER BY id")


async def test_a_one_off_runs_once_is_paused_and_runs_again_when_it_is_resumed(
    database: str, eye: Eye
) -> None:
    declared = job("t.once", schedule=schedule(every("200ms"), one_off=True))(nothing)
    async with running(database, declared):
        await eye.until(DONE)
        assert await eye.value("SELECT count(*) FROM sereno.run") == 1
        async with opened(database) as scene:
            await schedules.resume(scene.db, "t.once", by="ana")
        await eye.until(f"SELECT ({DONE}) AND (SELECT count(*) FROM sereno.run) = 2")
    async with opened(database) as scene:
        assert [a for a, _ in await trail(scene)] == ["finish", "resume", "finish"]
        account = await verify(scene.db, timedelta(hours=1))
        assert account.holds, account.faults


async def test_a_job_runs_at_the_start_once_however_many_lead(database: str, eye: Eye) -> None:
    declared = job("t.boot", schedule=schedule(every("7d"), at_start=True))(nothing)
    for _ in range(3):  # a restart each
        async with running(database, declared) as one:
            await one.leads()
            await eye.until("SELECT count(*) = 1 FROM sereno.run WHERE state = 'succeeded'")
    async with opened(database) as scene:
        await schedules.pause(scene.db, "t.boot", by="ana")
        await schedules.resume(scene.db, "t.boot", by="ana")
    async with running(database, declared) as one:
        await one.leads()
        await eye.until("SELECT wake_at > clock_timestamp() FROM sereno.watermark")
    assert await eye.rows(
        "SELECT verdict, cause FROM sereno.slot JOIN sereno.run USING (slot)"
    ) == [("ran", "slot")]
    async with opened(database) as scene:
        assert (await verify(scene.db, timedelta(hours=1))).holds


async def test_another_version_of_the_schedule_starts_anew(scene: Scene) -> None:
    def starts(text: str, **parts: Any) -> Any:
        return named("a", text, at_start=True, **parts)

    async def begun() -> list[str]:
        found = await scene.rows("SELECT DISTINCT split_part(trigger, ')', 1) FROM"
                                 " sereno.schedule_version ORDER BY 1")  # fmt: skip
        return [text for (text,) in found]

    await scene.declare("a", starts("every 1h"))
    await scene.declare("a", starts("every 1h", title="Renamed", tags=("x",)))
    await scene.declare("a")  # gone for a deploy
    await scene.declare("a", starts("every 1h"))
    assert len(await begun()) == 1
    await scene.declare("a", starts("every 2h"))
    assert len(await begun()) == 2
    await schedules.override(
        scene.db, "a", {"params": {"n": 1}}, jobs=lambda _: declared_job("a").job, by="ana"
    )
    assert len(await begun()) == 3


async def test_a_one_off_whose_slot_was_skipped_waits_for_its_next(scene: Scene) -> None:
    await scene.declare("a", named("a", "every 1h", one_off=True))
    entry = await scene.entry("a")
    (slot,) = slots_after(entry, 1)
    await scene.eye.execute(
        "INSERT INTO sereno.slot (schedule_id, slot, verdict, reason, term)"
        " VALUES ($1, $2, 'skipped', 'overlap', $3)", entry.schedule_id, slot, scene.term,
    )  # fmt: skip
    await scene.eye.execute(
        "UPDATE sereno.watermark SET settled_to = $1, next_slot = NULL, wake_at = NULL", slot
    )
    assert await schedules.one_offs_over(scene.db) == ["a"]
    await schedules.end_one_off(scene.db, scene.term, "a")
    assert await scene.value("SELECT next_slot - $1 FROM sereno.watermark", slot) == timedelta(
        hours=1
    )
    assert await trail(scene) == [("put_off", "sereno")]


async def test_a_one_off_that_has_no_slot_any_more_is_left_as_it_is(scene: Scene) -> None:
    await scene.declare("a", named("a", "once 2036-01-01T00:00:00Z", one_off=True))
    await scene.eye.execute("UPDATE sereno.schedule_version SET trigger = 'once 2020-01-01'")
    await scene.eye.execute(
        'UPDATE sereno.schedule SET declared = declared || \'{"trigger": "once 2020-01-01"}\''
    )
    await scene.eye.execute("UPDATE sereno.watermark SET wake_at = NULL, next_slot = NULL")
    assert await schedules.one_offs_over(scene.db) == ["a"]
    await schedules.end_one_off(scene.db, scene.term, "a")
    assert await trail(scene) == []
    assert await scene.value("SELECT count(*) FROM sereno.schedule_version") == 1


async def test_a_leader_that_died_in_between_leaves_the_end_to_the_next(scene: Scene) -> None:
    await scene.declare("a", named("a", "every 1h", one_off=True))
    entry = await scene.entry("a")
    (slot,) = slots_after(entry, 1)
    await ledger.settle(scene.db, scene.term, OTHER, [settlement(entry, (slot, "ran"), to=slot)])
    await scene.eye.execute("UPDATE sereno.watermark SET next_slot = NULL, wake_at = NULL")
    old, term = scene.term, await scene.begin_term(OTHER)
    with pytest.raises(Exception, match=f"term {old} is over"):
        await schedules.end_one_off(scene.db, old, "a")
    for name in await schedules.one_offs_over(scene.db):
        await asyncio.gather(*(schedules.end_one_off(scene.db, term, name) for _ in range(3)))
    assert await scene.value(DONE)
    assert await trail(scene) == [("finish", "sereno")]
    await scene.declare("a", named("a", "every 1h", one_off=True))  # the next deploy
    assert await scene.value(DONE)


async def test_a_schedule_without_them_is_kept_as_ever(scene: Scene) -> None:
    await scene.declare("a", named("a", "every 1h"))
    assert await scene.value("SELECT trigger FROM sereno.schedule_version") == "every 1h"
    assert not await scene.value(
        "SELECT declared ?| '{one_off,at_start,title}' FROM sereno.schedule"
    )
