"""Schedules are read, added, changed, foreseen, paused and explained by programs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from sereno import Client, every
from sereno.client.declarations import Declarations
from sereno.model.errors import (
    DeclarationError,
    NotFoundError,
    ParamsError,
    SerenoError,
    TriggerError,
)

from .cli_scene import Scene as Told
from .cli_scene import scene as told
from .scene import Scene, declared_job, named, opened

__all__ = ["told"]

THEN = datetime(2036, 3, 1, tzinfo=UTC)


class Params(msgspec.Struct):
    """What `etl.sync` takes."""

    site: str = "madrid"
    api_token: str = ""


SYNC = declared_job("etl.sync", params=Params)


@asynccontextmanager
async def house(dsn: str) -> AsyncIterator[tuple[Client, Scene]]:
    """Give a client where `etl.sync` and `etl.load` of one plugin have schedules, and `shop.mail`
    of another has two."""
    async with opened(dsn) as scene:
        mail = msgspec.structs.replace(declared_job("shop.mail"), plugin="shop")
        await scene.declare(
            SYNC,
            declared_job("etl.load"),
            mail,
            named("etl.sync", "every 1h"),
            named("etl.load", "every 2h"),
            named("shop.mail", "every 1h"),
            named("shop.mail@late", "cron 0 23 * * * UTC"),
        )
        jobs = Declarations({"etl.sync": SYNC.job, "shop.mail": mail.job})
        yield Client(scene.db, jobs, requested_by="ana"), scene


async def states(client: Client) -> dict[str, str]:
    return {s.name: s.state for s in await client.schedules()}


async def test_schedules_are_found_by_job_by_name_and_by_pattern(database: str) -> None:
    async with house(database) as (client, _):
        for name, expected in (
            ("shop.mail", ["shop.mail", "shop.mail@late"]),
            ("shop.mail@late", ["shop.mail@late"]),
            ("*@late", ["shop.mail@late"]),
            ("etl.*", ["etl.load", "etl.sync"]),
            ("nothing*", []),
        ):
            assert [s.name for s in await client.schedules(name)] == expected
        with pytest.raises(NotFoundError, match=r"there is no job 'shop.male'"):
            await client.schedules("shop.male")


# --- to add, change and remove ----------------------------------------------------------------


async def test_a_schedule_is_added_changed_reset_and_removed(database: str) -> None:
    async with house(database) as (client, _):
        added = await client.add_schedule(
            "etl.sync",
            "cron 0 8 * * * UTC",
            label="extra",
            params={"site": "lugo"},
            start=THEN,
            jitter="5m",
            policies={"grace": "90s"},
            reason="a trial",
        )
        changed = await client.change_schedule(
            "etl.sync@extra", trigger=every("6h"), start=None, jitter=None, params={"site": "vigo"}
        )
        (there,) = await client.schedules("etl.sync@extra")
        back = await client.change_schedule("etl.sync@extra", reset=["trigger", "params"])
        removed = await client.remove_schedule("etl.sync@extra", reason="over")
        trail = [(c.by, c.action, c.reason) for c in (await client.changes(by="ana")).items]

    assert added.schedule == "etl.sync@extra"
    assert added.next_slot >= THEN
    assert (changed.job, changed.version.trigger) == ("etl.sync", "every 6h")
    assert (changed.version.starts_at, changed.version.jitter) == (None, None)
    assert changed.version.policies == {"grace": "PT90S"}
    assert there.definition.params == {"site": "vigo", "api_token": ""}
    assert back.version.trigger == "cron 0 8 * * * UTC"
    assert back.version.params["site"] == "lugo"
    assert removed.schedule == "etl.sync@extra"
    assert trail[0] == ("ana", "remove", "over")
    assert trail[-1] == ("ana", "create", "a trial")


REFUSED: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("add", {"job": "etl.sync", "trigger": "every moon"}, TriggerError, "duration 'moon'"),
    ("add", {"job": "etl.sync", "trigger": "every 1h"}, DeclarationError, "there is a schedule"),
    ("add", {"job": "etl.load", "trigger": "every 1h"}, NotFoundError, "not declared here"),
    ("add", {"job": "etl.sync", "trigger": "every 1h", "label": "a b"}, DeclarationError, "label"),
    ("add", {"job": "etl.sync", "trigger": "every 1h", "label": "x", "params": {"sight": 1}},
     ParamsError, "unknown param 'sight', did you mean 'site'"),
    ("change", {"name": "etl.sync"}, ParamsError, "nothing to change is named"),
    ("change", {"name": "etl.sync", "reset": ["all", "x"]}, ParamsError, "reset: 'x' is no part"),
    ("change", {"name": "etl.sync", "policies": {"grase": "1m"}}, DeclarationError, "grase"),
    ("change", {"name": "etl.sync", "start": THEN, "end": THEN}, DeclarationError, "window is"),
    ("change", {"name": "etl.sync", "end": datetime(2000, 1, 1, tzinfo=UTC)},
     DeclarationError, "no slot to come"),
    ("remove", {"name": "etl.sync"}, DeclarationError, "is declared by a plugin; pause it"),
]  # fmt: skip


async def test_what_no_schedule_can_be_is_a_sentence_and_nothing_is_changed(database: str) -> None:
    async with house(database) as (client, scene):
        before = await client.schedules()
        for verb, said, error, sentence in REFUSED:
            with pytest.raises(error, match=sentence):
                await getattr(client, f"{verb}_schedule")(**said)
            if verb == "change":
                with pytest.raises(error, match=sentence):
                    await client.preview_change(**said)
        assert await client.schedules() == before
        assert await scene.value("SELECT count(*) FROM sereno.schedule_version") == 4


# --- to foresee -------------------------------------------------------------------------------


async def test_a_change_is_foreseen_and_nothing_is_changed(database: str) -> None:
    async with house(database) as (client, _):
        before = await client.schedules()
        away = await client.now() + timedelta(hours=3)  # no slot comes between the two
        trigger = f"every 6h anchor={away:%Y-%m-%dT%H:%M:%SZ}"
        found = await client.preview_change(
            "etl.sync", trigger=trigger, params={"api_token": "x"}, count=3
        )
        assert await client.schedules() == before
        after = await client.change_schedule("etl.sync", trigger=trigger)
    assert (found.before.trigger, found.after.trigger) == ("every 1h", trigger)
    assert found.after.params == {"site": "madrid", "api_token": "***"}
    assert [b - a for a, b in zip(found.slots_before, found.slots_before[1:], strict=False)] == [
        timedelta(hours=1)
    ] * 2
    assert len(found.slots_after) == 3
    assert found.slots_after[0] == after.next_slot


async def test_slots_are_foreseen_of_schedules_and_of_triggers_that_none_has(database: str) -> None:
    async with house(database) as (client, _):
        slots = await client.next_slots("shop.mail", count=2, after=THEN)
        once = await client.preview_slots("once 2036-03-01T08:00:00Z", count=5)
        window = await client.preview_slots(
            every("1h"), start=THEN, end=THEN + timedelta(hours=3), count=9
        )
        with pytest.raises(TriggerError):
            await client.preview_slots("every now and then")
        with pytest.raises(ParamsError, match="limit is 10001"):
            await client.preview_slots("every 1h", count=10_001)
    hour = timedelta(hours=1)
    assert slots == {
        "shop.mail": [THEN + hour, THEN + 2 * hour],
        "shop.mail@late": [THEN + 23 * hour, THEN + 47 * hour],
    }
    assert once == [THEN + 8 * hour]
    assert window == [THEN, THEN + hour, THEN + 2 * hour]


# --- to pause and resume ----------------------------------------------------------------------

CHOICES: list[tuple[dict[str, Any], set[str]]] = [
    ({"name": "shop.mail"}, {"shop.mail"}),
    ({"name": "etl.load"}, {"etl.load"}),
    ({"name": "shop.mail@late"}, {"shop.mail@late"}),
    ({"name": "shop.*"}, {"shop.mail", "shop.mail@late"}),
    ({"name": "*@late"}, {"shop.mail@late"}),
    ({"plugin": "tests"}, {"etl.sync", "etl.load"}),
    ({"everything": True}, {"etl.sync", "etl.load", "shop.mail", "shop.mail@late"}),
]


@pytest.mark.parametrize(("said", "meant"), CHOICES)
async def test_schedules_are_paused_and_resumed_by_what_they_have_in_common(
    database: str, said: dict[str, Any], meant: set[str]
) -> None:
    async with house(database) as (client, _):
        paused = await client.pause(**said, reason="quiet", until=THEN)
        assert set(paused.paused) == meant
        assert {n for n, s in (await states(client)).items() if s == "paused"} == meant
        assert (await client.pause(**said, until=THEN)).paused == ()
        assert set((await client.resume(**said)).resumed) == meant
        assert set((await states(client)).values()) == {"active"}
        assert (await client.resume(**said)).resumed == ()


async def test_very_many_schedules_are_paused_in_lots(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sereno.client.schedule_verbs._AT_ONCE", 3)
    async with house(database) as (client, _):
        for n in range(8):
            await client.add_schedule("etl.sync", "every 1h", label=f"n{n}")
        assert len((await client.pause("etl.sync*")).paused) == 9
        assert len((await client.resume(everything=True)).resumed) == 9


WRONG: list[tuple[dict[str, Any], type[SerenoError], str]] = [
    ({}, ParamsError, "say what is meant by one of these"),
    ({"name": "x", "everything": True}, ParamsError, "say what is meant by one of these"),
    ({"name": "shop.male"}, NotFoundError, "there is no schedule, nor a job with schedules, named"),
    ({"name": "x*"}, NotFoundError, "no schedule, nor a job of one, is like 'x\\*'"),
    ({"plugin": "shopp"}, NotFoundError, "there is no plugin 'shopp', did you mean 'shop'"),
]


async def test_what_cannot_be_paused_is_a_sentence(database: str) -> None:
    async with house(database) as (client, _):
        for said, error, sentence in WRONG:
            for verb in (client.pause, client.resume):
                with pytest.raises(error, match=sentence):
                    await verb(**said)
        with pytest.raises(DeclarationError, match="is in the past"):
            await client.pause("etl.*", until=datetime(2020, 1, 1, tzinfo=UTC))
        with pytest.raises(ParamsError, match="replay is 'some'"):
            await client.resume("etl.*", replay="some")  # type: ignore[arg-type]
        assert set((await states(client)).values()) == {"active"}


# --- slots and why ----------------------------------------------------------------------------


async def test_a_slot_is_explained_by_its_rule_its_verdict_and_its_run(told: Told) -> None:
    told.job()
    schedule = told.schedule()
    run = told.run(cause="slot", schedule_id=schedule, slot="2026-02-01T10:00:00Z")
    told.slot(schedule, "2026-02-01T10:00:00Z", "ran", run=run)
    told.slot(schedule, "2026-02-01T11:00:00Z", "skipped", "paused")
    ten, eleven = datetime(2026, 2, 1, 10, tzinfo=UTC), datetime(2026, 2, 1, 11, tzinfo=UTC)
    async with Client.open(told.dsn) as client:
        ran = await client.explain("etl.sync", ten)
        skipped = await client.explain("etl.sync", eleven)
        nothing = await client.explain("etl.sync", ten + timedelta(minutes=7))
        both = await client.explain("etl.sync", ten, eleven + timedelta(seconds=1))
        verdicts = await client.slots("etl.sync", ten, eleven)
        with pytest.raises(NotFoundError):
            await client.explain("etl.sink", ten)
    assert [s.verdict for s in ran.slots] == ["ran"]
    assert ran.runs[run].state == "succeeded"
    assert ran.due == {"etl.sync": ten}
    assert [(s.verdict, s.reason) for s in skipped.slots] == [("skipped", "paused")]
    assert nothing.due == {"etl.sync": None}
    assert [s.first_slot for s in both.slots] == [ten, eleven] == [s.first_slot for s in verdicts]


async def test_what_comes_of_all_schedules_comes_in_its_order(database: str) -> None:
    async with house(database) as (client, _):
        await client.pause("etl.load", reason="away")
        coming = await client.coming_slots(count=60)
        slots = [slot.slot for slot in coming]
        until = await client.coming_slots(until=slots[4])

    assert slots == sorted(slots)
    assert len(coming) == 60
    assert {s.schedule for s in coming} == {"etl.sync", "shop.mail", "shop.mail@late"}
    assert [s.slot for s in until] == slots[:5] or slots[4] == slots[5]
    assert await opened_jobs_without_schedules(database) == [[], [], []]


async def opened_jobs_without_schedules(database: str) -> list[Any]:
    async with house(database) as (client, _):
        return [job.schedules for job in await client.jobs(schedules=False)]
