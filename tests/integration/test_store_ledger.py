"""A tick is settled as a whole, once, by the leader of the present term, or not at all."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from sereno.model.errors import LeaseLostError, StoreError
from sereno.model.ledger import OpenRange, SlotRange
from sereno.store import ledger, schedules
from sereno.store.ledger import settle

from .scene import NODE, OTHER, Scene, job_named, named, opened, settlement, slots_after

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NOTHING = ([], [], [], [])


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare("a", "b", named("a"), named("b"), named("b@second"))
        yield found


async def written(scene: Scene) -> tuple[list[object], ...]:
    """Return all that a settlement writes: slots, ranges, runs, marks that moved."""
    return (
        await scene.rows("SELECT schedule_id, slot, verdict, run_id FROM sereno.slot"),
        await scene.rows("SELECT schedule_id, first_slot, last_slot, slots FROM sereno.slot_range"),
        await scene.rows("SELECT id, schedule_id, slot, state FROM sereno.run"),
        await scene.rows(
            "SELECT w.schedule_id FROM sereno.watermark w JOIN sereno.schedule_version v"
            " USING (schedule_id) WHERE v.version = 1 AND w.settled_to <> v.valid_from"
        ),
    )


async def test_a_settlement_writes_verdicts_runs_and_watermark_together(scene: Scene) -> None:
    entry = await scene.entry("a")
    first, second = slots_after(entry, 2)
    settled, made = await settle(
        scene.db, scene.term, NODE, [settlement(entry, (first, "coalesced"), (second, "late"))]
    )
    assert settled == {entry.schedule_id}
    run, token, _ = made[entry.schedule_id, second]
    assert token == await scene.value("SELECT token FROM sereno.run WHERE id = $1", run)
    assert await scene.rows(
        "SELECT slot, verdict, run_id, term FROM sereno.slot ORDER BY slot"
    ) == [
        (first, "coalesced", None, scene.term),
        (second, "late", run, scene.term),
    ]
    (row,) = await scene.rows(
        "SELECT job, state, cause, schedule_id, slot, run_at, priority, attempt, node, term,"
        " params::text, started_at >= slot FROM sereno.run"
    )
    assert row == (
        *("a", "running", "slot", entry.schedule_id, second, second, 3, 1, NODE, scene.term),
        '{"n": 1}',
        True,
    )
    after = await scene.entry("a")
    assert (after.settled_to, after.next_slot) == (second, second + timedelta(hours=1))
    counts = "SELECT late, coalesced, skipped, missed FROM sereno.job_stat WHERE job = 'a'"
    assert await scene.rows(counts) == [(1, 1, 0, 0)]


async def test_a_run_that_waits_its_turn_is_queued_and_nobody_s(scene: Scene) -> None:
    entry = await scene.entry("a")
    (slot,) = slots_after(entry, 1)
    await settle(scene.db, scene.term, NODE, [settlement(entry, (slot, "ran"), starts=False)])
    row = "SELECT state, attempt, node, term, started_at FROM sereno.run"
    assert await scene.rows(row) == [("queued", 0, None, None, None)]


async def test_a_deposed_leader_cannot_record_a_slot(scene: Scene) -> None:
    entry, old = await scene.entry("a"), scene.term
    (slot,) = slots_after(entry, 1)
    await scene.begin_term(OTHER)
    with pytest.raises(LeaseLostError, match=f"term {old} is over"):
        await settle(scene.db, old, NODE, [settlement(entry, (slot, "ran"))])
    assert await written(scene) == NOTHING


async def test_a_new_term_waits_for_a_tick_under_way_and_is_waited_for(scene: Scene) -> None:
    """The fence and a new term exclude each other, whichever comes first."""
    entry = await scene.entry("a")
    (slot,) = slots_after(entry, 1)
    async with scene.eye.transaction():
        await scene.eye.execute("UPDATE sereno.leadership SET term = term + 1")
        late = asyncio.ensure_future(
            settle(scene.db, scene.term, NODE, [settlement(entry, (slot, "ran"))])
        )
        await scene.until_blocked()
    with pytest.raises(LeaseLostError):
        await late
    assert await written(scene) == NOTHING


@pytest.mark.parametrize("count", [1, 2])
async def test_what_is_written_after_its_start_by_is_queued_and_does_not_begin(
    scene: Scene, count: int
) -> None:
    """As what waited for a lock, or for a server that was slow, is."""
    entry = await scene.entry("a")
    slots = slots_after(entry, 2)
    planned = settlement(entry, *((slot, "late") for slot in slots))
    begin_by = dict.fromkeys(slots, LONG_AGO)
    if count == 1:
        del begin_by[slots[0]]  # the last of a schedule goes beside its mark, others apart
    runs = [replace(run, start_by=begin_by.get(run.slot)) for run in planned.runs]
    _, made = await settle(scene.db, scene.term, NODE, [replace(planned, runs=tuple(runs))])
    begun = [token is not None for _, token, _ in (made[entry.schedule_id, s] for s in slots)]
    assert begun == [False] * 2 if count == 2 else [True, False]
    told = "SELECT verdict, reason FROM sereno.slot ORDER BY slot"
    late, waiting = ("late", None), ("waiting", None)
    assert await scene.rows(told) == [waiting if count == 2 else late, waiting]
    states = (
        "SELECT state, attempt, token IS NULL, started_at IS NULL FROM sereno.run ORDER BY slot"
    )
    queued = ("queued", 0, True, True)
    assert (await scene.rows(states))[2 - count :] == [queued] * count
    assert await scene.value("SELECT late FROM sereno.job_stat WHERE job = 'a'") == 2 - count


async def test_the_heartbeat_waits_for_no_fence(scene: Scene) -> None:
    async with scene.db.transaction() as connection:
        await connection.fetchval(
            "SELECT term FROM sereno.leadership WHERE term = $1 FOR KEY SHARE", scene.term
        )
        await scene.eye.execute("SET lock_timeout = '1s'")
        await scene.eye.execute("UPDATE sereno.leadership SET beat_at = clock_timestamp()")


async def test_a_watermark_that_has_moved_leaves_its_schedule_alone_and_no_other(
    scene: Scene,
) -> None:
    a, b = await scene.entry("a"), await scene.entry("b")
    (slot,) = slots_after(a, 1)
    stale = replace(a, settled_to=a.settled_to - timedelta(hours=1))
    settled, made = await settle(
        scene.db,
        scene.term,
        NODE,
        [settlement(stale, (slot, "ran")), settlement(b, (slot, "ran"))],
    )
    assert settled == {b.schedule_id}
    assert list(made) == [(b.schedule_id, slot)]
    slots, _, runs, marks = await written(scene)
    assert [s[0] for s in slots] == [r[1] for r in runs] == [m[0] for m in marks] == [b.schedule_id]  # type: ignore[index]


async def test_the_same_tick_settled_twice_writes_once(scene: Scene) -> None:
    entry = await scene.entry("a")
    (slot,) = slots_after(entry, 1)
    again = [settlement(entry, (slot, "ran"))]
    first, second = await asyncio.gather(
        settle(scene.db, scene.term, NODE, again), settle(scene.db, scene.term, NODE, again)
    )
    assert sorted([first[0], second[0]], key=len) == [set(), {entry.schedule_id}]
    slots, _, runs, _ = await written(scene)
    assert (len(slots), len(runs)) == (1, 1)


async def test_a_schedule_that_was_changed_since_it_was_planned_is_left_alone(
    scene: Scene,
) -> None:
    entry = await scene.entry("a")
    (slot,) = slots_after(entry, 1)
    await schedules.pause(scene.db, "a", by="somebody")
    settled, _ = await settle(scene.db, scene.term, NODE, [settlement(entry, (slot, "ran"))])
    assert settled == set()
    assert await written(scene) == NOTHING


async def test_a_change_under_way_is_waited_for_and_wins(scene: Scene) -> None:
    entry = await scene.entry("a")
    (slot,) = slots_after(entry, 1)
    async with scene.eye.transaction():
        await scene.eye.execute(
            "UPDATE sereno.watermark SET version = version + 1 WHERE schedule_id = $1",
            entry.schedule_id,
        )
        late = asyncio.ensure_future(
            settle(scene.db, scene.term, NODE, [settlement(entry, (slot, "ran"))])
        )
        await scene.until_blocked()
    assert (await late)[0] == set()
    assert await written(scene) == NOTHING


async def test_a_slot_that_has_its_verdict_already_undoes_the_whole_tick(scene: Scene) -> None:
    """What cannot be: the watermark guards it. The key of the table is the second guard."""
    a, b = await scene.entry("a"), await scene.entry("b")
    (slot,) = slots_after(a, 1)
    await scene.eye.execute(
        "INSERT INTO sereno.slot (schedule_id, slot, verdict, term) VALUES ($1, $2, 'ran', 1)",
        a.schedule_id,
        slot,
    )
    before = await written(scene)
    with pytest.raises(StoreError, match="slot_pkey"):
        await settle(
            scene.db,
            scene.term,
            NODE,
            [settlement(a, (slot, "ran")), settlement(b, (slot, "ran"))],
        )
    assert await written(scene) == before


async def test_a_range_grows_in_its_row_and_each_slot_is_counted(scene: Scene) -> None:
    entry = await scene.entry("a")
    slots = slots_after(entry, 30)

    def part(first: int, last: int) -> SlotRange:
        return SlotRange(
            first=slots[0],
            last=slots[last],
            slots=last - first + 1,
            verdict="skipped",
            reason="paused",
        )

    opened = OpenRange(first=slots[0], verdict="skipped", reason="paused")
    tick = replace(settlement(entry, ranges=(part(0, 19),)), open=opened)
    await settle(scene.db, scene.term, NODE, [tick])
    entry = await scene.entry("a")
    assert entry.open == opened
    await settle(scene.db, scene.term, NODE, [settlement(entry, ranges=(part(20, 29),))])
    rows = "SELECT first_slot, last_slot, slots, verdict, reason FROM sereno.slot_range"
    assert await scene.rows(rows) == [(slots[0], slots[29], 30, "skipped", "paused")]
    assert await scene.value("SELECT skipped FROM sereno.job_stat WHERE job = 'a'") == 30
    assert (await scene.entry("a")).open is None


async def test_the_agenda_is_what_comes_up_to_the_horizon_soonest_first(scene: Scene) -> None:
    await scene.eye.execute(
        "UPDATE sereno.watermark w SET wake_at = timestamptz '2026-03-01' + w.schedule_id"
        " * interval '1 minute'"
    )
    horizon = await scene.value("SELECT max(wake_at) - interval '1 s' FROM sereno.watermark")
    found = await ledger.agenda(scene.db, horizon, 10)
    assert [e.name for e in found] == ["a", "b"]
    assert [e.name for e in await ledger.agenda(scene.db, horizon, 1)] == ["a"]


async def test_the_agenda_holds_every_version_in_force_after_the_watermark(scene: Scene) -> None:
    await schedules.pause(scene.db, "a", by="somebody")
    await schedules.resume(scene.db, "a", by="somebody")
    entry = await scene.entry("a")
    assert [d.state for d in entry.versions] == ["active", "paused", "active"]
    moved = await scene.value(
        "UPDATE sereno.watermark SET settled_to = clock_timestamp() WHERE schedule_id = $1"
        " RETURNING settled_to",
        entry.schedule_id,
    )
    after = await scene.entry("a")
    assert (after.settled_to, [d.version for d in after.versions]) == (moved, [3])


async def test_what_monitors_read_of_a_schedule_follows_every_change(scene: Scene) -> None:
    wrong = (
        "SELECT count(*) FROM sereno.watermark w JOIN sereno.schedule s ON s.id = w.schedule_id"
        " JOIN sereno.schedule_version v ON v.schedule_id = s.id AND v.version = s.version"
        " WHERE w.job <> s.job OR (s.state = 'active') <> (w.next_slot IS NOT NULL)"
        " OR w.grace IS DISTINCT FROM sereno.grace(v.policies)"
        " OR w.due_by IS DISTINCT FROM w.next_slot + w.grace"
    )
    own = (
        "SELECT due_by - next_slot FROM sereno.watermark w"
        " JOIN sereno.schedule s ON s.id = w.schedule_id WHERE s.name = 'g.x@own'"
    )
    resumed = "SELECT resumed_at IS NOT NULL FROM sereno.schedule WHERE name = 'g.x@own'"
    ten, hour = timedelta(minutes=10), timedelta(hours=1)
    declared = ("g.x", named("g.x"), named("g.x@own", policies={"grace": ten}))
    await scene.declare(*declared)
    assert (await scene.value(wrong), await scene.value(own)) == (0, ten)
    entry = await scene.entry("g.x@own")
    (slot,) = slots_after(entry, 1)
    await ledger.settle(scene.db, scene.term, NODE, [settlement(entry, (slot, "ran"))])
    assert (await scene.value(wrong), await scene.value(own)) == (0, ten)
    long = {"policies": {"grace": "1h"}}
    await schedules.override(scene.db, "g.x@own", long, jobs=job_named, by="ana")
    assert (await scene.value(wrong), await scene.value(own)) == (0, hour)
    await schedules.pause(scene.db, "g.x@own", by="ana")
    assert (await scene.value(wrong), await scene.value(own)) == (0, None)
    assert not await scene.value(resumed)
    await schedules.resume(scene.db, "g.x@own", by="ana")
    assert (await scene.value(wrong), await scene.value(own)) == (0, hour)
    assert await scene.value(resumed)
    await scene.declare("a.x", named("a.x"))
    assert (await scene.value(wrong), await scene.value(own)) == (0, None)
    await scene.declare(*declared)
    assert (await scene.value(wrong), await scene.value(own)) == (0, hour)
    none = {"policies": None}
    await schedules.override(scene.db, "g.x@own", none, jobs=job_named, by="ana")
    assert (await scene.value(wrong), await scene.value(own)) == (0, ten)
