"""What the simulated year has found, each by itself."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from sereno.engine.verification import verify
from sereno.model.schedule_spec import ScheduleSpec
from sereno.store import blackouts, schedules
from sereno.store.catalogue import NamedSchedule
from sereno.store.pool import Database
from sereno.testing.databases import make_template

from ..servers.postgres import PostgresServer
from .simulated_world import JOBS, START, World

HOUR = timedelta(hours=1)
HALF = timedelta(minutes=30)


@pytest.fixture
async def world(postgres_server: PostgresServer) -> AsyncIterator[World]:
    with postgres_server.database("owned_time_template", make_template) as dsn:
        db = Database(dsn, size=3)
        await db.open()
        eye = await asyncpg.connect(dsn)
        try:
            yield World(db, eye, 1)
        finally:
            eye.terminate()
            await db.close()


async def begin(world: World, *triggers: str, job: str = JOBS[0], **policies: Any) -> list[str]:
    """Begin with one schedule for each of `triggers` and return their names."""
    declared = [
        NamedSchedule(
            name=f"{job}@s{n}",
            job=job,
            origin="plugin",
            declared=ScheduleSpec(trigger=text, params={"tenant": "t"}, policies=policies),
        )
        for n, text in enumerate(triggers)
    ]
    world.schedules = {s.name: s for s in declared}
    await world.begin()
    return [*world.schedules]


async def verdicts(world: World) -> dict[str, int]:
    """Return how many slots have each verdict, once nothing is left without one."""
    await world.nothing_is_left()
    return dict((await world.check()).verdicts)


async def test_a_plugin_that_is_taken_out_does_not_take_the_leader_with_it(world: World) -> None:
    await begin(world, "every 1h")
    await world.pass_time(3 * HOUR)
    world.absent = {JOBS[0]}
    await world.crown()
    await world.tick()
    assert await verdicts(world) == {"missed": 3}


async def one_after_another(world: World) -> None:
    """Let the runs that wait for each other have their turns."""
    for _ in range(2):
        await world.end_runs()
        await world.tick()


@pytest.mark.parametrize("leads", [True, False])
async def test_a_pause_with_an_end_is_over_at_that_instant_whoever_leads(
    world: World, leads: bool
) -> None:
    (name,) = await begin(world, "every 1h", catch_up="all", overlap="queue")
    await schedules.pause(world.db, name, by="ana", until=START + 2 * HOUR + HALF)
    if leads:
        await world.watch(5 * HOUR)
    else:
        await world.resign()
        await world.pass_time(5 * HOUR)
        await world.crown()
        await world.tick()
    late = {"ran": 3} if leads else {"late": 1, "waiting": 2}
    assert await verdicts(world) == {"skipped": 2, **late}
    await one_after_another(world)
    late = {"ran": 3} if leads else {"late": 2, "ran": 1}
    assert (await world.check(whole=True)).verdicts == {"skipped": 2, **late}


async def test_what_is_changed_after_a_pause_was_over_does_not_make_it_longer(
    world: World,
) -> None:
    (name,) = await begin(world, "every 1h", catch_up="all", overlap="queue")
    await schedules.pause(world.db, name, by="ana", until=START + 2 * HOUR + HALF)
    await world.pass_time(5 * HOUR)
    changes = {"params": {"tenant": "other"}}
    await schedules.override(world.db, name, changes, jobs=world.job, by="ana")
    await world.tick()
    await one_after_another(world)
    assert await verdicts(world) == {"skipped": 2, "ran": 1, "late": 2}
    tenants = await world.eye.fetch("SELECT DISTINCT params ->> 'tenant' FROM sereno.run")
    assert [tuple(t) for t in tenants] == [("t",)]


async def pauses(world: World) -> list[tuple[object, ...]]:
    rows = await world.eye.fetch(
        "SELECT state, paused_by, paused_until FROM sereno.schedule ORDER BY name"
    )
    return [tuple(row) for row in rows]


async def test_a_pause_outlives_a_version_of_the_code_that_declares_otherwise(
    world: World,
) -> None:
    (name,) = await begin(world, "every 1h")
    until = START + 10 * HOUR
    await schedules.pause(world.db, name, by="ana", until=until)
    held = world.schedules[name]
    world.schedules[name] = replace(held, declared=ScheduleSpec(trigger="every 2h"))
    await world.crown()
    assert await pauses(world) == [("paused", "ana", until)]
    await world.watch(12 * HOUR)
    assert await pauses(world) == [("active", None, None)]
    assert await verdicts(world) == {"skipped": 5, "ran": 1}


@pytest.mark.parametrize("users", [True, False])
async def test_a_pause_outlives_a_version_of_the_code_without_the_job(
    world: World, users: bool
) -> None:
    (name,) = await begin(world, "every 1h")
    if users:
        world.schedules = {}
        await world.crown()
        name = f"{JOBS[0]}@user"
        job, mine = world.job(JOBS[0]), ScheduleSpec(trigger="every 1h")
        await schedules.add(world.db, name, job, mine, by="ana")
    await schedules.pause(world.db, name, by="ana", until=START + 5 * HOUR + HALF)
    world.absent = {JOBS[0]}
    await world.crown()
    await world.pass_time(2 * HOUR)
    world.absent = set()
    await world.crown()
    assert ("paused", "ana", START + 5 * HOUR + HALF) in await pauses(world)
    await world.watch(5 * HOUR)
    assert await verdicts(world) == {"skipped": 3, "ran": 2}


async def test_a_pause_that_ended_while_nobody_knew_the_job_is_over_when_it_is_back(
    world: World,
) -> None:
    (name,) = await begin(world, "every 1h")
    await schedules.pause(world.db, name, by="ana", until=START + 2 * HOUR)
    world.absent = {JOBS[0]}
    await world.crown()
    await world.pass_time(4 * HOUR)
    world.absent = set()
    await world.crown()
    assert await pauses(world) == [("active", None, None)]
    await world.watch(2 * HOUR)
    assert await verdicts(world) == {"ran": 2}


async def test_a_pause_of_a_schedule_that_the_configuration_disables_does_not_enable_it(
    world: World,
) -> None:
    (name,) = await begin(world, "every 1h")
    held = world.schedules[name]
    world.schedules[name] = replace(held, declared=ScheduleSpec(trigger="every 1h", enabled=False))
    await world.crown()
    await schedules.pause(world.db, name, by="ana", until=START + 2 * HOUR)
    await world.watch(3 * HOUR)
    assert await pauses(world) == [("paused", "the configuration", None)]
    world.schedules[name] = held
    await world.crown()
    assert await pauses(world) == [("active", None, None)]


async def test_slots_before_a_window_that_holds_none_have_their_verdict_too(
    world: World,
) -> None:
    window = {"starts_at": START + 3 * HOUR + HALF, "ends_at": START + 4 * HOUR - HALF / 2}
    (name,) = await begin(world, "every 1h")
    held = ScheduleSpec(trigger="every 1h", **window)
    new = f"{JOBS[0]}@new"
    world.schedules = {new: replace(world.schedules[name], name=new, declared=held)}
    await world.crown()
    await world.watch(6 * HOUR)
    assert await verdicts(world) == {"skipped": 3}


async def test_runs_for_the_slots_of_a_pause_do_not_overlap_the_run_of_a_slot(
    world: World,
) -> None:
    (name,) = await begin(world, "every 1h", overlap="skip")
    await schedules.pause(world.db, name, by="ana")
    await world.pass_time(3 * HOUR - HALF)
    await world.tick()
    await schedules.resume(world.db, name, by="ana", run="none")
    await world.pass_time(HALF)
    await world.tick()  # the slot of three o'clock runs
    await schedules.pause(world.db, name, by="ana")
    await world.pass_time(2 * HOUR)
    await schedules.resume(world.db, name, by="ana", run="all")
    await world.tick()
    running = "SELECT count(*) FROM sereno.run WHERE state = $1"
    assert await world.eye.fetchval(running, "running") == 1
    assert await world.eye.fetchval(running, "queued") == 2


# --- an edit while jitter has put a slot off --------------------------------------------------

MINUTE = timedelta(minutes=1)


async def put_off(world: World, trigger: str = "jitter (every 1h) 50m") -> tuple[str, datetime]:
    """Begin, and stand between a slot's hour and the instant to which jitter has put it off."""
    (name,) = await begin(world, trigger, catch_up="all", overlap="allow")
    hour = START
    while True:
        hour += HOUR
        await world.pass_time(hour - world.clock.now())
        await world.tick()
        due = await world.eye.fetchval("SELECT next_slot FROM sereno.watermark")
        if due < hour + HOUR and due > hour + 2 * MINUTE:
            await world.pass_time(MINUTE)
            return name, due


