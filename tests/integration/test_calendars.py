"""A calendar's days are those of every schedule that follows it, each change a new version; slots
in a blackout are skipped for its reason."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sereno import Client, RunContext, every, except_on, job, parse, schedule
from sereno.client.calendar_verbs import with_more
from sereno.engine.drift import foresee
from sereno.engine.verification import verify
from sereno.model.calendar import SharedPlans
from sereno.model.errors import (
    ConflictError,
    DeclarationError,
    LeaseLostError,
    NotFoundError,
    ParamsError,
    TriggerError,
)
from sereno.model.schedule_spec import ScheduleSpec
from sereno.settings import BlackoutSettings
from sereno.store import schedules
from sereno.store.shared_plans import register_shared

from .node import Eye, running
from .scene import OTHER, Scene, job_named, named, opened

DAILY = "cron 0 12 * * * UTC"


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        yield found


async def tomorrow(scene: Scene, days: int = 1) -> str:
    now: datetime = await scene.value("SELECT clock_timestamp()")
    return f"{now.astimezone(UTC) + timedelta(days=days):%Y-%m-%d}"


def following(text: str = DAILY, name: str = "a", calendar: str = "madrid") -> Any:
    return named(name, except_on(parse(text), calendar=calendar).text)


async def next_days(scene: Scene, count: int = 3) -> list[str]:
    found = await Client(scene.db).next_slots("a", count=count)
    return [f"{slot:%Y-%m-%d}" for slot in found["a"]]


async def trail(scene: Scene) -> list[tuple[Any, ...]]:
    return await scene.rows("SELECT subject, action, by FROM sereno.change ORDER BY id")


async def test_a_change_of_a_calendar_is_a_new_version_of_all_that_follow_it_at_once(
    scene: Scene,
) -> None:
    client = Client(scene.db, requested_by="ana")
    first, second = await tomorrow(scene, 1), await tomorrow(scene, 2)
    await client.set_calendar("madrid", [first])
    await scene.declare("a", "b", following(), named("b", DAILY))
    assert first not in await next_days(scene)
    changed = await client.set_calendar("madrid", [second], reason="a bridge")
    assert changed.schedules == ("a",)
    days = await next_days(scene)
    assert first in days or f"{datetime.now(UTC):%H}" >= "12"
    assert second not in days
    assert await scene.rows("SELECT trigger FROM sereno.schedule_version v JOIN"
                            " sereno.schedule s ON s.id = schedule_id WHERE name = 'a'"
                            " AND trigger LIKE '%calendar%'") == []  # fmt: skip
    assert await scene.value("SELECT version FROM sereno.schedule WHERE name = 'b'") == 1
    assert (await trail(scene))[-2:] == [
        ("calendar madrid", "calendar_set", "ana"), ("a", "calendar", "ana")
    ]  # fmt: skip
    shown = await client.calendar("madrid")
    assert (shown.days, shown.schedules, shown.reason) == ((second,), ("a",), "a bridge")
    (view,) = await client.schedules("a")
    assert "calendar=madrid" in view.written


async def test_what_a_change_would_move_is_seen_before(scene: Scene) -> None:
    client = Client(scene.db)
    day, other = await tomorrow(scene, 3), await tomorrow(scene, 4)
    await client.set_calendar("madrid", [day])
    await scene.declare("a", following())
    (moved,) = await client.preview_calendar("madrid", [other], count=30)
    assert [f"{s:%Y-%m-%d}" for s in moved.gained] == [day]
    assert [f"{s:%Y-%m-%d}" for s in moved.lost] == [other]
    assert (await client.calendar("madrid")).days == (day,)
    assert with_more("madrid", [day], [other], [day]) == [other]
    with pytest.raises(ParamsError, match="calendar 'madrid': '2020-01-01' is none of its days"):
        with_more("madrid", [day], [], ["2020-01-01"])


async def test_what_would_leave_a_schedule_nothing_changes_nothing(scene: Scene) -> None:
    client = Client(scene.db)
    await client.set_calendar("madrid", ["12-25"])
    await scene.declare("a", "b", following(), named("b", DAILY))
    before = await trail(scene)
    week = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    with pytest.raises(TriggerError, match=r"schedule 'a': .* it never fires"):
        await client.set_calendar("madrid", week)
    assert await trail(scene) == before
    assert (await client.calendar("madrid")).days == ("12-25",)
    for wrong in ([], ["x"], ["2026-02-30"]):
        with pytest.raises(DeclarationError):
            await client.set_calendar("madrid", wrong)
    with pytest.raises(DeclarationError, match="its name is"):
        await client.set_calendar("No name", ["12-25"])


async def test_a_calendar_that_is_followed_is_not_removed(scene: Scene) -> None:
    client = Client(scene.db)
    await client.set_calendar("madrid", ["12-25"])
    await scene.declare("a", following())
    with pytest.raises(ConflictError, match="is followed by a; change their triggers first"):
        await client.remove_calendar("madrid")
    await scene.declare("a", named("a", DAILY))
    await client.remove_calendar("madrid")
    with pytest.raises(NotFoundError, match="there is no calendar 'madrid'"):
        await client.remove_calendar("madrid")


async def test_a_person_cannot_name_a_calendar_that_there_is_not(scene: Scene) -> None:
    client = Client(scene.db)
    await client.set_calendar("madrid", ["12-25"])
    await scene.declare("a", named("a", DAILY))
    wrong = except_on(every("6h"), calendar="madird").text
    with pytest.raises(TriggerError, match="no calendar 'madird', did you mean 'madrid'"):
        await schedules.override(
            scene.db, "a", {"trigger": wrong}, jobs=lambda _: job_named("a"), by="ana"
        )
    with pytest.raises(TriggerError, match="no calendar 'madird'"):
        await client.preview_slots(wrong)
    assert await scene.value("SELECT version FROM sereno.schedule") == 1


async def test_code_that_names_none_costs_that_schedule_alone_until_there_is_one(
    scene: Scene,
) -> None:
    await scene.declare("a", "b", following(), named("b", DAILY))
    assert await scene.value("SELECT next_slot IS NOT NULL FROM sereno.watermark WHERE job = 'b'")
    assert await scene.value("SELECT next_slot FROM sereno.watermark WHERE job = 'a'") is None
    changed = await Client(scene.db).set_calendar("madrid", ["12-25"])
    assert changed.schedules == ("a",)
    assert await scene.value("SELECT next_slot IS NOT NULL FROM sereno.watermark WHERE job = 'a'")


async def test_a_pause_and_a_deploy_keep_the_days_and_what_moves_by_the_settings_is_drift(
    scene: Scene,
) -> None:
    day, other = await tomorrow(scene, 2), await tomorrow(scene, 3)
    await scene.declare("a")
    await register_shared(scene.db, scene.term, SharedPlans(calendars={"madrid": (day,)}))
    await scene.declare("a", following())
    assert day not in await next_days(scene)
    await schedules.pause(scene.db, "a", by="ana")
    await schedules.resume(scene.db, "a", by="ana")
    assert day not in await next_days(scene)
    assert await foresee(scene.db, {"a": following().declared}) == []
    await register_shared(scene.db, scene.term, SharedPlans(calendars={"madrid": (other,)}))
    assert other not in await next_days(scene)
    client = Client(scene.db)
    await client.set_calendar("madrid", [day])  # a person's stays, whatever the settings say
    await register_shared(scene.db, scene.term, SharedPlans(calendars={"madrid": ("12-25",)}))
    assert (await client.calendar("madrid")).days == (day,)
    await client.remove_calendar("madrid")
    assert (await client.calendar("madrid")).days == ("12-25",)
    await register_shared(scene.db, scene.term, SharedPlans())
    assert (await client.calendar("madrid")).days == ("12-25",)  # for who follows it
    old = scene.term
    await scene.begin_term(OTHER)
    with pytest.raises(LeaseLostError):
        await register_shared(scene.db, old, SharedPlans(calendars={"x": ("12-25",)}))


async def test_two_who_change_a_calendar_at_once_leave_it_whole(scene: Scene) -> None:
    client = Client(scene.db)
    await client.set_calendar("madrid", ["12-25"])
    await scene.declare("a", following())
    days = [await tomorrow(scene, n) for n in range(2, 8)]
    await asyncio.gather(*(client.set_calendar("madrid", [day]) for day in days))
    ((kept,),) = await scene.rows("SELECT days[1] FROM sereno.calendar")
    assert kept not in await next_days(scene, 8)
    assert len(set(days) & set(await next_days(scene, 9))) == len(days) - 1


# --- blackouts --------------------------------------------------------------------------------


async def nothing(run: RunContext[dict[str, Any]]) -> None:
    """Do nothing."""


async def test_slots_in_a_blackout_are_skipped_for_its_reason_and_go_on_when_it_is_over(
    database: str, eye: Eye
) -> None:
    jobs = [job(name, schedule=every("100ms"))(nothing) for name in ("t.one", "t.two")]
    skipped = ("SELECT count(*) > 2 FROM sereno.slot WHERE reason = 'blackout: new disks'"
               " AND verdict = 'skipped'")  # fmt: skip
    async with running(database, *jobs), opened(database) as scene:
        await eye.until("SELECT count(*) > 3 FROM sereno.run WHERE job = 't.one'")
        client = Client(scene.db, requested_by="ana")
        made = await client.add_blackout("t.one", reason="new disks", lasts="1h")
        await eye.until(skipped)
        assert [b.id for b in (await client.cluster()).blackouts] == [made.id]
        await client.end_blackout(made.id)
        ran = "SELECT count(*) > 2 FROM sereno.slot WHERE verdict = 'ran' AND slot > $1"
        await eye.until(ran, await eye.value("SELECT ends_at FROM sereno.blackout"))
        inside = await eye.value(
            "SELECT count(*) FROM sereno.run r JOIN sereno.blackout b ON r.slot >= b.starts_at"
            " + interval '1 s' AND r.slot < b.ends_at WHERE r.job = 't.one'"
        )
        assert inside == 0
        assert await eye.value(
            "SELECT count(*) > 0 FROM sereno.run r, sereno.blackout b"
            " WHERE r.job = 't.two' AND r.slot >= b.starts_at AND r.slot < b.ends_at"
        )
        account = await verify(scene.db, timedelta(hours=1))
        assert account.holds, account.faults
        assert (await client.blackouts(), len(await client.blackouts(everything=True))) == ([], 1)


async def test_what_is_no_blackout_is_refused_with_a_sentence(scene: Scene) -> None:
    await scene.declare("a", named("a", DAILY))
    client = Client(scene.db)
    now = await client.now()
    for wrong, sentence in (
        ({"pattern": "b", "lasts": "1h"}, "is 'b'"),
        ({"pattern": "a"}, "say until when"),
        ({"pattern": "a", "lasts": "1h", "end": now}, "say until when"),
        ({"pattern": "a", "end": now - timedelta(hours=1)}, "which is past"),
        ({"pattern": "a", "lasts": "0s"}, "which is past"),
        ({"pattern": "a", "start": now + timedelta(hours=2), "end": now + timedelta(hours=1)},
         "before it begins"),
        ({"pattern": "a", "lasts": "3000000d"}, "9999"),
        ({"pattern": "a", "plugin": "tests", "lasts": "1h"}, "name one"),
        ({"plugin": "test", "lasts": "1h"}, "did you mean 'tests'"),
    ):  # fmt: skip
        with pytest.raises((ParamsError, NotFoundError), match=sentence):
            await client.add_blackout(reason="x", **wrong)  # type: ignore[arg-type]
    names = ("shop.invoices_due", "shop.mail", "shop.newsletter")
    await scene.declare(*names, *(named(name, DAILY) for name in names))
    with pytest.raises(NotFoundError, match=r"did you mean 'shop\.newsletter'"):
        await client.add_blackout("shop.newslettr", reason="x", lasts="1h")
    with pytest.raises(ParamsError, match="it has no reason"):
        await client.add_blackout("a", reason=" ", lasts="1h")
    for number in (0, -1, 7, 2**63, 2**70):
        with pytest.raises(NotFoundError):
            await client.end_blackout(number)
    assert await client.blackouts() == []


async def test_a_blackout_that_was_ended_before_it_began_is_over(scene: Scene) -> None:
    await scene.declare("a", named("a", DAILY))
    client = Client(scene.db)
    made = await client.add_blackout(
        "a", reason="x", start=await client.now() + timedelta(hours=2), lasts="1h"
    )
    assert [(b.id, b.state) for b in await client.blackouts()] == [(made.id, "to come")]
    await client.end_blackout(made.id)
    assert await client.blackouts() == []
    assert (await client.blackout_page()).items == ()
    assert [b.state for b in await client.blackouts(everything=True)] == ["over"]


async def test_blackouts_of_the_settings_come_go_and_stay_ended(scene: Scene) -> None:
    await scene.declare("a", named("a", DAILY))
    client = Client(scene.db)
    now = await client.now()

    async def settings(hours: int | None) -> None:
        end = now + timedelta(hours=hours or 1)
        one = BlackoutSettings(start=now, end=end, reason="moving", plugin="tests")
        shared = SharedPlans(blackouts={} if hours is None else {"moving": one})
        await register_shared(scene.db, scene.term, shared)

    await settings(2)
    await settings(2)
    (one,) = await client.blackouts()
    assert (one.plugin, one.jobs, one.made_by) == ("tests", ["a"], "the configuration")
    await client.end_blackout(one.id, requested_by="ana")
    await settings(2)  # the next leader: what a person has ended stays so
    assert await client.blackouts() == []
    await settings(3)
    assert len(await client.blackouts()) == 1
    await settings(None)
    assert await client.blackouts() == []


async def test_a_schedule_says_its_calendars_in_code(scene: Scene) -> None:
    await Client(scene.db).set_calendar("madrid", ["12-25"])
    declared = job("a", schedule=schedule(every("6h"), except_on="madrid"))(nothing)
    plan = named("a")
    spec = ScheduleSpec.of(declared.schedules[0])
    await scene.declare("a", type(plan)(name="a", job="a", origin="plugin", declared=spec))
    assert spec.trigger == "except_on (every 6h) calendar=madrid tz=UTC"
    assert "12" in await scene.value("SELECT trigger FROM sereno.schedule_version")
