"""What goes wrong is told once, by one node, to those who are to hear of it; its end as well."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sereno import DeliveryRefusedError, JobOverdue, LeaderChanged, RunFinished, SlotSettled
from sereno.store.keys import LEADER_LOCK, LOCK_CLASS
from sereno.store.pool import Database
from sereno.testing import Signals
from sereno_notify import notifications

from ...integration.metrics_scene import add_job, add_schedule, opened, run_sql
from .scene import Recorder, Telling, context, made, rows, telling


class World:
    """One database, and any number of nodes that tell."""

    def __init__(self, db: Database, stack: AsyncExitStack) -> None:
        self.db = db
        self._stack = stack
        self.published: list[object] = []
        self.signals = Signals()

    async def node(
        self, *notifiers: Recorder, leading: bool = True, looks: bool = True, **settings: Any
    ) -> Telling:
        return await self._stack.enter_async_context(
            telling(
                self.db.dsn,
                *notifiers,
                leading=leading,
                looks=looks,
                publish=self._publish,
                **settings,
            )
        )

    def _publish(self, event: object) -> None:
        self.published.append(event)
        self.signals.say(type(event).__name__, resolved=getattr(event, "resolved", False))

    async def failed_run(self, job: str = "etl.sync") -> RunFinished:
        async with self.db.connection() as connection:
            run_id = await connection.fetchval(
                "INSERT INTO sereno.run (job, cause, state, error, started_at, finished_at)"
                " VALUES ($1, 'slot', 'failed', 'no disk', now(), now()) RETURNING id",
                job,
            )
        return RunFinished(
            run_id=run_id, job=job, attempt=3, slot=None, state="failed",
            duration=timedelta(seconds=2), error="no disk, password=hunter2",
        )  # fmt: skip

    async def rows(self, columns: str = "key, notifier, state, resolved") -> list[tuple[Any, ...]]:
        return await rows(self.db, columns)


@asynccontextmanager
async def _world(dsn: str) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(opened(dsn))
        await made(dsn)
        yield World(db, stack)


@pytest.fixture
async def world(database: str) -> AsyncIterator[World]:
    async with _world(database) as found:
        yield found


async def test_a_run_that_failed_for_good_is_told_with_what_is_known_and_no_secret(
    world: World,
) -> None:
    chat = Recorder()
    node = await world.node(chat)
    event = await world.failed_run()
    node.take(event)
    await chat.wait("run_failed etl.sync")
    (told,) = chat.sent
    assert (told.kind, told.severity, told.job) == ("run_failed", "warning", "etl.sync")
    assert told.title == "etl.sync failed"
    assert (
        told.text
        == f"Run {event.run_id} of etl.sync failed after 3 attempts: no disk, password=***"
    )
    assert told.facts["run"] == event.run_id
    assert "hunter2" not in str(await world.rows("message::text"))


async def test_what_several_nodes_find_out_at_once_is_told_once(world: World) -> None:
    chat = Recorder()
    nodes = [await world.node(chat) for _ in range(4)]
    event = await world.failed_run()
    for node in nodes:
        node.take(event)
        node.take(LeaderChanged(node="n", term=3, leading=True, reason=""))
    await chat.wait("run_failed etl.sync")
    await asyncio.gather(*(h.finish() for h in nodes))
    assert chat.told == [("run_failed etl.sync", False)]
    assert await world.rows() == [("run_failed etl.sync", "chat", "sent", False)]


async def test_a_job_that_fails_again_is_told_again_only_after_a_while(world: World) -> None:
    chat = Recorder()
    node = await world.node(chat)
    node.take(await world.failed_run())
    await chat.wait("run_failed etl.sync")
    for _ in range(3):
        node.take(await world.failed_run())
    await node.finish()
    assert len(chat.sent) == 1
    await run_sql(
        world.db, "UPDATE sereno_notify.notification SET raised_at = now() - interval '5 h'"
    )
    node.take(await world.failed_run())
    await chat.wait("run_failed etl.sync")
    assert [n.suppressed for n in chat.sent] == [0, 3]


async def test_success_is_told_to_those_who_heard_of_the_failure(world: World) -> None:
    chat = Recorder()
    node = await world.node(chat)
    await add_job(world.db, last_state="'failed'", last_end_at="now()")
    node.take(await world.failed_run())
    await chat.wait("run_failed etl.sync")
    await run_sql(
        world.db,
        "UPDATE sereno.job_stat SET last_state = 'succeeded', last_success_at = now() +"
        " interval '1 s', last_run = 77",
    )
    await chat.wait("run_failed etl.sync", resolved=True)
    assert chat.sent[-1].title == "etl.sync succeeded again"
    assert chat.sent[-1].severity == "warning"  # as what it ends


async def test_a_run_that_another_node_took_over_is_not_told_as_lost(world: World) -> None:
    chat = Recorder()
    node = await world.node(chat)
    event = await world.failed_run()
    await run_sql(world.db, "UPDATE sereno.run SET state = 'running'")
    node.take(event)
    await node.finish()
    assert chat.sent == []


async def test_a_failure_that_no_node_lived_to_tell_is_told_by_the_leader(world: World) -> None:
    chat = Recorder()
    await add_job(world.db, last_state="'lost'", last_end_at="now() - interval '1 minute'",
                  severity="critical")  # fmt: skip
    await world.node(chat)
    await chat.wait("run_failed etl.sync")
    assert chat.sent[0].severity == "critical"
    assert chat.sent[0].title == "etl.sync was lost"


async def test_an_overdue_job_is_told_once_and_so_is_its_end(world: World) -> None:
    chat = Recorder()
    await add_job(world.db, severity="critical")
    await add_schedule(world.db, next_slot="now() - interval '10 minutes'")
    for _ in range(3):
        await world.node(chat)
    await chat.wait("job_overdue etl.sync")
    await world.signals.wait("JobOverdue", resolved=False)
    await run_sql(world.db, "UPDATE sereno.watermark SET next_slot = now() + interval '1 hour'")
    await chat.wait("job_overdue etl.sync", resolved=True)
    await world.signals.wait("JobOverdue", resolved=True)
    assert chat.told == [("job_overdue etl.sync", False), ("job_overdue etl.sync", True)]
    first, last = (e for e in world.published if isinstance(e, JobOverdue))
    assert (first.severity, first.resolved, last.resolved) == ("critical", False, True)
    assert timedelta(minutes=8) < first.overdue < timedelta(minutes=11)


async def test_what_stays_overdue_is_told_again_after_a_while_and_hooks_hear_once(
    world: World,
) -> None:
    chat = Recorder()
    await add_job(world.db)
    await add_schedule(world.db, next_slot="now() - interval '10 minutes'")
    await world.node(chat)
    await chat.wait("job_overdue etl.sync")
    await run_sql(
        world.db, "UPDATE sereno_notify.notification SET raised_at = now() - interval '5 h'"
    )
    await chat.wait("job_overdue etl.sync")
    assert [type(e) for e in world.published] == [JobOverdue]


async def test_a_follower_keeps_silent_while_there_is_a_leader_and_speaks_when_there_is_none(
    world: World,
) -> None:
    chat = Recorder()
    await add_job(world.db)
    await add_schedule(world.db, next_slot="now() - interval '10 minutes'")
    async with world.db.connection() as leader:
        for lock in (1, LEADER_LOCK):  # its own and the leader's
            await leader.execute("SELECT pg_advisory_lock($1::int, $2::int)", LOCK_CLASS, lock)
        follower = await world.node(chat, leading=False)
        for _ in range(3):
            await follower.looking._has_duty()
        assert not follower.looking.on_duty
        assert await world.rows() == []
        await leader.execute("SELECT pg_advisory_unlock_all()")
        await chat.wait("leader_missing")
        await chat.wait("job_overdue etl.sync")
    await world.node(chat)
    await chat.wait("leader_missing", resolved=True)


async def test_missed_slots_are_told(world: World) -> None:
    chat = Recorder()
    node = await world.node(chat)
    slot = datetime(2026, 3, 1, 8, tzinfo=UTC)
    node.take(SlotSettled(job="etl.sync", schedule="etl.sync@x", slot=slot, verdict="missed",
                            reason="older than max_catch_up", slots=40))  # fmt: skip
    node.take(SlotSettled(job="etl.sync", schedule="b", slot=slot, verdict="late", reason=""))
    await chat.wait("slot_missed etl.sync@x")
    assert chat.sent[0].text == (
        "etl.sync@x missed 40 slots up to 2026-03-01 08:00:00 UTC: older than max_catch_up. "
        "Nothing ran for it."
    )


async def test_a_new_leader_is_told_to_those_who_want_to_know(world: World) -> None:
    chat = Recorder()
    node = await world.node(chat, routes={"all": {"severity": "info"}})
    node.take(LeaderChanged(node="n", term=3, leading=True, reason="lock granted"))
    await chat.wait("leader_changed 3")
    assert chat.sent[0].title == "blue-1 leads"


async def test_what_does_not_arrive_is_tried_again_and_then_given_up(world: World) -> None:
    chat = Recorder(OSError("no route"), SystemExit(3))
    node = await world.node(chat)
    node.take(await world.failed_run())
    await chat.wait("run_failed etl.sync")
    assert chat.tries == 3
    chat.faults = [OSError("secret=hunter2")] * 9
    node.take(await world.failed_run("etl.other"))
    for _ in range(6):
        await chat.signals.wait("try")
    await node.finish()
    assert await world.rows("state, attempts, error") == [
        ("sent", 3, None),
        ("failed", 3, "secret=***"),
    ]


async def test_what_is_refused_is_not_tried_again(world: World) -> None:
    chat = Recorder(DeliveryRefusedError("no such channel"))
    node = await world.node(chat)
    node.take(await world.failed_run())
    await chat.signals.wait("try")
    await node.finish()
    assert await world.rows("state, attempts, error") == [("failed", 1, "no such channel")]


async def test_a_message_whose_node_died_on_the_way_is_sent_by_another(world: World) -> None:
    draft_of = {"chat": None}
    await notifications.raise_(
        context(world.db), _draft("run_failed etl.sync"), draft_of, timedelta(hours=4)
    )
    (taken,) = await notifications.claim(context(world.db), ["chat"], timedelta(milliseconds=1), 9)
    chat = Recorder()
    await world.node(chat)
    await chat.wait("run_failed etl.sync")
    await notifications.done(context(world.db), taken, "too late")  # the dead one comes back
    assert [n.id for n in chat.sent] == [taken.notification.id]


async def test_a_message_that_is_over_waits_for_the_one_that_it_ends(world: World) -> None:
    node = context(world.db)
    await notifications.raise_(node, _draft("k"), {"chat": None}, timedelta(hours=4))
    (first,) = await notifications.claim(node, ["chat"], timedelta(minutes=1), 9)
    await notifications.resolve(node, _draft("k"), lambda _: {"chat": None})
    assert await notifications.claim(node, ["chat"], timedelta(minutes=1), 9) == []
    await notifications.done(node, first)
    (last,) = await notifications.claim(node, ["chat"], timedelta(minutes=1), 9)
    assert last.notification.resolved


async def test_what_is_over_before_the_quiet_hours_are_is_not_told_at_all(world: World) -> None:
    chat = Recorder()
    later = datetime.now(UTC) + timedelta(hours=2)
    await notifications.raise_(context(world.db), _draft("k"), {"chat": later}, timedelta(hours=4))
    await notifications.resolve(context(world.db), _draft("k"), lambda _: {"chat": None})
    assert await world.rows() == [("k", "chat", "dropped", False)]
    node = await world.node(chat)
    await node.finish()
    assert chat.sent == []


async def test_what_waits_is_told_when_a_node_leaves(world: World) -> None:
    chat = Recorder()
    event = await world.failed_run()
    async with telling(world.db.dsn, chat, looks=False) as node:
        node.take(event)
    assert chat.told == [("run_failed etl.sync", False)]


async def test_the_record_is_forgotten_after_a_while(world: World) -> None:
    await notifications.raise_(context(world.db), _draft("k"), {"chat": None}, timedelta(hours=4))
    assert len(await world.rows()) == 1
    await run_sql(world.db, "UPDATE sereno_notify.notification SET state = 'sent'")
    await notifications.prune(context(world.db), timedelta(days=1))
    assert len(await world.rows()) == 1
    await run_sql(
        world.db, "UPDATE sereno_notify.notification SET raised_at = now() - interval '2 days'"
    )
    assert not await notifications.prune(context(world.db), timedelta(days=1))
    assert await world.rows() == []


async def test_what_waits_for_a_notifier_that_is_gone_is_forgotten_too_batch_by_batch(
    world: World,
) -> None:
    for key in ("a", "b", "c"):
        await notifications.raise_(
            context(world.db), _draft(key), {"gone": None}, timedelta(hours=4)
        )
    later = "UPDATE sereno_notify.notification SET raised_at = now() - interval '2 days'"
    await run_sql(world.db, later)  # what is to be told in quiet hours only, waits rightly
    assert not await notifications.prune(context(world.db), timedelta(days=1), 2)
    assert len(await world.rows()) == 3
    await run_sql(world.db, f"{later}, due_at = now() - interval '2 days'")
    assert await notifications.prune(context(world.db), timedelta(days=1), 2)
    assert len(await world.rows()) == 1
    assert not await notifications.prune(context(world.db), timedelta(days=1), 2)
    assert await world.rows() == []


def _draft(key: str) -> notifications.Draft:
    return notifications.Draft(
        key=key, kind="run_failed", severity="warning", title="t", text="t",
        at=datetime(2026, 3, 1, tzinfo=UTC), job="etl.sync", facts={},
    )  # fmt: skip