async def change(world: World, name: str, **changes: Any) -> datetime:
    """Change the schedule and return from when on the change holds."""
    found, _ = await schedules.override(world.db, name, changes, jobs=world.job, by="ana")
    return found.valid_from


async def tenant_of(world: World, slot: datetime) -> str | None:
    """Return with which params the run of a slot was made."""
    return await world.eye.fetchval(
        "SELECT params ->> 'tenant' FROM sereno.run WHERE slot = $1", slot
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"trigger": "every 1h"},
        {"trigger": "jitter (every 1h) 2s"},
        {"trigger": "cron 30 4 * * * UTC"},
        {"trigger": "every 1m"},
    ],
)
async def test_a_slot_that_jitter_has_put_off_stays_with_the_version_before(
    world: World, changes: dict[str, Any]
) -> None:
    name, slot = await put_off(world)
    assert await change(world, name, **changes, params={"tenant": "new"}) == slot
    assert await world.eye.fetchval("SELECT next_slot FROM sereno.watermark") == slot
    await world.watch(3 * HOUR)
    assert await tenant_of(world, slot) == "t"
    later = "SELECT DISTINCT params ->> 'tenant' FROM sereno.run WHERE slot > $1"
    assert [r[0] for r in await world.eye.fetch(later, slot)] in (["new"], [])
    await world.nothing_is_left()
    assert (await world.check(whole=True)).holds


