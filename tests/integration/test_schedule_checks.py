"""What a person's or a program's schedule may be is checked where it is written, whoever asks."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
import pytest

from sereno.model.errors import NotFoundError, SerenoError
from sereno.model.job import Job
from sereno.model.schedule_spec import ScheduleSpec
from sereno.store import schedules

from .scene import Scene, declared_job, named, opened

SOON = (datetime.now(UTC) + timedelta(days=2)).replace(hour=12)  # no hour of these triggers
DAY = timedelta(days=1)


class Params(msgspec.Struct):
    """What `shop.orders` takes."""

    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    site: str | None = None


ORDERS = declared_job("shop.orders", params=Params)


def job_of(name: str) -> Job:
    if name != "shop.orders":
        raise NotFoundError(f"no plugin declares a job '{name}'")
    return ORDERS.job


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare(ORDERS, "shop.mail", named("shop.orders"))
        yield found


async def written(scene: Scene) -> tuple[Any, ...]:
    return (
        await scene.rows("SELECT name, version, overrides::text FROM sereno.schedule ORDER BY id"),
        await scene.value("SELECT count(*) FROM sereno.schedule_version"),
        await scene.value("SELECT count(*) FROM sereno.change"),
        await scene.rows("SELECT * FROM sereno.watermark"),
    )


UNFIT: list[tuple[dict[str, Any], str]] = [
    ({"trigger": "evry 6h"}, "unknown kind 'evry', did you mean 'every'"),
    ({"trigger": "0 0 31 2 *"}, "it never fires"),
    ({"trigger": "once 2020-01-01T00:00:00Z"}, "has no slot to come, it is"),
    ({"ends_at": SOON - 5 * DAY}, "has no slot to come within its window"),
    ({"starts_at": SOON + DAY, "ends_at": SOON}, "the window is empty"),
    ({"starts_at": SOON, "ends_at": SOON + timedelta(seconds=1)}, "no slot to come within its"),
    ({"params": {"cuont": 1}}, "unknown param 'cuont', did you mean 'count'"),
    ({"params": {"count": 0}}, "params do not fit: Expected `int` >= 1"),
    ({"policies": {"grase": "5m"}}, "unknown policy 'grase', did you mean 'grace'"),
    ({"policies": {"grace": "soon"}}, "grace is 'soon'"),
    ({"policies": {"executor": "gpu"}}, "unknown executor 'gpu'; known are async, thread, process"),
    ({"policies": {"overdue_after": "1h"}}, "overdue_after is of the job, over all its schedules"),
    ({"policies": {"severity": "critical"}}, "severity is of the job, over all its schedules"),
    ({"policies": {"concurrency_key": "{sight}"}}, "names the param 'sight', which the run"),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "sentence"), UNFIT)
async def test_what_does_not_fit_is_not_added(
    scene: Scene, parts: dict[str, Any], sentence: str
) -> None:
    before = await written(scene)
    declared = msgspec.structs.replace(ScheduleSpec(trigger="cron 30 8 * * * UTC"), **parts)
    with pytest.raises(SerenoError) as refused:
        await schedules.add(scene.db, "shop.orders@mine", ORDERS.job, declared, by="ana")
    assert sentence in str(refused.value)
    assert await written(scene) == before


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        *UNFIT,
        ({"colour": "red"}, "it has no 'colour' to change, but trigger, params"),
        ({"starts_at": "soon"}, "Invalid RFC3339 encoded datetime - at `$.starts_at`"),
    ],
)
async def test_what_does_not_fit_is_not_laid_over_a_schedule(
    scene: Scene, parts: dict[str, Any], sentence: str
) -> None:
    wide = {"trigger": "cron 30 8 * * * UTC"}
    await schedules.override(scene.db, "shop.orders", wide, jobs=job_of, by="ana")
    before = await written(scene)
    changes = msgspec.to_builtins(parts)
    with pytest.raises(SerenoError) as refused:
        await schedules.override(scene.db, "shop.orders", changes, jobs=job_of, by="ana")
    assert sentence in str(refused.value)
    assert await written(scene) == before


async def test_a_schedule_of_a_job_that_the_caller_does_not_know_is_not_changed(
    scene: Scene,
) -> None:
    await scene.declare(ORDERS, "shop.mail", named("shop.orders"), named("shop.mail"))
    before = await written(scene)
    trigger = {"trigger": "every 2h"}
    with pytest.raises(NotFoundError, match=r"no plugin declares a job 'shop\.mail'"):
        await schedules.override(scene.db, "shop.mail", trigger, jobs=job_of, by="ana")
    assert await written(scene) == before


@pytest.mark.parametrize(
    "name", ["shop.mail", "shop.orders@", "shop.orders@a b", "shop.orders#1", "mine", "x" * 99]
)
async def test_a_name_that_is_not_one_of_the_job_is_refused(scene: Scene, name: str) -> None:
    before = await written(scene)
    with pytest.raises(SerenoError, match="its name is that of its job"):
        await schedules.add(scene.db, name, ORDERS.job, ScheduleSpec(trigger="every 1h"), by="ana")
    assert await written(scene) == before


async def test_what_fits_is_kept_as_it_was_checked_and_its_first_slot_told(scene: Scene) -> None:
    declared = ScheduleSpec(
        trigger="6h", params={"count": 2}, policies={"grace": "5m", "concurrency_key": "{site}"}
    )
    first = await schedules.add(scene.db, "shop.orders@mine", ORDERS.job, declared, by="ana")
    row = await scene.rows(
        "SELECT v.trigger, v.params::text, v.policies::text, w.next_slot"
        " FROM sereno.schedule_version v JOIN sereno.watermark w USING (schedule_id)"
        " WHERE schedule_id = 2"
    )
    policies = '{"grace": "PT300S", "concurrency_key": "{site}"}'
    assert row == [("every 6h", '{"site": null, "count": 2}', policies, first)]
    changes = {"policies": {"retry": 3}, "params": None}
    definition, told = await schedules.override(
        scene.db, "shop.orders@mine", changes, jobs=job_of, by="ana"
    )
    assert definition.policies["retry"]["attempts"] == 3
    assert definition.params == {"site": None, "count": 2}
    assert told == first


# --- slots of a pause -------------------------------------------------------------------------


async def test_runs_for_the_slots_of_a_pause_are_those_that_were_due_in_it(scene: Scene) -> None:
    """The trigger of each time decides, not the one that the schedule has when it is resumed."""
    await schedules.pause(scene.db, "shop.orders", by="ana")
    await schedules.override(
        scene.db, "shop.orders", {"trigger": "every 1d"}, jobs=job_of, by="ana"
    )
    await scene.eye.execute(
        "UPDATE sereno.schedule_version SET valid_from = CASE version"
        " WHEN 1 THEN '2026-03-01T00:30Z'::timestamptz WHEN 2 THEN '2026-03-01T01:30Z'"
        " ELSE '2026-03-01T05:30Z' END"
    )
    _, queued = await schedules.resume(scene.db, "shop.orders", by="ana", run="all")
    rows = await scene.rows("SELECT slot FROM sereno.run ORDER BY slot")
    slots = [row[0] for row in rows]
    assert len(queued) == len(slots)
    assert [s.hour for s in slots[:4]] == [2, 3, 4, 5]
    assert {s.hour for s in slots[4:]} == {0}


async def test_runs_for_the_slots_of_a_pause_have_the_schedules_priority_and_key(
    scene: Scene,
) -> None:
    policies = {"priority": 7, "concurrency_key": "site {site}"}
    changes = {"policies": policies, "params": {"site": "rome"}}
    await schedules.override(scene.db, "shop.orders", changes, jobs=job_of, by="ana")
    await schedules.pause(scene.db, "shop.orders", by="ana")
    await scene.eye.execute(
        "UPDATE sereno.schedule_version SET valid_from = valid_from - interval '3 hours'"
    )
    await schedules.resume(scene.db, "shop.orders", by="ana", run="last")
    assert await scene.rows("SELECT priority, concurrency_key FROM sereno.run") == [
        (7, "site rome")
    ]
