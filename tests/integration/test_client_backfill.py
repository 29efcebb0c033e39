"""Slots of the past are run with their own instants: seen before, once each, in order, and told
from those that ran on time."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sereno import BackfillView, Client, RunContext, cron, every, job
from sereno.engine.verification import verify
from sereno.model.errors import (
    ConflictError,
    DeclarationError,
    LeaseLostError,
    NotFoundError,
    ParamsError,
)
from sereno.store import backfills, schedules
from sereno.store.bulk_queue import backfills as open_backfills
from sereno.store.bulk_queue import following
from sereno.store.ledger import settle

from .node import Eye, running
from .scene import NODE, OTHER, Scene, declared_job, job_named, named, opened, settlement

Run = RunContext[dict[str, Any]]
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
APRIL = datetime(2026, 4, 1, tzinfo=UTC)
BEGUN = APRIL + 10 * HOUR
"""Since when the schedule is there."""

SETTLED = APRIL + 20 * HOUR
ENDED = """
UPDATE sereno.run SET state = CASE WHEN slot = $1 THEN 'queued' ELSE 'succeeded' END,
       attempt = CASE WHEN slot = $1 THEN 0 ELSE 1 END WHERE state = 'running'
"""
NEW = '{"site": "new"}'
OVER = """
UPDATE sereno.run SET state = $1, attempt = 1, finished_at = clock_timestamp()
 WHERE state = 'queued' AND cause = 'backfill'
