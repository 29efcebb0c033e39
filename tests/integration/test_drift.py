"""A deploy that moves slots which are to come is noticed, told, and looked at by the new slots."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from sereno.engine import drift, drift_watch
from sereno.engine.clock import Clock
from sereno.engine.drift import foresee, notice
from sereno.engine.term import Term
from sereno.model.drift import Drift
from sereno.model.errors import LeaseLostError
from sereno.model.ledger import ScheduleVersion
from sereno.model.schedule_spec import ScheduleSpec
from sereno.store import drift as walked
from sereno.store import schedules
from sereno.store.drift import FIRST, Step
from sereno.store.session import NodeIdentity
from sereno.triggers.occurrences import next_slot
from sereno.triggers.rule_version import rules

from .scene import NODE, OTHER, Scene, job_named, named, opened

HOUR = timedelta(hours=1)


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare("a", "b", named("a", "every 1h"), named("b", "every 1h"))
        assert await look(found) == []
        yield found


async def look(scene: Scene) -> list[Drift]:
    found, step = await notice(scene.db, scene.term, 50)
    assert step is None
    return found


async def recorded(scene: Scene) -> list[tuple[str, list[datetime], list[datetime]]]:
    """Return schedule, slots before and slots after of each drift among the changes."""
    rows = await scene.rows(
        "SELECT subject, before::text, after::text FROM sereno.change WHERE action = 'drift'"
    )
    return [
        (name, *(list(map(datetime.fromisoformat, json.loads(s))) for s in slots))
        for name, *slots in rows
    ]  # type: ignore[misc]


async def as_computed_before(scene: Scene, name: str, shift: timedelta) -> None:
    """Leave what other rules would have computed: every slot by `shift` from where it is."""
    held = await scene.value("SELECT drift::text FROM sereno.schedule WHERE name = $1", name)
    outlook = json.loads(held)
    outlook["rules"] = "croniter 1, time zones 1999a"
    slots = [datetime.fromisoformat(s) + shift for s in outlook["slots"]]
    outlook["slots"] = [s.isoformat() for s in slots]
    await scene.eye.execute(
        "UPDATE sereno.schedule SET drift = $2::text::jsonb WHERE name = $1",
        name,
        json.dumps(outlook),
    )


async def test_what_did_not_move_is_not_told(scene: Scene) -> None:
    assert await look(scene) == []
    await as_computed_before(scene, "a", timedelta(0))
    assert await look(scene) == []
    assert await recorded(scene) == []
    assert await scene.rows("SELECT DISTINCT drift ->> 'rules' FROM sereno.schedule") == [
        (rules(),)
    ]


async def test_what_other_rules_compute_alike_is_computed_once_and_kept_as_theirs(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[datetime] = []

    def counting(held: ScheduleVersion, name: str, after: datetime) -> datetime | None:
        asked.append(after)
        return next_slot(held, name, after)

    await as_computed_before(scene, "a", timedelta(0))
    kept = "SELECT drift ->> 'at', drift ->> 'rules' FROM sereno.schedule WHERE name = 'a'"
    ((at, _),) = await scene.rows(kept)
    monkeypatch.setattr(drift, "next_slot", counting)
    assert await look(scene) == []
    assert len(asked) == drift.NEXT + drift.MONTHS - 1
    assert await scene.rows(kept) == [(at, rules())]


async def test_slots_that_other_rules_moved_are_told_once_with_both(scene: Scene) -> None:
    await as_computed_before(scene, "a", timedelta(minutes=10))
    (moved,) = await look(scene)
    assert moved.schedule == "a"
    assert moved.because == f"computed by croniter 1, time zones 1999a before, by {rules()} now"
    assert [s.minute for s in moved.before] == [10] * 5
    assert [s.minute for s in moved.after] == [0] * 5
    assert await look(scene) == []
    assert await recorded(scene) == [("a", moved.before, moved.after)]


async def test_a_schedule_whose_slots_came_nearer_is_looked_at_in_time(scene: Scene) -> None:
    late = "UPDATE sereno.watermark SET wake_at = wake_at + interval '30 days', next_slot = wake_at"
    await scene.eye.execute(late)
    before = await scene.entry("a")
    await as_computed_before(scene, "a", timedelta(days=30))
    (moved,) = await look(scene)
    after = await scene.entry("a")
    assert after.wake_at == after.next_slot == moved.after[0]
    assert after.version == before.version + 1  # a settlement planned on the old one fails


async def test_a_move_that_lies_months_ahead_is_told_too(scene: Scene) -> None:
    held = await scene.value("SELECT drift::text FROM sereno.schedule WHERE name = 'a'")
    outlook = json.loads(held)
    *soon, last = outlook["slots"]
    moved_by_a_day = (datetime.fromisoformat(last) + 24.5 * HOUR).isoformat()
    outlook["slots"] = [*soon, moved_by_a_day]
    await scene.eye.execute(
        "UPDATE sereno.schedule SET drift = $1::text::jsonb WHERE name = 'a'",
        json.dumps({**outlook, "rules": "other"}),
    )
    (moved,) = await look(scene)
    assert moved.before == [datetime.fromisoformat(moved_by_a_day)]
    assert moved.after == [datetime.fromisoformat(last)]


async def test_a_trigger_that_the_code_changed_is_told(scene: Scene) -> None:
    await scene.declare("a", "b", named("a", "every 1h"), named("b", "every 7h"))
    (moved,) = await look(scene)
    assert (moved.schedule, moved.because) == ("b", "its trigger was 'every 1h' and is 'every 7h'")


async def test_what_a_person_changed_is_no_drift(scene: Scene) -> None:
    await schedules.override(scene.db, "a", {"trigger": "every 5h"}, jobs=job_named, by="ana")
    assert await foresee(scene.db, {}) == []  # also before the next look keeps what it is now
    assert await look(scene) == []
    assert await foresee(scene.db, {}) == []


async def test_a_deploy_that_moves_what_a_person_has_just_changed_is_foreseen(scene: Scene) -> None:
    await schedules.override(scene.db, "a", {"params": {"n": 1}}, jobs=job_named, by="ana")
    (moved,) = await foresee(scene.db, {"a": ScheduleSpec(trigger="every 3h")})
    assert moved.because == "its trigger was 'every 1h' and is 'every 3h'"
    assert [b - a for a, b in pairwise(moved.before)] == [HOUR] * 4
    assert [b - a for a, b in pairwise(moved.after)] == [3 * HOUR] * 4


async def test_a_deploy_can_be_foreseen_and_nothing_is_written(scene: Scene) -> None:
    wanted = {"a": ScheduleSpec(trigger="every 1h"), "b": ScheduleSpec(trigger="every 3h")}
    (moved,) = await foresee(scene.db, wanted)
    assert moved.schedule == "b"
    assert [b - a for a, b in pairwise(moved.before)] == [HOUR] * 4
    assert [b - a for a, b in pairwise(moved.after)] == [3 * HOUR] * 4
    assert await recorded(scene) == []
    await schedules.override(scene.db, "b", {"trigger": "every 1h"}, jobs=job_named, by="ana")
    assert await look(scene) == []
    assert await foresee(scene.db, wanted) == []  # what a person laid over it stays


async def kept_slots_are_past(scene: Scene) -> None:
    """Let the outlook of `a` be a day old."""
    held = json.loads(await scene.value("SELECT drift::text FROM sereno.schedule WHERE name = 'a'"))
    slots = [datetime.fromisoformat(s) - 24 * HOUR for s in held["slots"]]
    past = {"at": (datetime.fromisoformat(held["at"]) - 24 * HOUR).isoformat()}
    past |= {"slots": [s.isoformat() for s in slots]}
    await scene.eye.execute(
        "UPDATE sereno.schedule SET drift = drift || $1::text::jsonb WHERE name = 'a'",
        json.dumps(past),
    )


@pytest.mark.parametrize("trigger", ["every 3h", "every 15s"])
async def test_what_was_to_come_is_told_though_the_kept_slots_are_past(
    scene: Scene, trigger: str
) -> None:
    await scene.declare("a", "b", named("a", "every 10s"), named("b", "every 2h"))
    await look(scene)
    await kept_slots_are_past(scene)
    assert await foresee(scene.db, {}) == []
    wanted = {"a": ScheduleSpec(trigger=trigger), "b": ScheduleSpec(trigger="every 2h")}
    (foreseen,) = await foresee(scene.db, wanted)
    await scene.declare("a", "b", named("a", trigger), named("b", "every 2h"))
    (noticed,) = await look(scene)
    for moved in (foreseen, noticed):
        assert moved.because == f"its trigger was 'every 10s' and is '{trigger}'"
        assert [b - a for a, b in pairwise(moved.before)] == [timedelta(seconds=10)] * 4
        assert moved.after != moved.before
        assert len(moved.after) == 5


async def walk(scene: Scene, at_once: int) -> list[list[str]]:
    """Take one walk; return by its steps the schedules whose outlook is kept since."""
    steps: list[list[str]] = []
    step: Step | None = FIRST
    while step is not None:
        await scene.eye.execute(
            "UPDATE sereno.schedule SET created_at = 'epoch' WHERE drift IS NULL"
        )
        _, step = await notice(scene.db, scene.term, at_once, step)
        steps.append(
            await scene.value(
                "WITH seen AS (UPDATE sereno.schedule SET created_at = now()"
                " WHERE drift IS NOT NULL AND created_at = 'epoch' RETURNING name)"
                " SELECT array(SELECT name FROM seen ORDER BY name)"
            )
        )
    return steps


async def test_many_schedules_are_looked_at_little_by_little_the_soonest_first(
    scene: Scene,
) -> None:
    names = ["a@never", "a@late", "a@soon", "a@same"]
    await scene.declare("a", *(named(name, "every 1h") for name in names))
    await scene.eye.execute("UPDATE sereno.schedule SET drift = NULL")
    await scene.eye.execute(
        "UPDATE sereno.watermark w SET wake_at = CASE s.name WHEN 'a@late' THEN timestamptz"
        " '2031-01-01' WHEN 'a@never' THEN NULL ELSE '2030-01-01' END"
        " FROM sereno.schedule s WHERE s.id = w.schedule_id AND s.name LIKE 'a@%'"
    )
    seen = [name for step in await walk(scene, 1) for name in step]
    assert sorted(seen[:2]) == ["a@same", "a@soon"]
    assert seen[2:] == ["a@late", "a@never"]
    assert [name for step in await walk(scene, 1) for name in step] == []


async def test_a_walk_reads_no_more_than_its_step_whatever_is_to_be_done(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.declare("a", *(named(f"a@{n}", "every 1h") for n in range(7)))
    await look(scene)
    monkeypatch.setattr(walked, "READ", 3)
    await scene.eye.execute("UPDATE sereno.schedule SET drift = NULL WHERE name = 'a@6'")
    steps = await walk(scene, 50)
    assert len(steps) == 4  # nine rows: seven, and two of schedules that are declared no more
    assert [name for step in steps for name in step] == ["a@6"]


async def test_what_may_have_moved_is_looked_at_first_and_the_rest_is_left(scene: Scene) -> None:
    await scene.declare("a", *(named(f"a@{name}", "every 1h") for name in ("new", "old", "moved")))
    await look(scene)
    await scene.eye.execute("UPDATE sereno.schedule SET drift = NULL WHERE name = 'a@new'")
    old = "drift || jsonb_build_object('at', now() - interval '2 days')"
    await scene.eye.execute(f"UPDATE sereno.schedule SET drift = {old} WHERE name = 'a@old'")
    await as_computed_before(scene, "a@moved", timedelta(minutes=10))
    found, step = await notice(scene.db, scene.term, 50, only_kept=True)
    assert ([d.schedule for d in found], step) == (["a@moved"], None)
    assert await walk(scene, 50) == [["a@new"]]
    old = "(drift ->> 'at')::timestamptz < now() - interval '1 day'"
    assert (
        await scene.rows(f"SELECT name FROM sereno.schedule WHERE state = 'active' AND {old}") == []
    )


OF_OTHER_RULES = """drift || '{"rules": "others"}'"""


@pytest.mark.parametrize(
    ("drift_before", "in_haste", "at_leisure"), [(OF_OTHER_RULES, 4, 0), ("NULL", 1, 3)]
)
async def test_a_leader_rests_after_each_step_in_proportion_to_it(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    drift_before: str,
    in_haste: int,
    at_leisure: int,
) -> None:
    await scene.declare("a", *(named(f"a@{n}", "every 1h") for n in range(3 * drift_watch.AT_ONCE)))
    await look(scene)
    await scene.eye.execute(f"UPDATE sereno.schedule SET drift = {drift_before}")
    time = 1_000.0

    async def taking(*args: Any, **options: Any) -> Any:
        nonlocal time
        time += 0.004
        return await notice(*args, **options)

    monkeypatch.setattr(drift_watch, "steady", lambda: time)
    monkeypatch.setattr(drift_watch, "notice", taking)
    term = Term(
        db=scene.db,
        node=NodeIdentity(NODE, 1),
        number=scene.term,
        clock=Clock(),
        publish=lambda event: None,
    )
    ahead, rests = drift_watch.DriftWatch(term, lambda: None), []
    for _ in range(5):
        await ahead.tick()
        rests.append(ahead.pause())
        time += ahead.pause() / 2
        await ahead.tick()  # too early: it does nothing
        time += ahead.pause()
    hasty, leisurely = 0.004 * drift_watch.REST, 0.004 * drift_watch.LEISURE
    steps = [*[hasty] * in_haste, *[leisurely] * at_leisure]
    assert rests == [pytest.approx(seconds) for seconds in [*steps, drift_watch.EVERY]]
    done = "SELECT count(*) FROM sereno.schedule WHERE state = 'active' AND drift ->> 'rules' = $1"
    assert await scene.value(done, rules()) == 3 * drift_watch.AT_ONCE


async def test_a_trigger_that_fails_costs_the_others_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(held: ScheduleVersion, name: str, after: datetime) -> datetime | None:
        if name == "a":
            raise ZeroDivisionError("a plugin's fault")
        return next_slot(held, name, after)

    await as_computed_before(scene, "a", timedelta(0))
    await as_computed_before(scene, "b", timedelta(minutes=10))
    monkeypatch.setattr(drift, "next_slot", failing)
    found = {d.schedule: d.after for d in await look(scene)}
    assert found["a"] == []
    assert len(found["b"]) == 5
    assert await look(scene) == []


async def test_a_trigger_of_a_kind_that_this_code_does_not_know_has_no_slots_here(
    scene: Scene,
) -> None:
    await scene.eye.execute("UPDATE sereno.schedule_version SET trigger = 'lunar full'")
    await as_computed_before(scene, "a", timedelta(0))
    (moved,) = await look(scene)
    assert moved.after == []
    assert (await scene.entry("a")).next_slot is None


async def test_a_deposed_leader_keeps_no_outlook(scene: Scene) -> None:
    await scene.eye.execute("UPDATE sereno.schedule SET drift = NULL")
    old = scene.term
    await scene.begin_term(OTHER)
    with pytest.raises(LeaseLostError):
        await drift.notice(scene.db, old, 50)
    assert await scene.value("SELECT count(drift) FROM sereno.schedule") == 0
