"""A name may be a person's before a plugin declares it, and free again after it was removed."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from sereno import every
from sereno.model.job import job
from sereno.model.schedule import Schedule
from sereno.model.schedule_spec import ScheduleSpec
from sereno.store import schedules
from sereno.store.catalogue import DeclaredJob, NamedSchedule, register
from sereno.store.pool import Database
from sereno.triggers.occurrences import window_slots

from .cli_scene import Scene, scene

__all__ = ["scene"]


@job("etl.sync")
async def sync(run: object) -> None: ...


def declared(*names: str) -> list[NamedSchedule]:
    text = ScheduleSpec.of(Schedule(trigger=every("6h")))
    return [NamedSchedule(name=n, job="etl.sync", origin="plugin", declared=text) for n in names]


async def leads(dsn: str, *names: str) -> None:
    """Register what a new leader's code declares, and what a person adds after it."""
    db = Database(dsn)
    await db.open()
    try:
        await register(db, 0, [DeclaredJob(job=sync, plugin="etl")], declared(*names))
    finally:
        await db.close()


async def person(dsn: str, doing: str, name: str) -> None:
    db = Database(dsn)
    await db.open()
    try:
        if doing == "add":
            parts = ScheduleSpec(trigger="every 1h")
            await schedules.add(db, name, sync, parts, by="ana")
        else:
            await schedules.remove(db, name, by="ana")
    finally:
        await db.close()


def origins(scene: Scene) -> list[tuple[object, ...]]:
    return scene.sql("SELECT name, origin, state FROM sereno.schedule ORDER BY id")


def test_a_persons_schedule_keeps_its_name_and_the_leader_its_lead(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(leads(scene.dsn))
    asyncio.run(person(scene.dsn, "add", "etl.sync@night"))
    asyncio.run(leads(scene.dsn, "etl.sync@night", "etl.sync@day"))
    assert origins(scene) == [
        ("etl.sync@night", "user", "active"),
        ("etl.sync@day", "plugin", "active"),
    ]
    assert "a person's schedule has the name of a declared one" in caplog.text


def test_a_plugin_that_comes_back_after_its_schedule_was_removed_gets_a_new_one(
    scene: Scene,
) -> None:
    asyncio.run(leads(scene.dsn, "etl.sync@night"))
    asyncio.run(leads(scene.dsn))
    asyncio.run(person(scene.dsn, "remove", "etl.sync@night"))
    asyncio.run(leads(scene.dsn, "etl.sync@night"))
    assert [(o, s) for _, o, s in origins(scene)] == [("plugin", "removed"), ("plugin", "active")]


def test_the_account_of_a_removed_schedule_goes_by_the_name_that_its_jitter_went_by(
    scene: Scene,
) -> None:
    asyncio.run(leads(scene.dsn))
    scene.call("schedule", "add", "etl.sync", "every 1h", "--label", "x", "--jitter", "50m")
    now = datetime.now(UTC)
    scene.sql("UPDATE sereno.schedule_version SET valid_from = %s", now - timedelta(hours=6))
    scene.sql("UPDATE sereno.watermark SET settled_to = %s", now)
    parts = ScheduleSpec(trigger="every 1h", jitter=timedelta(minutes=50))
    held = parts.as_version(1, now, "active")
    for slot in window_slots(held, "etl.sync@x", now - timedelta(hours=6), now):
        scene.slot(1, slot.isoformat(), "skipped", "overlap")
    scene.call("schedule", "remove", "etl.sync@x")
    scene.call("schedule", "add", "etl.sync", "every 1h", "--label", "x")
    result = scene.call("verify")
    assert result.exit_code == 0, result.output
    assert scene.json("verify")["slots"] >= 5
