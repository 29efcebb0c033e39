"""Schedules do not hurt one another, and their pauses, changes and faults are followed."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sereno import RunContext, cron, every, job, once, schedule
from sereno.engine import agenda, scheduler
from sereno.model.errors import StoreUnavailableError
from sereno.store import ledger, runs, schedules
from sereno.triggers.occurrences import next_slot

from .node import LONG_LEASE, Eye, failing_once, running

Run = RunContext[dict[str, Any]]


async def nothing(run: Run) -> None:
    """Do nothing."""


def ticking(name: str = "t.tick", interval: str = "100ms", **declared: Any) -> Any:
    return job(name, schedule=every(interval), **declared)(nothing)


SUCCEEDED = "SELECT count(*) >= $2 FROM sereno.run WHERE job = $1 AND state = 'succeeded'"
OVERLAP = "SELECT count(*) FROM sereno.run GROUP BY schedule_id, slot HAVING count(*) > 1"


# --- faults of one schedule -------------------------------------------------------------------


async def test_a_trigger_that_cannot_be_read_holds_up_no_other_schedule(
    database: str, eye: Eye
) -> None:
    async with running(database, ticking(), ticking("t.other")):
        await eye.until(SUCCEEDED, "t.other", 1)
        await eye.connection.execute(
            "UPDATE sereno.schedule_version SET trigger = 'sunrise 9 9' WHERE schedule_id ="
            " (SELECT id FROM sereno.schedule WHERE name = 't.other')"
        )
        await eye.connection.execute("SELECT pg_notify('sereno', 'schedule')")
        done = await eye.value("SELECT count(*) FROM sereno.run WHERE job = 't.tick'")
        await eye.until(SUCCEEDED, "t.tick", done + 5)


async def test_a_trigger_that_raises_holds_up_no_other_schedule(
    database: str, eye: Eye, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(entry: Any, *args: Any, **kwargs: Any) -> Any:
        if entry.job == "t.other":
            raise ZeroDivisionError("a plugin's trigger")
        return real(entry, *args, **kwargs)

    real = scheduler.plan
    monkeypatch.setattr(scheduler, "plan", plan)
    async with running(database, ticking(), ticking("t.other"), lease=LONG_LEASE) as node:
        await eye.until(SUCCEEDED, "t.tick", 5)
        assert node.status.leader_changes == 1


async def test_a_schedule_that_cannot_be_written_holds_up_no_other(database: str, eye: Eye) -> None:
    """And is settled once it can be: nothing of it is lost."""
    async with running(database, ticking(), ticking("t.other"), lease=LONG_LEASE) as node:
        await eye.until(SUCCEEDED, "t.other", 1)
        await eye.connection.execute(
            "ALTER TABLE sereno.run ADD CONSTRAINT odd CHECK (job <> 't.other') NOT VALID"
        )
        done = await eye.value("SELECT count(*) FROM sereno.run WHERE job = 't.tick'")
        await eye.until(SUCCEEDED, "t.tick", done + 5)
        assert node.status.leader_changes == 1
        await eye.connection.execute("ALTER TABLE sereno.run DROP CONSTRAINT odd")
        await eye.connection.execute("SELECT pg_notify('sereno', 'schedule')")
        await eye.until(
            "SELECT settled_to > clock_timestamp() - interval '0.3 s' FROM sereno.watermark"
            " WHERE schedule_id = (SELECT id FROM sereno.schedule WHERE name = 't.other')"
        )


async def test_a_user_s_schedule_whose_trigger_kind_is_gone_costs_no_lead(
    database: str, eye: Eye
) -> None:
    async with running(database, ticking()):
        await eye.until(SUCCEEDED, "t.tick", 1)
    await eye.connection.execute(
        """
        WITH s AS (
            INSERT INTO sereno.schedule (name, job, origin, declared, state)
            VALUES ('t.new@sun', 't.new', 'user', '{"trigger": "sunrise 9 9"}', 'orphaned')
            RETURNING id
        ), v AS (
            INSERT INTO sereno.schedule_version
                   (schedule_id, version, valid_from, state, trigger, params, policies, changed_by)
            SELECT id, 1, now(), 'orphaned', 'sunrise 9 9', '{}', '{}', 'x' FROM s
        )
        INSERT INTO sereno.watermark (schedule_id, job, settled_to) SELECT id, 't.new', now() FROM s
        """
    )
    async with running(database, ticking(), job("t.new")(nothing)) as node:
        await node.leads()
        done = await eye.value("SELECT count(*) FROM sereno.run")
        await eye.until(SUCCEEDED, "t.tick", done + 3)


async def test_a_job_that_is_gone_leaves_its_schedule_orphaned_and_others_alone(
    database: str, eye: Eye
) -> None:
    async with running(database, ticking(), ticking("t.other")):
        await eye.until(SUCCEEDED, "t.other", 1)
    done = await eye.value("SELECT count(*) FROM sereno.run WHERE job = 't.tick'")
    async with running(database, ticking()):
        await eye.until(SUCCEEDED, "t.tick", done + 3)
        await eye.until(
            "SELECT true FROM sereno.schedule s JOIN sereno.watermark w ON w.schedule_id = s.id"
            " WHERE s.name = 't.other' AND s.state = 'orphaned' AND w.wake_at IS NULL"
        )
    missed = "SELECT DISTINCT reason FROM sereno.slot WHERE verdict = 'missed'"
    assert await eye.rows(missed) in ([], [("its job is not declared any more",)])
    async with running(database, ticking(), ticking("t.other")):
        before = await eye.value("SELECT count(*) FROM sereno.run WHERE job = 't.other'")
        await eye.until(SUCCEEDED, "t.other", before + 1)


# --- answers that are lost --------------------------------------------------------------------


async def test_slots_that_were_settled_though_the_answer_was_lost_run_once(
    database: str, eye: Eye, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(database, ticking(overlap="queue")) as node:
        await eye.until(SUCCEEDED, "t.tick", 2)
        lost = failing_once(ledger.settle, StoreUnavailableError("the answer was lost"), after=True)
        monkeypatch.setattr(ledger, "settle", lost)
        await node.heard.wait("LeaderChanged", leading=False)
        done = await eye.value("SELECT count(*) FROM sereno.run")
        await eye.until(SUCCEEDED, "t.tick", done + 5)
        await eye.until(
            "SELECT NOT EXISTS (SELECT 1 FROM sereno.run"
            " WHERE state <> 'succeeded' AND slot < clock_timestamp() - interval '1 s')"
        )
    assert await eye.rows(OVERLAP) == []


@pytest.mark.parametrize("call", ["claim_first", "claim"])
async def test_runs_that_were_claimed_though_the_answer_was_lost_are_run(
    database: str, eye: Eye, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    async with running(database, job("t.adhoc")(nothing)) as node:
        await eye.ran("t.adhoc")
        error = StoreUnavailableError("the answer was lost")
        monkeypatch.setattr(runs, call, failing_once(getattr(runs, call), error, after=True))
        queued = await eye.rows("SELECT sereno.enqueue_many('t.adhoc', ARRAY['{}', '{}']::jsonb[])")
        await node.heard.wait("LeaderChanged", leading=False)
        rows = [await eye.over(run_id) for (run_id,) in queued]
    assert [(r["state"], r["attempt"]) for r in rows] == [("succeeded", 1)] * 2


async def test_an_outcome_that_was_written_though_the_answer_was_lost_counts_once(
    database: str, eye: Eye, monkeypatch: pytest.MonkeyPatch
) -> None:
    @job("t.down", after="t.adhoc")
    async def down(run: Run) -> None:
        pass

    lost = failing_once(
        runs.write_outcomes, StoreUnavailableError("the answer was lost"), after=True
    )
    monkeypatch.setattr(runs, "write_outcomes", lost)
    async with running(database, job("t.adhoc")(nothing), down) as node:
        await eye.enqueue("t.adhoc")
        assert (await node.finished("t.adhoc"))["state"] == "succeeded"
        await node.finished("t.down")
    assert await eye.rows("SELECT job, state FROM sereno.run ORDER BY id") == [
        ("t.adhoc", "succeeded"),
        ("t.down", "succeeded"),
    ]


# --- pauses, one-off schedules, catching up ---------------------------------------------------


async def test_a_paused_schedule_fires_nothing_and_goes_on_where_it_is_resumed(
    database: str, eye: Eye
) -> None:
    async with running(database, ticking()) as node:
        await eye.until(SUCCEEDED, "t.tick", 2)
        await schedules.pause(node.kernel.db, "t.tick", by="ann", reason="stock-taking")
        paused_at = await eye.value(
            "SELECT valid_from FROM sereno.schedule_version WHERE version = 2"
        )
        await eye.until("SELECT clock_timestamp() > $1", paused_at + timedelta(seconds=0.5))
        await schedules.resume(node.kernel.db, "t.tick", by="ann")
        resumed_at = await eye.value(
            "SELECT valid_from FROM sereno.schedule_version WHERE version = 3"
        )
        await eye.until("SELECT max(slot) > $1 FROM sereno.run", resumed_at)
    between = "SELECT count(*) FROM sereno.slot WHERE slot > $1 AND slot <= $2"
    assert await eye.value(between, paused_at, resumed_at) == 0
    held = (
        "SELECT sum(slots), min(verdict), min(reason) FROM sereno.slot_range"
        " WHERE last_slot > $1 AND first_slot <= $2"
    )
    (row,) = await eye.rows(held, paused_at, resumed_at)
    assert row[0] >= 4
    assert row[1:] == ("skipped", "paused")


async def test_a_pause_with_an_end_ends_by_itself(database: str, eye: Eye) -> None:
    async with running(database, ticking()) as node:
        await eye.until(SUCCEEDED, "t.tick", 1)
        until = await eye.value("SELECT clock_timestamp() + interval '2 s'")
        await schedules.pause(node.kernel.db, "t.tick", by="ann", until=until)
        await eye.until("SELECT max(slot) > $1 FROM sereno.run", until)
    row = "SELECT state, changed_by, reason FROM sereno.schedule_version WHERE version = 3"
    assert await eye.rows(row) == [("active", "sereno", "the pause is over")]
    assert await eye.rows("SELECT slot FROM sereno.run WHERE slot > $1 AND slot < $2", *(
        await eye.rows("SELECT max(valid_from), $1::timestamptz FROM sereno.schedule_version"
                       " WHERE version = 2", until)
    )[0]) == []  # fmt: skip


async def test_a_one_off_schedule_fires_once(database: str, eye: Eye) -> None:
    at = datetime.now(UTC) + timedelta(seconds=3)  # the node is to know of it by then
    single = job("t.single", schedule=once(at))(nothing)
    async with running(database, single, ticking()):
        await eye.until(SUCCEEDED, "t.single", 1)
        done = await eye.value("SELECT count(*) FROM sereno.run")
        await eye.until(SUCCEEDED, "t.tick", done + 2)
    assert await eye.value("SELECT count(*) FROM sereno.slot WHERE slot = $1", at) == 1
    assert await eye.value("SELECT count(*) FROM sereno.run WHERE job = 't.single'") == 1


async def test_what_was_due_while_nobody_led_is_caught_up_as_its_policy_says(
    database: str, eye: Eye
) -> None:
    jobs = [
        ticking(f"t.{name}", catch_up=name, grace="150ms", overlap="queue")
        for name in ("last", "none", "all")
    ]
    async with running(database, *jobs):
        for found in jobs:
            await eye.until(SUCCEEDED, found.name, 1)
    stopped = await eye.value("SELECT max(settled_to) FROM sereno.watermark")
    await eye.until("SELECT clock_timestamp() > $1", stopped + timedelta(seconds=1))
    async with running(database, *jobs) as node:
        await node.leads()
        began = await eye.value("SELECT max(acquired_at) FROM sereno.term")
        await eye.until("SELECT min(settled_to) > $1 FROM sereno.watermark", began)
        waiting = "SELECT count(*) = 0 FROM sereno.slot WHERE verdict = 'waiting' AND slot < $1"
        await eye.until(waiting, began)
    found = await eye.rows(
        "SELECT s.job, sum(x.n) FILTER (WHERE x.verdict IN ('ran', 'late')),"
        " sum(x.n) FILTER (WHERE x.verdict NOT IN ('ran', 'late'))"
        " FROM (SELECT schedule_id, slot, verdict, 1 AS n FROM sereno.slot UNION ALL"
        "       SELECT schedule_id, first_slot, verdict, slots FROM sereno.slot_range) x"
        " JOIN sereno.schedule s ON s.id = x.schedule_id"
        " WHERE x.slot > $1 AND x.slot < $2 GROUP BY s.job ORDER BY s.job",
        stopped,
        began - timedelta(seconds=0.3),
    )
    rows = {row[0]: row[1:] for row in found}
    assert rows["t.all"][0] >= 6
    assert rows["t.all"][1] is None
    assert rows["t.none"][0] is None
    assert rows["t.none"][1] >= 6
    assert rows["t.last"][1] >= 6


async def test_what_follows_a_slot_is_computed_before_the_slot_is_due(
    database: str, eye: Eye, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreseen: list[tuple[datetime, datetime]] = []

    def foresee(definition: Any, name: str, slot: datetime) -> datetime | None:
        foreseen.append((node.kernel.clock.now(), slot))
        return next_slot(definition, name, slot)

    monkeypatch.setattr(scheduler, "next_slot", foresee)
    soon = job("t.soon", schedule=every("3s"))(nothing)
    later = job("t.later", schedule=every("7d"))(nothing)
    async with running(database, soon, later) as node:
        await eye.until(SUCCEEDED, "t.soon", 1)  # a node may begin just before a slot
        await eye.connection.execute("SELECT pg_notify('sereno', 'schedule')")
        await eye.until(SUCCEEDED, "t.soon", 2)
    slots = {slot for (slot,) in await eye.connection.fetch("SELECT slot FROM sereno.slot")}
    asked = max({slot for _, slot in foreseen} & slots)
    assert min(when for when, slot in foreseen if slot == asked) < asked - agenda.LOOKAHEAD
    assert all(slot - when < scheduler.FORESIGHT for when, slot in foreseen)


async def test_several_schedules_of_one_job_run_with_their_own_params(
    database: str, eye: Eye
) -> None:
    @job(
        "t.many",
        schedule=[
            schedule(every("200ms"), label="a", params={"which": "a"}),
            schedule(every("300ms"), label="b", params={"which": "b"}),
        ],
    )
    async def many(run: Run) -> str:
        return str(run.params["which"])

    async with running(database, many):
        await eye.until(SUCCEEDED, "t.many", 6)
    found = await eye.rows(
        "SELECT DISTINCT s.name, r.result::text FROM sereno.run r JOIN sereno.schedule s"
        " ON s.id = r.schedule_id WHERE r.result IS NOT NULL ORDER BY 1"
    )
    assert found == [("t.many@a", '"a"'), ("t.many@b", '"b"')]


async def test_no_more_runs_of_a_job_than_max_running_when_several_slots_come_at_once(
    database: str, eye: Eye
) -> None:
    most = now = 0

    async def work(run: Run) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    busy = job("t.busy", schedule=every("100ms"), catch_up="none", overlap="allow", max_running=1)(
        work
    )
    async with running(database, busy):
        await eye.until(SUCCEEDED, "t.busy", 1)
    stopped = await eye.value("SELECT max(settled_to) FROM sereno.watermark")
    await eye.until("SELECT clock_timestamp() > $1", stopped + timedelta(seconds=1))
    async with running(database, busy):
        done = await eye.value("SELECT count(*) FROM sereno.run")
        await eye.until(SUCCEEDED, "t.busy", done + 5)
    assert most == 1


# --- long outages -----------------------------------------------------------------------------


async def away_for(eye: Eye, seconds: int, job: str) -> None:
    """Have the database say that the schedules of `job` were settled last so long ago."""
    back = timedelta(seconds=seconds)
    ids = [r[0] for r in await eye.rows("SELECT id FROM sereno.schedule WHERE job = $1", job)]
    for statement in (
        "UPDATE sereno.schedule_version SET valid_from = valid_from - $2::interval",
        "UPDATE sereno.watermark SET settled_to = settled_to - $2::interval",
        "UPDATE sereno.watermark SET wake_at = wake_at - $2::interval",
        "DELETE FROM sereno.slot",
        "DELETE FROM sereno.slot_range",
        "DELETE FROM sereno.run",
    ):
        unused = "" if "$2" in statement else " AND $2::interval IS NOT NULL"
        where = f" WHERE schedule_id = ANY ($1::bigint[]){unused}"
        await eye.connection.execute(statement + where, ids, back)


async def test_a_long_outage_of_one_schedule_makes_neither_another_nor_the_queue_wait(
    database: str, eye: Eye
) -> None:
    jobs = ticking(), ticking("t.dense", "10ms"), job("t.adhoc")(nothing)
    async with running(database, *jobs):
        await eye.until(SUCCEEDED, "t.dense", 1)
    await away_for(eye, 86_400, "t.dense")
    async with running(database, *jobs) as node:
        await node.leads()
        done = await eye.value("SELECT count(*) FROM sereno.run WHERE job = 't.tick'")
        await eye.until(SUCCEEDED, "t.tick", done + 5)
        assert (await eye.ran("t.adhoc"))["state"] == "succeeded"
        behind = await eye.value(
            "SELECT clock_timestamp() - settled_to FROM sereno.watermark w JOIN sereno.schedule s"
            " ON s.id = w.schedule_id WHERE s.job = 't.dense'"
        )
        assert behind > timedelta(hours=1)


async def test_a_long_outage_of_many_schedules_does_not_cost_the_lead(
    database: str, eye: Eye
) -> None:
    """To settle it takes longer than the lease: the heart beats meanwhile."""
    every_second = [
        schedule(cron("* * * * * *"), label=f"n{n}", jitter="1s", catch_up="last")
        for n in range(20)
    ]
    dense = job("t.dense", schedule=every_second)(nothing)
    async with running(database, dense):
        await eye.until(SUCCEEDED, "t.dense", 1)
    await away_for(eye, 6_000, "t.dense")
    async with running(database, dense) as node:
        term = await node.leads()
        await eye.until(
            "SELECT min(settled_to) > clock_timestamp() - interval '5 s' FROM sereno.watermark",
            limit=90,
        )
        assert await eye.value("SELECT term FROM sereno.leadership") == term
    held = "SELECT sum(slots) FROM sereno.slot_range WHERE verdict = 'coalesced'"
    assert await eye.value(held) >= 20 * 5_900