"""


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    """An hourly schedule since 10:00, with verdicts until 20:00."""
    async with opened(database) as found:
        await found.declare("etl.sync", named("etl.sync"))
        await found.eye.execute("UPDATE sereno.schedule SET created_at = $1", BEGUN)
        await found.eye.execute("UPDATE sereno.schedule_version SET valid_from = $1", BEGUN)
        await found.eye.execute("UPDATE sereno.watermark SET settled_to = $1", BEGUN)
        entry = await found.entry("etl.sync")
        verdicts = ["ran", "late", "waiting", "missed", "missed", "skipped", "coalesced", "ran"]
        slots = [(BEGUN + HOUR * n, v) for n, v in enumerate(verdicts, 1)]
        slots += [(BEGUN + HOUR * n, "missed") for n in (9, 10)]
        await settle(found.db, found.term, NODE, [settlement(entry, *slots, to=SETTLED)])
        await found.eye.execute(ENDED, BEGUN + 3 * HOUR)
        yield found


async def step(scene: Scene) -> bool:
    """Do what a leader does in one turn; tell whether anything was done."""
    assert await following(scene.db) is None
    done = [
        await backfills.carry_on(scene.db, scene.term, o) for o in await open_backfills(scene.db)
    ]
    return any(done)


async def carried_out(
    scene: Scene, client: Client, number: int, ends: str = "succeeded"
) -> BackfillView:
    """Carry all out, each run over before the next look."""
    while await open_backfills(scene.db):
        await scene.eye.execute(OVER, ends)
        assert await step(scene)
    return await client.backfill(number)


async def filled(scene: Scene) -> list[datetime]:
    """Return the slots of the runs of back-fills, in the order in which they were queued."""
    rows = await scene.rows("SELECT slot FROM sereno.run WHERE cause = 'backfill' ORDER BY id")
    return [row[0] for row in rows]


async def test_slots_run_with_their_own_instants_in_order_on_a_node(
    database: str, eye: Eye
) -> None:
    seen: list[tuple[datetime | None, str]] = []
    under_way: list[int] = []

    @job("t.daily", schedule=cron("0 8 * * *", tz="Europe/Madrid"))
    async def daily(run: Run) -> str:
        seen.append((run.slot, str(run.cause) if hasattr(run, "cause") else ""))
        under_way.append(1)
        await asyncio.sleep(0)
        assert len(under_way) == 1
        under_way.pop()
        return "done"

    async with running(database, daily) as node, Client.open(database) as client:
        await node.leads()
        await eye.until("SELECT count(*) > 0 FROM sereno.schedule")
        since, until = datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
        preview = await client.preview_backfill("t.daily", since, until)
        assert preview.sentence == (
            "run 5 slots of 't.daily', 2026-03-27T07:00:00Z to 2026-03-31T06:00:00Z: 5 never due"
        )
        made = await client.start_backfill("t.daily", since, until, reason="the new report")
        assert await eye.until("SELECT state = 'done' FROM sereno.backfill")
        found = await client.backfill(made.id)
        account = await client.verify(timedelta(days=1))
        job_now = await client.job("t.daily")
        explained = await client.explain("t.daily", datetime(2026, 3, 29, 6, tzinfo=UTC))
    # The clock of Madrid changed on the 29th.
    assert [s for s, _ in seen] == [
        datetime(2026, 3, day, 6 if day > 28 else 7, tzinfo=UTC) for day in range(27, 32)
    ]
    assert (found.queued, found.succeeded, found.failed, found.left_out) == (5, 5, 0, 0)
    assert (account.holds, account.backfilled) == (True, 5)
    assert job_now.last_success_at is None  # nothing of today has succeeded
    assert job_now.last_state == "succeeded"
    (slot,) = explained.slots
    assert (slot.verdict, slot.reason, slot.run_id) == ("backfilled", "by back-fill 1", 3)
    causes = await eye.rows("SELECT DISTINCT cause, backfill FROM sereno.run")
    assert causes == [("backfill", 1)]
    trail = await eye.rows(
        "SELECT action, subject, reason FROM sereno.change WHERE action LIKE 'back%' ORDER BY id"
    )
    assert trail == [
        ("backfill", "t.daily", "the new report"),
        ("backfill_over", "t.daily", "the new report"),
    ]


async def test_a_slot_on_time_waits_for_a_run_of_a_back_fill_and_is_not_skipped(
    database: str, eye: Eye
) -> None:
    let_go = asyncio.Event()
    together: set[int] = set()

    @job("t.often", schedule=every("1s"), overlap="skip", grace="1m")
    async def often(run: Run) -> None:
        together.add(run.run_id)
        assert len(together) == 1
        if run.slot == APRIL:
            await let_go.wait()
        together.discard(run.run_id)

    async with running(database, often) as node, Client.open(database) as client:
        await node.leads()
        await eye.ran("t.often")
        await client.start_backfill("t.often", APRIL, APRIL + timedelta(seconds=3), parallel=3)
        await eye.until("SELECT count(*) = 1 FROM sereno.slot WHERE verdict = 'waiting'")
        await eye.until("SELECT count(*) > 0 FROM sereno.slot WHERE verdict = 'skipped'")
        let_go.set()
        await eye.until("SELECT state = 'done' FROM sereno.backfill")
        await eye.until("SELECT count(*) = 0 FROM sereno.slot WHERE verdict = 'waiting'")
        found = await client.backfill(1)
        on_time = "SELECT count(*) > 3 FROM sereno.run WHERE cause = 'slot' AND state = 'succeeded'"
        assert await eye.until(on_time)
    assert (found.queued, found.succeeded) == (3, 3)


async def test_a_preview_tells_what_would_run_and_what_is_left_out(scene: Scene) -> None:
    client = Client(scene.db)
    preview = await client.preview_backfill("etl.sync", APRIL, SETTLED + HOUR)
    assert preview.kinds == {"never due": 10 + 1, "missed": 4, "skipped": 1, "coalesced": 1}
    assert preview.left_out == {"ran": 3, "under way": 1}
    assert (preview.first, preview.last) == (APRIL, SETTLED)
    assert (preview.found, preview.more) == (17, False)
    missed = await client.preview_backfill("etl.sync", APRIL, SETTLED + HOUR, missed_only=True)
    assert (missed.found, missed.kinds) == (4, {"missed": 4})
    again = await client.preview_backfill("etl.sync", APRIL, SETTLED + HOUR, again=True)
    assert (again.found, again.left_out) == (20, {"under way": 1})
    assert await scene.value("SELECT count(*) FROM sereno.backfill") == 0


async def test_what_is_due_and_not_settled_yet_is_left_to_the_leader(scene: Scene) -> None:
    client = Client(scene.db)
    preview = await client.preview_backfill("etl.sync", SETTLED + HOUR, SETTLED + 5 * HOUR)
    assert (preview.found, preview.left_out) == (0, {"not settled yet": 4})
    with pytest.raises(ConflictError, match="there is nothing to run; nothing was done"):
        await client.start_backfill("etl.sync", SETTLED + HOUR, SETTLED + 5 * HOUR)


async def test_runs_are_queued_in_order_and_no_more_at_once_than_was_said(scene: Scene) -> None:
    client = Client(scene.db)
    await client.start_backfill("etl.sync", BEGUN + HOUR, SETTLED + HOUR, parallel=2)
    assert await step(scene)
    assert await filled(scene) == [BEGUN + 4 * HOUR, BEGUN + 5 * HOUR]
    assert not await step(scene)  # nothing to do while they are not over
    await scene.eye.execute(OVER + " AND slot = $2", "failed", BEGUN + 4 * HOUR)
    assert await step(scene)
    assert (await filled(scene))[-1] == BEGUN + 6 * HOUR
    found = await carried_out(scene, client, 1)
    assert (found.queued, found.succeeded, found.failed, found.left_out) == (6, 5, 1, 4)
    assert (found.state, found.pending) == ("done", 0)
    assert (await verify(scene.db, timedelta(days=400))).counts["doubled"] == 0


async def test_two_over_one_span_fill_each_slot_once_unless_it_is_asked_for_again(
    scene: Scene,
) -> None:
    client = Client(scene.db)
    await client.start_backfill("etl.sync", BEGUN, SETTLED)
    await client.start_backfill("etl.sync", APRIL, SETTLED + HOUR, parallel=100)
    await carried_out(scene, client, 2)
    slots = await filled(scene)
    assert len(slots) == len(set(slots)) == 17
    preview = await client.preview_backfill("etl.sync", APRIL, SETTLED + HOUR)
    assert preview.left_out == {"filled before": 17, "ran": 3, "under way": 1}
    await client.start_backfill("etl.sync", BEGUN + HOUR, BEGUN + 2 * HOUR, again=True)
    await carried_out(scene, client, 3)
    assert len(await filled(scene)) == 18
    account = await verify(scene.db, timedelta(days=400))
    assert account.counts["doubled"] == account.counts["untrue"] == 0, account.faults
    assert account.backfilled == 18


async def test_it_goes_on_behind_a_part_of_its_span_that_has_nothing_to_fill(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfills, "LOOKED_AT", 2)  # slots that one step looks at
    client = Client(scene.db)
    await client.start_backfill("etl.sync", BEGUN + HOUR, SETTLED, parallel=100)
    assert await step(scene)
    assert await filled(scene) == []  # the first two ran
    assert (await client.backfill(1)).state == "running"
    assert (await carried_out(scene, client, 1)).queued == 5


@pytest.mark.parametrize("filled_before", [False, True])
async def test_what_is_at_work_is_not_run_beside_itself_though_it_is_asked_for_again(
    scene: Scene, filled_before: bool
) -> None:
    client = Client(scene.db)
    slot = BEGUN + HOUR * (4 if filled_before else 1)
    if filled_before:
        await client.start_backfill("etl.sync", slot, slot + HOUR)
        assert await step(scene)
    else:
        await scene.eye.execute("UPDATE sereno.run SET state = 'running' WHERE slot = $1", slot)
    preview = await client.preview_backfill("etl.sync", slot, slot + HOUR, again=True)
    assert (preview.found, preview.left_out) == (0, {"under way": 1})


async def test_what_was_cancelled_before_it_began_may_be_filled_anew(scene: Scene) -> None:
    client = Client(scene.db)
    await client.start_backfill("etl.sync", BEGUN, SETTLED, parallel=3)
    await step(scene)
    stopped = await client.cancel_backfill(1)
    assert (stopped.state, stopped.cancelled_by is None) == ("cancelled", False)
    assert not await open_backfills(scene.db)
    ended = await scene.rows(
        "SELECT state, error FROM sereno.run WHERE cause = 'backfill' ORDER BY id"
    )
    assert [state for state, _ in ended] == ["cancelled"] * 3
    assert "back-fill 1 was cancelled" in ended[0][1]
    await client.start_backfill("etl.sync", BEGUN, SETTLED, parallel=3)
    found = await carried_out(scene, client, 2)
    assert (found.queued, found.succeeded) == (6, 6)
    assert (await verify(scene.db, timedelta(days=400))).counts["doubled"] == 0
    assert (await client.cancel_backfill(2)).state == "done"
    assert [b.id for b in await client.backfills()] == [2, 1]


async def test_it_goes_on_under_the_next_leader_and_the_old_one_queues_nothing(
    scene: Scene,
) -> None:
    client = Client(scene.db)
    await client.start_backfill("etl.sync", APRIL, SETTLED)
    await step(scene)
    (order,) = await open_backfills(scene.db)
    await scene.eye.execute(OVER, "succeeded")
    old = scene.term
    await scene.begin_term(OTHER)
    with pytest.raises(LeaseLostError, match=f"term {old} is over"):
        await backfills.carry_on(scene.db, old, order)
    assert len(await filled(scene)) == 1
    assert await backfills.carry_on(scene.db, scene.term, order)
    # The same step, done twice by mistake, does nothing the second time.
    await backfills.carry_on(scene.db, scene.term, order)
    assert len(await filled(scene)) == 2
    assert (await carried_out(scene, client, 1)).queued == 16


async def test_each_slot_follows_the_version_of_its_time_and_before_the_first_todays(
    scene: Scene,
) -> None:
    await schedules.override(
        scene.db,
        "etl.sync",
        {"trigger": "every 2h", "params": {"site": "new"}},
        jobs=job_named,
        by="ana",
    )
    noon = BEGUN + 2 * HOUR
    await scene.eye.execute("DELETE FROM sereno.slot")
    await scene.eye.execute(
        "UPDATE sereno.schedule_version SET valid_from = $1 WHERE version = 2", noon
    )
    client = Client(scene.db)
    preview = await client.preview_backfill(
        "etl.sync", BEGUN - 3 * HOUR, noon + 3 * HOUR, again=True
    )
    assert preview.found == 1 + 1 + 2 + 1  # 8, 10 (of today's), 11, 12 (of the first), 14
    await client.start_backfill("etl.sync", BEGUN - 3 * HOUR, noon + 3 * HOUR)
    await carried_out(scene, client, 1)
    rows = await scene.rows(
        "SELECT slot, params FROM sereno.run WHERE cause = 'backfill' ORDER BY id"
    )
    assert [(slot.hour, params) for slot, params in rows] == [
        (8, NEW), (10, NEW), (11, "{}"), (12, "{}"), (14, NEW),
    ]  # fmt: skip


async def test_what_history_does_not_hold_any_more_runs_only_when_it_is_asked_for_again(
    scene: Scene,
) -> None:
    await scene.eye.execute("DELETE FROM sereno.slot")
    await scene.eye.execute("UPDATE sereno.history SET slots_kept_from = $1", SETTLED)
    client = Client(scene.db)
    preview = await client.preview_backfill("etl.sync", APRIL, SETTLED + HOUR)
    assert preview.left_out == {"not known any more": 10}
    assert preview.kinds == {"never due": 11}
    again = await client.preview_backfill("etl.sync", BEGUN + HOUR, SETTLED + HOUR, again=True)
    assert again.found == 10


async def test_slots_of_a_pause_run_once_by_resume_or_by_a_back_fill(scene: Scene) -> None:
    await schedules.pause(scene.db, "etl.sync", by="ana")
    await scene.eye.execute(
        "UPDATE sereno.schedule_version SET valid_from = $1 WHERE version = 2", BEGUN + 3 * HOUR
    )
    await scene.eye.execute("DELETE FROM sereno.slot WHERE slot > $1", BEGUN + 3 * HOUR)
    client = Client(scene.db)
    await client.start_backfill("etl.sync", BEGUN + 4 * HOUR, BEGUN + 6 * HOUR)
    await carried_out(scene, client, 1)
    await scene.eye.execute("UPDATE sereno.schedule SET paused_until = NULL")
    resumed = await client.resume("etl.sync", replay="last")
    assert len(resumed.runs) == 1
    twice = "SELECT count(*) FROM sereno.run GROUP BY slot HAVING count(*) > 1"
    assert await scene.rows(twice) == []


async def test_what_cannot_be_is_refused_with_a_sentence(scene: Scene) -> None:
    await scene.declare(
        *("etl.sync", "etl.two", "etl.none", "etl.off", "etl.once"),
        *(named("etl.sync"), named("etl.two@a"), named("etl.two@b")),
        *(named("etl.off", enabled=False), named("etl.once", one_off=True)),
    )
    client = Client(scene.db)
    now = await client.now()
    refused: list[tuple[type[Exception], str, tuple[Any, ...], dict[str, Any]]] = [
        (ParamsError, "is not before until", ("etl.sync", SETTLED, APRIL), {}),
        (ParamsError, "is not before until", ("etl.sync", APRIL, APRIL), {}),
        (ParamsError, "is in the future", ("etl.sync", APRIL, now + HOUR), {}),
        (ParamsError, "is not before until", ("etl.sync", now + HOUR), {}),
        (ParamsError, "must carry a time zone", ("etl.sync", APRIL.replace(tzinfo=None)), {}),
        (ParamsError, "exclude one", ("etl.sync", APRIL), {"missed_only": True, "again": True}),
        (ParamsError, "parallel is 0", ("etl.sync", APRIL), {"parallel": 0}),
        (ParamsError, "parallel is 101", ("etl.sync", APRIL), {"parallel": 101}),
        (ParamsError, "expect is -1", ("etl.sync", APRIL), {"expect": -1}),
        (NotFoundError, "named 'etl.synk', did you mean", ("etl.synk", APRIL), {}),
        (DeclarationError, "'etl.none' has no schedule", ("etl.none", APRIL), {}),
        (DeclarationError, "2 schedules, name one of them: etl.two@a, etl", ("etl.two", APRIL), {}),
        (DeclarationError, "'etl.off' is disabled by the configuration", ("etl.off", APRIL), {}),
        (DeclarationError, "'etl.once' is one-off and has no slots", ("etl.once", APRIL), {}),
        (NotFoundError, "there is no schedule", ("a\0b", APRIL), {}),
    ]  # fmt: skip
    for error, words, args, more in refused:
        with pytest.raises(error, match=words):
            await client.start_backfill(*args, **more)
    await scene.declare("etl.two", named("etl.two@a"))
    with pytest.raises(DeclarationError, match="is not declared by the replica that led last"):
        await client.start_backfill("etl.sync", APRIL)
    with pytest.raises(NotFoundError, match="there is no back-fill 7"):
        await client.backfill(7)
    assert await scene.value("SELECT count(*) FROM sereno.backfill") == 0


async def test_a_span_of_ten_million_slots_is_counted_no_further_than_it_may_be(
    scene: Scene,
) -> None:
    await scene.declare(declared_job("etl.sync"), named("etl.sync", "every 1s"))
    client = Client(scene.db, max_backfill=500)
    preview = await client.preview_backfill("etl.sync", APRIL - 120 * DAY, APRIL)
    assert (preview.found, preview.more) == (500, True)
    assert preview.sentence.startswith(
        "run more than 500 slots of 'etl.sync', 2025-12-02T00:00:00Z"
    )
    with pytest.raises(
        ConflictError, match=r"one back-fill may run 500 \(max_backfill\): take a shorter"
    ):
        await client.start_backfill("etl.sync", APRIL - 120 * DAY, APRIL, expect=10**9)
    with pytest.raises(ConflictError, match="expect=200 confirms it; nothing was done"):
        await client.start_backfill("etl.sync", APRIL, APRIL + timedelta(seconds=200))
    with pytest.raises(ConflictError, match="199 were expected"):
        await client.start_backfill("etl.sync", APRIL, APRIL + timedelta(seconds=200), expect=199)


async def test_verify_finds_a_slot_that_was_filled_twice_or_by_a_run_that_is_gone(
    scene: Scene,
) -> None:
    client = Client(scene.db)
    await client.start_backfill("etl.sync", BEGUN, SETTLED)
    await carried_out(scene, client, 1)
    whole = timedelta(days=400)
    before = (await verify(scene.db, whole)).counts
    run = await scene.value("SELECT min(id) FROM sereno.run WHERE cause = 'backfill'")
    await scene.eye.execute(
        "INSERT INTO sereno.run (job, state, cause, schedule_id, slot, attempt)"
        " SELECT job, 'succeeded', cause, schedule_id, slot, 1 FROM sereno.run WHERE id = $1",
        run,
    )
    assert (await verify(scene.db, whole)).counts["doubled"] == before["doubled"] + 1
    await scene.eye.execute("DELETE FROM sereno.run WHERE id = $1", run)
    account = await verify(scene.db, whole)
    assert [f.detail for f in account.faults if f.kind == "run missing"] == [
        f"it was filled by run {run}, which is gone, and was not pruned"
    ]


async def test_a_retry_of_a_filled_slot_is_of_the_back_fill_too(scene: Scene) -> None:
    client = Client(scene.db)
    await client.start_backfill("etl.sync", BEGUN + HOUR, BEGUN + 5 * HOUR)
    await carried_out(scene, client, 1, "failed")
    failed = await scene.value("SELECT min(id) FROM sereno.run WHERE cause = 'backfill'")
    again = await client.run(await client.retry(failed))
    assert (again.cause, again.backfill, again.slot) == ("retry", 1, BEGUN + 4 * HOUR)
    assert (await verify(scene.db, timedelta(days=400))).counts["doubled"] == 0


async def test_a_trigger_that_cannot_tell_any_more_fails_its_back_fill_alone(scene: Scene) -> None:
    client = Client(scene.db)
    await client.start_backfill("etl.sync", APRIL, SETTLED)
    await scene.eye.execute("UPDATE sereno.schedule_version SET trigger = 'gone.kind 5'")
    await step(scene)
    found = await client.backfill(1)
    assert found.state == "failed"
    assert found.error is not None
    assert "gone.kind" in found.error


async def test_back_fills_and_what_they_filled_are_pruned_each_in_its_time(scene: Scene) -> None:
    client = Client(scene.db)
    await client.start_backfill("etl.sync", BEGUN, SETTLED)
    await carried_out(scene, client, 1)
    await scene.eye.execute("UPDATE sereno.backfill SET finished_at = now() - interval '60 days'")
    prune = "SELECT sereno.prune('30 days', 1000)"
    await scene.value(prune)
    assert await client.backfills() == []
    filled_ = "SELECT count(*) FROM sereno.backfilled"
    assert await scene.value(filled_) == 6
    await scene.eye.execute("UPDATE sereno.backfilled SET at = now() - interval '800 days'")
    await scene.value(prune)
    assert await scene.value(filled_) == 0