async def test_a_second_edit_does_not_drop_what_the_first_has_left(world: World) -> None:
    name, slot = await put_off(world)
    assert await change(world, name, trigger="every 2h") == slot
    await world.pass_time(MINUTE)
    assert await change(world, name, trigger="every 3h") == slot
    await world.watch(7 * HOUR)
    assert await tenant_of(world, slot) == "t"
    assert (await world.check(whole=True)).holds


@pytest.mark.parametrize(
    "changes",
    [{"params": {"tenant": "new"}}, {"trigger": "jitter (every 1h) 58m"}],
    ids=["not moved", "moved"],
)
async def test_a_slot_that_the_new_version_puts_off_too_is_its_own(
    world: World, changes: dict[str, Any]
) -> None:
    name, _ = await put_off(world)
    now = world.clock.now()
    before = await world.eye.fetchval("SELECT count(*) FROM sereno.run")
    assert await change(world, name, **{"params": {"tenant": "new"}, **changes}) == now
    due = await world.eye.fetchval("SELECT next_slot FROM sereno.watermark")
    assert now < due < now + HOUR
    await world.watch(due - now)
    assert await tenant_of(world, due) == "new"
    assert await world.eye.fetchval("SELECT count(*) FROM sereno.run") == before + 1
    assert (await world.check(whole=True)).holds


async def test_while_a_slot_stays_so_do_the_others_of_its_version_and_are_on_time(
    world: World,
) -> None:
    name, _ = await put_off(world, "any_of (jitter (every 1h) 50m) (every 13m)")
    now = world.clock.now()
    begins = await change(world, name, trigger="every 1d")
    await world.watch(begins - now + HOUR)
    since = "SELECT count(*), max(started_at - slot) FROM sereno.run WHERE slot > $1"
    runs, latest = await world.eye.fetchrow(since, now)
    assert runs > 1
    assert latest < timedelta(seconds=1)
    assert (await world.check(whole=True)).holds


async def test_a_slot_that_an_edit_has_dropped_and_nobody_recorded_is_lost(world: World) -> None:
    """As a version before has left it."""
    name, slot = await put_off(world)
    await change(world, name, trigger="every 1h")
    await world.eye.execute(
        "UPDATE sereno.schedule_version SET valid_from = $1 WHERE version = 2", world.clock.now()
    )
    await world.watch(2 * HOUR)
    account = await verify(world.db, timedelta(days=1_000))
    assert [(f.kind, f.slot) for f in account.faults] == [("lost", slot)]
    assert "put off to here when its schedule was changed" in account.faults[0].detail


@pytest.mark.parametrize("how", ["removed", "orphaned"])
async def test_a_slot_that_ends_with_its_schedule_is_told_and_kept(world: World, how: str) -> None:
    name, slot = await put_off(world)
    if how == "removed":
        await world.eye.execute("UPDATE sereno.schedule SET origin = 'user'")
        assert await schedules.remove(world.db, name, by="ana", reason="no more") == (name, [slot])
    else:
        world.schedules = {}
        await world.crown()
    reason = await world.eye.fetchval("SELECT reason FROM sereno.change ORDER BY id DESC LIMIT 1")
    assert f"what jitter had put off ends with it unbegun: {slot:%Y-%m-%dT%H:%M:%SZ}" in reason
    await world.watch(2 * HOUR)
    assert await tenant_of(world, slot) is None
    assert (await world.check(whole=True)).holds


async def test_what_nothing_is_due_of_any_more_drops_nothing_in_silence(world: World) -> None:
    name, slot = await put_off(world)
    await schedules.pause(world.db, name, by="ana")
    await world.watch(HOUR)
    row = await world.eye.fetchrow("SELECT verdict, reason FROM sereno.slot_range")
    assert tuple(row) == ("skipped", "paused")
    assert await tenant_of(world, slot) is None
    assert (await world.check(whole=True)).holds


async def test_slots_of_a_blackout_do_not_run_however_late_they_are_settled(world: World) -> None:
    trigger = f"within (every 1h) start={START:%FT%TZ} end={START + 7 * HOUR:%FT%TZ}"
    await begin(world, trigger, catch_up="all", overlap="allow")
    first, last = START + 2 * HOUR, START + 5 * HOUR
    span: dict[str, Any] = {"starts_at": first, "ends_at": last}
    await blackouts.make(world.db, "*", plugin=None, reason="quiet", by="ana", **span)
    await world.resign()
    await world.pass_time(timedelta(days=60))
    await world.crown()
    await world.tick()
    assert await verdicts(world) == {"late": 1, "waiting": 3, "skipped": 3}


async def test_a_key_is_free_from_the_instant_on_at_which_its_span_ends(world: World) -> None:
    await begin(world, "every 1d")
    for wait, new in ((HOUR - timedelta(microseconds=1), 1), (timedelta(microseconds=1), 2)):
        await world.keys.ask(JOBS[0], "key", 0, HOUR, world.clock.now())
        await world.eye.execute("UPDATE sereno.run SET state = 'succeeded', attempt = 1")
        await world.pass_time(wait)
        await world.keys.ask(JOBS[0], "key", 0, HOUR, world.clock.now())
        assert world.keys.counts["new"] == new
