"""What the code declares becomes what the database knows, once, and people's changes outlive it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from sereno.model.errors import DeclarationError, LeaseLostError, NotFoundError
from sereno.model.job import job
from sereno.model.ledger import ScheduleVersion
from sereno.model.schedule_spec import ScheduleSpec
from sereno.store import catalogue, schedules
from sereno.store.catalogue import register
from sereno.triggers import parse, succession
from sereno.triggers.occurrences import next_slot
from sereno.triggers.replay import MAX_REPLAY

from .node import LiveNode, looking
from .scene import Scene, declared_job, job_named, named, opened

HOURLY, DAILY = "every 1h", "every 1d"


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare("a.x", named("a.x"))
        yield found


async def schedule(scene: Scene, name: str = "a.x") -> dict[str, Any]:
    """Return a schedule with its newest version and watermark."""
    row = await scene.eye.fetchrow(
        "SELECT s.state, s.version, s.origin, s.overrides::text, s.paused_by, s.paused_until,"
        " v.trigger, v.valid_from, v.params::text, v.changed_by, v.reason, w.next_slot,"
        " w.wake_at, w.settled_to, w.version AS mark"
        " FROM sereno.schedule s JOIN sereno.watermark w ON w.schedule_id = s.id"
        " JOIN sereno.schedule_version v ON v.schedule_id = s.id AND v.version = s.version"
        " WHERE s.name = $1",
        name,
    )
    return dict(row or {})


# --- registration -----------------------------------------------------------------------------


async def test_a_new_schedule_begins_now_and_owes_nothing(scene: Scene) -> None:
    found = await schedule(scene)
    assert (found["state"], found["version"], found["origin"]) == ("active", 1, "plugin")
    assert found["settled_to"] == found["valid_from"]
    assert found["next_slot"] > found["settled_to"]
    assert found["wake_at"] == found["next_slot"]


async def test_many_new_schedules_are_inserted_some_at_a_time_and_each_has_its_own_slot(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "_AT_ONCE", 2)
    triggers = {f"a.x@{n}": DAILY if n % 2 else HOURLY for n in range(5)}
    off = named("a.x@off", HOURLY, enabled=False)
    await scene.declare("a.x", *(named(n, trigger) for n, trigger in triggers.items()), off)
    for name, trigger in triggers.items():
        made = await schedule(scene, name)
        due = parse(trigger).next_after(made["settled_to"])
        assert (made["trigger"], made["next_slot"], made["wake_at"]) == (trigger, due, due)
    assert (await schedule(scene, "a.x@off"))["state"] == "paused"


async def test_the_same_declared_again_writes_nothing(scene: Scene) -> None:
    before = await schedule(scene)
    assert not await scene.declare("a.x", named("a.x"))
    assert await schedule(scene) == before


async def test_what_is_declared_otherwise_is_a_new_version_from_now_on(scene: Scene) -> None:
    before = await schedule(scene)
    await scene.declare("a.x", named("a.x", DAILY))
    after = await schedule(scene)
    assert (after["version"], after["trigger"], after["changed_by"]) == (2, "every 1d", "the code")
    assert after["valid_from"] > before["valid_from"]
    assert after["mark"] == before["mark"] + 1
    assert after["settled_to"] == before["settled_to"]


async def test_what_is_declared_no_more_is_orphaned_and_active_again_when_it_is_back(
    scene: Scene,
) -> None:
    await scene.declare("a.y")
    found = await schedule(scene)
    assert (found["state"], found["next_slot"]) == ("orphaned", None)
    present = "SELECT name, present FROM sereno.job ORDER BY name"
    assert await scene.rows(present) == [("a.x", False), ("a.y", True)]
    await scene.declare("a.x", named("a.x"))
    found = await schedule(scene)
    assert (found["state"], found["version"]) == ("active", 3)
    assert await scene.rows(present) == [("a.x", True), ("a.y", False)]


async def test_every_job_has_its_counts_before_its_first_run(scene: Scene) -> None:
    assert await scene.rows("SELECT job, succeeded FROM sereno.job_stat") == [("a.x", 0)]


async def test_a_deposed_leader_registers_nothing(scene: Scene) -> None:
    old = scene.term
    await scene.begin_term()
    before = await schedule(scene)
    with pytest.raises(LeaseLostError):
        await register(scene.db, old, [declared_job("a.new")], [])
    assert await schedule(scene) == before
    assert await scene.value("SELECT count(*) FROM sereno.job") == 1


async def test_a_disabled_schedule_is_paused_until_it_is_enabled(scene: Scene) -> None:
    await scene.declare("a.x", "b.x", named("a.x", enabled=False), named("b.x", enabled=False))
    for name in ("a.x", "b.x"):
        found = await schedule(scene, name)
        assert (found["state"], found["paused_by"]) == ("paused", "the configuration")
    await scene.declare("a.x", "b.x", named("a.x"), named("b.x"))
    assert (await schedule(scene))["state"] == "active"
    assert (await schedule(scene, "b.x"))["state"] == "active"


async def test_many_at_once_are_registered_in_one_go(scene: Scene) -> None:
    many = [f"many.n{n}" for n in range(1000)]
    await scene.declare("a.x", *many, *(named(n) for n in many))
    assert await scene.value("SELECT count(*) FROM sereno.watermark") == 1001


async def test_a_leader_can_beat_while_it_registers_many_schedules(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    since_turn, longest = 0, 0

    def counted(definition: ScheduleVersion, name: str, after: datetime) -> datetime | None:
        nonlocal since_turn, longest
        since_turn += 1
        longest = max(longest, since_turn)
        return next_slot(definition, name, after)

    async def turns() -> None:
        nonlocal since_turn
        while True:
            since_turn = 0
            await asyncio.sleep(0)

    monkeypatch.setattr(succession, "next_slot", counted)
    turning = asyncio.create_task(turns())
    await scene.declare("a.x", *(named(f"a.x@n{n}") for n in range(300)))
    turning.cancel()
    assert 0 < longest <= catalogue.FORESEEN_AT_ONCE


# --- people's changes -------------------------------------------------------------------------


async def test_a_change_of_a_person_s_outlives_what_is_declared_otherwise(scene: Scene) -> None:
    await schedules.override(
        scene.db, "a.x", {"trigger": DAILY}, jobs=job_named, by="ann", reason="too often"
    )
    found = await schedule(scene)
    assert (found["trigger"], found["changed_by"], found["reason"]) == (
        *("every 1d", "ann"),
        "too often",
    )
    await scene.declare("a.x", named("a.x", "every 2h", params={"n": 1}))
    found = await schedule(scene)
    assert (found["trigger"], found["params"]) == ("every 1d", '{"n": 1}')
    await schedules.override(scene.db, "a.x", {"trigger": None}, jobs=job_named, by="ann")
    assert (await schedule(scene))["trigger"] == "every 2h"


async def test_a_pause_outlives_a_deploy_with_who_and_until_when(scene: Scene) -> None:
    until = datetime.now(UTC) + timedelta(hours=3)
    assert await schedules.pause(scene.db, "a.x", by="ann", until=until) == ["a.x"]
    await scene.declare("a.x", named("a.x", DAILY))
    found = await schedule(scene)
    assert (found["state"], found["paused_by"], found["paused_until"], found["trigger"]) == (
        *("paused", "ann"),
        until,
        "every 1d",
    )
    await scene.declare("a.y")
    await scene.declare("a.x", named("a.x", DAILY))
    found = await schedule(scene)
    assert (found["state"], found["paused_by"], found["paused_until"]) == ("paused", "ann", until)


async def test_to_pause_twice_changes_nothing_the_second_time(scene: Scene) -> None:
    assert await schedules.pause(scene.db, "a.x", by="ann") == ["a.x"]
    assert await schedules.pause(scene.db, "a.x", by="bob") == []
    assert (await schedule(scene))["paused_by"] == "ann"
    assert (await schedules.resume(scene.db, "a.x", by="ann"))[0] == ["a.x"]
    assert await schedules.resume(scene.db, "a.x", by="ann") == ([], [])


async def test_a_pause_that_would_be_over_already_is_refused(scene: Scene) -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    with pytest.raises(DeclarationError, match="is in the past"):
        await schedules.pause(scene.db, "a.x", by="ann", until=past)
    assert (await schedule(scene))["state"] == "active"


async def test_all_schedules_of_a_job_are_paused_by_its_name(scene: Scene) -> None:
    await scene.declare("a.x", named("a.x@one"), named("a.x@two"))
    assert await schedules.pause(scene.db, "a.x", by="ann") == ["a.x@one", "a.x@two"]
    with pytest.raises(DeclarationError, match="several schedules"):
        await schedules.override(scene.db, "a.x", {"trigger": DAILY}, jobs=job_named, by="ann")


async def test_what_is_not_there_is_told_with_what_is_near(scene: Scene) -> None:
    with pytest.raises(NotFoundError, match=r"named 'a\.xy', did you mean 'a\.x'\?"):
        await schedules.pause(scene.db, "a.xy", by="ann")


async def paused_for(scene: Scene, slots: int) -> None:
    """Pause as if so many hourly slots had fallen into the pause by now."""
    await schedules.pause(scene.db, "a.x", by="ann")
    await scene.eye.execute(
        "UPDATE sereno.schedule_version SET valid_from = valid_from - make_interval(hours => $1)",
        slots,
    )


@pytest.mark.parametrize(("run", "count"), [("none", 0), ("last", 1), ("all", 5)])
async def test_a_resume_runs_what_was_missed_if_it_is_asked_to(
    scene: Scene, run: Any, count: int
) -> None:
    await paused_for(scene, 5)
    names, queued = await schedules.resume(scene.db, "a.x", by="ann", run=run)
    assert (names, len(queued)) == (["a.x"], count)
    rows = await scene.rows("SELECT id, cause, requested_by, slot FROM sereno.run ORDER BY slot")
    assert [r[0] for r in rows] == queued
    assert all(r[1:3] == ("person", "ann") for r in rows)
    assert [r[3].minute for r in rows] == [0] * count


async def test_a_resume_that_would_run_too_many_changes_nothing(scene: Scene) -> None:
    await paused_for(scene, MAX_REPLAY + 1)
    with pytest.raises(DeclarationError, match="more than 1000 slots of 'a"):
        await schedules.resume(scene.db, "a.x", by="ann", run="all")
    assert (await schedule(scene))["state"] == "paused"
    names, queued = await schedules.resume(scene.db, "a.x", by="ann", run="last")
    assert (names, len(queued)) == (["a.x"], 1)


# --- people's own schedules -------------------------------------------------------------------


async def test_a_user_s_schedule_is_orphaned_with_its_job_and_is_back_with_it(
    scene: Scene,
) -> None:
    mine = ScheduleSpec(trigger=DAILY, params={"n": 1})
    await schedules.add(scene.db, "a.x@mine", job_named("a.x"), mine, by="ann")
    found = await schedule(scene, "a.x@mine")
    assert (found["origin"], found["state"], found["params"]) == ("user", "active", '{"n": 1}')
    await scene.declare("a.y")
    assert (await schedule(scene, "a.x@mine"))["state"] == "orphaned"
    await scene.declare("a.x", named("a.x"))
    assert (await schedule(scene, "a.x@mine"))["state"] == "active"


async def test_a_name_that_is_taken_is_refused_and_one_that_was_removed_is_free(
    scene: Scene,
) -> None:
    mine = ScheduleSpec(trigger=DAILY)
    await schedules.add(scene.db, "a.x@mine", job_named("a.x"), mine, by="ann")
    with pytest.raises(DeclarationError, match="there is a schedule 'a"):
        await schedules.add(scene.db, "a.x@mine", job_named("a.x"), mine, by="ann")
    await schedules.remove(scene.db, "a.x@mine", by="ann")
    await schedules.add(scene.db, "a.x@mine", job_named("a.x"), mine, by="ann")
    assert await scene.value("SELECT count(*) FROM sereno.schedule WHERE state = 'removed'") == 1


async def test_what_a_plugin_declares_is_removed_once_it_is_orphaned(scene: Scene) -> None:
    with pytest.raises(DeclarationError, match="is declared by"):
        await schedules.remove(scene.db, "a.x", by="ann")
    await scene.declare("a.y")
    await schedules.remove(scene.db, "a.x", by="ann")
    assert (await schedule(scene))["state"] == "removed"


async def test_every_change_is_kept_with_who_and_why(scene: Scene) -> None:
    await schedules.pause(scene.db, "a.x", by="ann", reason="stock-taking")
    await schedules.resume(scene.db, "a.x", by="bob")
    rows = "SELECT by, subject, action, reason FROM sereno.change ORDER BY id"
    assert (await scene.rows(rows))[-2:] == [
        ("ann", "a.x", "pause", "stock-taking"),
        ("bob", "a.x", "resume", ""),
    ]
    versions = "SELECT version, state, changed_by FROM sereno.schedule_version ORDER BY version"
    assert await scene.rows(versions) == [
        (1, "active", "the code"),
        (2, "paused", "ann"),
        (3, "active", "bob"),
    ]


@pytest.mark.parametrize("bad", [{"description": "a\x00b"}, {"description": "\ud800"}])
async def test_what_the_database_refuses_costs_its_plugin_alone(
    scene: Scene, bad: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """What is unforeseen: that a plugin is loaded, all of this is looked at before."""
    await scene.declare("good.job", named("good.job"))
    ill = msgspec.structs.replace(declared_job("ill.job", **bad), plugin="ill")
    with caplog.at_level(logging.ERROR):
        changed = await scene.declare(
            "good.job", "late.job", ill, named("good.job"), named("ill.job"), named("late.job")
        )

    assert changed
    assert await scene.rows("SELECT name FROM sereno.job WHERE present ORDER BY name") == [
        ("good.job",),
        ("late.job",),
    ]
    assert await scene.rows(
        "SELECT name, state FROM sereno.schedule WHERE job <> 'a.x' ORDER BY name"
    ) == [
        ("good.job", "active"),
        ("late.job", "active"),
    ]
    errors = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert [r.plugin for r in errors] == ["ill"]  # type: ignore[attr-defined]


async def test_a_plugin_that_was_refused_is_registered_once_it_is_well(scene: Scene) -> None:
    ill = msgspec.structs.replace(declared_job("ill.job", description="\x00"), plugin="ill")
    well = msgspec.structs.replace(declared_job("ill.job"), plugin="ill")
    await scene.declare("good.job", well, named("ill.job"))
    await scene.declare("good.job", ill, named("ill.job"))
    assert (
        await scene.value("SELECT state FROM sereno.schedule WHERE job = 'ill.job'") == "orphaned"
    )
    await scene.declare("good.job", well, named("ill.job"))
    assert await scene.value("SELECT state FROM sereno.schedule WHERE job = 'ill.job'") == "active"


async def test_a_plugin_that_the_database_does_not_take_is_failed_on_the_pages_of_every_replica(
    database: str,
) -> None:
    @job("t.ill")
    async def ill(run: object) -> None: ...

    leader, standby = LiveNode(database, ill), LiveNode(database, ill)
    unforeseen = {"t.ill": msgspec.structs.replace(ill, description="\x00")}
    leader.registry = msgspec.structs.replace(leader.registry, jobs=unforeseen)
    await leader.start()
    try:
        await leader.leads()
        await standby.start()
        try:
            async with looking(database) as eye:
                await eye.until("SELECT refused <> '{}' FROM sereno.catalogue")
            for node in (leader, standby):
                while not node.kernel.watch.refused:  # it may have asked just before
                    await node.kernel.watch.poll()
                record = node.kernel.plugins()["t"]
                assert record.state == "failed"
                assert record.reason.startswith("it cannot be registered: ")
        finally:
            await standby.stop()
    finally:
        await leader.stop()


async def test_jobs_that_were_declared_until_now_are_told_by_plugin(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> list[tuple[str, list[str]]]:
        return [(r.plugin, r.jobs) for r in caplog.records if "declared no longer" in r.message]

    await scene.declare("a.x", "b.x", "c.x")
    assert told() == []
    await scene.declare("b.x")
    assert told() == [("tests", ["a.x", "c.x"])]
    assert {r.levelname for r in caplog.records if "declared no longer" in r.message} == {"WARNING"}
    await scene.declare("b.x", "d.x")
    await scene.declare("b.x", "d.x")
    assert len(told()) == 1
