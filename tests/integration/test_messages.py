"""What jobs have to say to people: kept once with their run, carried, or known to be unheard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from sereno import (
    Attachment,
    DeclarationError,
    DeliveryError,
    Message,
    Notification,
    Notifier,
    RunContext,
    RunError,
    job,
    retry,
)
from sereno.engine.run_messages import MAX_MESSAGES, keyed_message
from sereno.engine.status import Status
from sereno.model.message import MAX_BYTES
from sereno.model.run import SaidMessage
from sereno.notify.herald import Herald
from sereno.notify.tally import Tally
from sereno.observe.job_watch import JobWatch
from sereno.settings import NotifySettings, RouteSettings
from sereno.store import messages, notifications
from sereno.store.pool import Database
from sereno.testing import run_context

from .metrics_scene import opened as database_of
from .node import Eye, running
from .run_scene import claimed, outcome, write
from .scene import NODE, OTHER, Scene
from .scene import opened as scene_of
from .test_notify import QUICK, Recorder

Run = RunContext[dict[str, Any]]

FILE = Attachment(name="día.csv", media_type="text/csv", data=b"a;b\n\x00\xff")
REPORT = Message("Calls of today", "12 calls", html="<b>12</b>", attachments=(FILE,))
KEPT = "SELECT job, severity, message ->> 'title' FROM sereno.message ORDER BY id"


def tells_in_a_process(run: Run) -> None:
    """Tell from a process of its own."""
    run.notify(REPORT)


class Post(Recorder):
    name = "post"
    takes_addresses = True


@asynccontextmanager
async def telling(
    db: Database, *notifiers: Notifier, tally: Tally | None = None, **settings: Any
) -> AsyncIterator[Herald]:
    """Give what tells, on a node that leads."""
    herald = Herald(
        db,
        JobWatch(db),
        Status(node=uuid4(), label="blue-1", version="0", leading=True),
        NotifySettings(**{"retry": QUICK, **settings}),
        {n.name: n for n in notifiers},
        {},
        now=lambda: datetime.now(UTC),
        publish=lambda event: None,
        tally=tally,
        every=0.05,
        patience=0.0,
    )
    async with herald.at_work():
        yield herald


async def test_what_jobs_say_is_kept_whole_in_any_executor(database: str, eye: Eye) -> None:
    async def in_loop(run: Run) -> None:
        run.notify(REPORT)

    def in_thread(run: Run) -> None:
        run.notify(REPORT)

    jobs = [
        job("t.loop")(in_loop),
        job("t.thread")(in_thread),
        job("t.process", executor="process")(tells_in_a_process),
    ]
    async with running(database, *jobs):
        for one in jobs:
            row = await eye.ran(one.name)
            assert row["state"] == "succeeded", row["error"]
    assert await eye.rows(KEPT) == [(j.name, "info", "Calls of today") for j in jobs]
    files = await eye.rows("SELECT name, media_type, data FROM sereno.message_attachment")
    assert files == [(FILE.name, FILE.media_type, FILE.data)] * 3


async def test_a_message_is_durable_once_flushed_and_each_attempt_says_its_own(
    database: str, eye: Eye
) -> None:
    @job("t.tells", retry=retry(attempts=2, delay="10ms"))
    async def tells(run: Run) -> None:
        run.notify(Message(f"attempt {run.attempt}"))
        run.notify(Message("the same"), key="of the day")
        await run.flush()
        async with run.database() as connection:
            told = await connection.fetchval("SELECT count(*) FROM sereno.message")
        assert told == run.attempt + 1
        if run.attempt == 1:
            raise ValueError("once more")

    async with running(database, tells):
        row = await eye.ran("t.tells")
        assert row["state"] == "succeeded", row["error"]
    said = [title for _, _, title in await eye.rows(KEPT)]
    assert said == ["attempt 1", "the same", "attempt 2"]


async def test_with_a_key_a_job_tells_once_and_another_job_by_itself(
    database: str, eye: Eye
) -> None:
    def telling_job(name: str) -> Any:
        @job(name)
        async def tells(run: Run) -> None:
            run.notify(Message("done"), key="2026-03-01")

        return tells

    async with running(database, telling_job("t.one"), telling_job("t.two")):
        for name in ("t.one", "t.one", "t.two"):
            await eye.ran(name)
    assert [name for name, _, _ in await eye.rows(KEPT)] == ["t.one", "t.two"]


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("text", "is no Message"),
        (Message(""), "title must be one line"),
        (Message("a\nBcc: all@example.org"), "title must be one line"),
        (Message("t", "\0"), "which PostgreSQL cannot keep"),
        (Message("t", "\ud800"), "which PostgreSQL cannot keep"),
        (Message("t", 5), "Expected `str`, got `int`"),  # type: ignore[arg-type]
        (Message("t", severity="bad"), "Invalid enum value 'bad'"),  # type: ignore[arg-type]
        (Message("t", to=("a@example.org\r\nBcc: b",)), "is no address"),
        (Message("t", to="ana@example.org"), "Expected `array`"),  # type: ignore[arg-type]
        (Message("t", attachments=(Attachment(name="", media_type="a/b", data=b""),)), "a name"),
        (Message("t", attachments=(Attachment(name="a", media_type="b", data=b""),)), "a type"),
        (
            Message(
                "t",
                attachments=(
                    Attachment(name="a", media_type="a/b", data=bytes(MAX_BYTES // 2)),
                    Attachment(name="b", media_type="a/b", data=bytes(MAX_BYTES // 2 + 1)),
                ),
            ),
            "the limit is 10000000",
        ),
        (Message("t", attachments=(FILE,) * 101), "100 attachments"),
    ],
)
def test_what_cannot_be_kept_is_refused_where_it_is_said(message: Any, sentence: str) -> None:
    run = run_context("t.tells")
    with pytest.raises(DeclarationError, match=sentence):
        run.notify(message)
    assert run.reporter.messages == []


def test_a_test_reads_back_what_a_job_has_told_and_what_it_is_known_by() -> None:
    run = run_context("t.tells")
    assert UUID(run.notify(REPORT, key="1")) == keyed_message("t.tells", REPORT, "1").token
    assert run.reporter.messages == [REPORT]


async def test_a_job_that_tells_for_ever_fails_at_a_bound(database: str, eye: Eye) -> None:
    @job("t.tells")
    async def tells(run: Run) -> None:
        for n in range(MAX_MESSAGES + 1):
            run.notify(Message(f"row {n}"))

    async with running(database, tells):
        row = await eye.ran("t.tells")
    assert row["state"] == "failed"
    assert row["error"].startswith(f"{RunError.__name__}: it has sent 100 messages")
    assert len(await eye.rows(KEPT)) == MAX_MESSAGES


# --- kept with the run --------------------------------------------------------------------------


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with scene_of(database) as found:
        await found.declare("a")
        yield found


def said(title: str, to: tuple[str, ...] = ()) -> SaidMessage:
    return SaidMessage(uuid4(), Message(title, to=to))


async def test_what_is_written_again_is_kept_once_and_who_lost_the_run_says_nothing(
    scene: Scene,
) -> None:
    claim = await claimed(scene)
    one, other = said("one"), said("other")
    facts = (claim.run_id, claim.attempt, claim.token)
    for _ in range(2):
        await messages.write_messages(scene.db, NODE, [(*facts, [one])])
    await messages.write_messages(scene.db, OTHER, [(*facts, [other])])
    wrong = (claim.run_id, claim.attempt, UUID(int=1))
    await messages.write_messages(scene.db, NODE, [(*wrong, [other])])
    ended = outcome(claim, messages=(one, said("last")))
    for _ in range(2):
        await write(scene, ended)
    await write(scene, outcome(claim, messages=(other,)), node=OTHER)
    kept = await scene.rows("SELECT message ->> 'title' FROM sereno.message ORDER BY id")
    assert kept == [("one",), ("last",)]


# --- carried ------------------------------------------------------------------------------------


async def keep(db: Database, *said_messages: SaidMessage, job: str = "t.tells") -> None:
    async with db.transaction() as connection:
        run_id = await connection.fetchval(
            "INSERT INTO sereno.run (job, cause, state, finished_at)"
            " VALUES ($1, 'program', 'succeeded', now()) RETURNING id",
            job,
        )
        await messages.keep_messages(connection, None, [(run_id, 1, uuid4(), said_messages)])


async def states(db: Database) -> list[tuple[Any, ...]]:
    async with db.connection() as connection:
        query = "SELECT notifier, state, attempts FROM sereno.notification ORDER BY notifier"
        return [tuple(r) for r in await connection.fetch(query)]


async def test_a_message_arrives_whole_once_over_all_nodes(database: str) -> None:
    chat, again = Recorder(), Recorder()
    async with database_of(database) as db:
        token = uuid4()
        await keep(db, SaidMessage(token, REPORT))
        async with telling(db, chat), telling(db, again):
            first = asyncio.ensure_future(chat.signals.wait("sent"))
            second = asyncio.ensure_future(again.signals.wait("sent"))
            await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
            for waiting in (first, second):
                waiting.cancel()
        (sent,) = [*chat.sent, *again.sent]
        assert await states(db) == [("chat", "sent", 1)]
    assert isinstance(sent, Notification)
    assert (sent.title, sent.text, sent.html) == (REPORT.title, REPORT.text, REPORT.html)
    assert sent.attachments == (FILE,)
    assert (sent.kind, sent.job, sent.message_id) == ("message", "t.tells", str(token))
    assert sent.at.tzinfo is not None
    assert set(sent.facts) == {"run"}


async def test_every_try_bears_one_message_id(database: str) -> None:
    class Fickle(Recorder):
        ids: list[str] = []  # noqa: RUF012 - one test's own

        async def send(self, notification: Notification) -> None:
            self.ids.append(notification.message_id)
            await super().send(notification)

    chat = Fickle(DeliveryError("busy"), OSError("away"))
    async with database_of(database) as db:
        await keep(db, said("report"))
        async with telling(db, chat):
            await chat.signals.wait("sent")
    assert len(chat.ids) == 3
    assert len(set(chat.ids)) == 1


async def test_what_has_addresses_is_carried_by_those_alone_that_take_them(database: str) -> None:
    chat, post = Recorder(), Post()
    async with database_of(database) as db:
        await keep(db, said("to ana", ("ana@example.org",)), said("to all"))
        async with telling(db, chat, post):
            for _ in range(2):
                await post.signals.wait("sent")
            await chat.signals.wait("sent")
    assert [n.title for n in chat.sent] == ["to all"]
    assert {(n.title, n.to) for n in post.sent} == {
        ("to ana", ("ana@example.org",)),
        ("to all", ()),
    }


async def test_routes_say_who_hears_what_jobs_say(database: str) -> None:
    chat, post = Recorder(), Post()
    routes = {
        "reports": RouteSettings(to=("post",), severity="info", kinds=("message",)),
        "trouble": RouteSettings(to=("chat",)),
    }
    async with database_of(database) as db:
        urgent = SaidMessage(uuid4(), Message("urgent", severity="critical"))
        await keep(db, said("report"), urgent)
        async with telling(db, chat, post, routes=routes):
            for _ in range(2):
                await post.signals.wait("sent")
            await chat.signals.wait("sent")
    assert [n.title for n in chat.sent] == ["urgent"]
    assert {n.title for n in post.sent} == {"report", "urgent"}


async def test_what_nobody_carries_is_kept_counted_and_said(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    tally = Tally([])
    async with database_of(database) as db:
        await keep(db, said("one"), said("two"))
        async with telling(db, tally=tally):
            pass  # at its end it routes what is left
        found = await messages.unheard(db)
        assert await states(db) == []
    assert found.messages == 2
    assert found.newest is not None
    assert {(to, fate): n for to, fate, n in tally} == {("nobody", "kept"): 2}
    assert "nobody carries a message of a job, it is kept" in caplog.messages


# --- at least once, at most once ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("delivery", "fault", "became"),
    [
        ("at_least_once", TimeoutError("?"), ("chat", "sent", 2)),
        ("at_least_once", OSError("?"), ("chat", "sent", 2)),
        ("at_most_once", DeliveryError("busy"), ("chat", "sent", 2)),
        ("at_most_once", TimeoutError("?"), ("chat", "unknown", 1)),
        ("at_most_once", OSError("?"), ("chat", "unknown", 1)),
    ],
)
async def test_what_may_have_arrived_is_told_again_or_left_unknown_as_it_is_set(
    database: str, delivery: str, fault: Exception, became: tuple[str, str, int]
) -> None:
    chat = Recorder(fault)
    async with database_of(database) as db:
        await keep(db, said("report"))
        async with telling(db, chat, delivery=delivery):
            for _ in range(became[2]):
                await chat.signals.wait("try")
        assert await states(db) == [became]


async def test_at_most_once_a_message_whose_node_died_on_the_way_stays_unknown(
    database: str,
) -> None:
    chat = Recorder()
    async with database_of(database) as db:
        await keep(db, said("report"))
        await messages.route(db, NODE, 10, lambda _: {"chat": None})
        taken = await notifications.claim(
            db, NODE, ["chat"], timedelta(0), 10, once=True
        )  # and is never heard of again
        assert [p.attempt for p in taken] == [1]
        async with telling(db, chat, delivery="at_most_once"):
            pass
        assert await states(db) == [("chat", "unknown", 1)]
    assert chat.tries == 0


# --- beside the version before ------------------------------------------------------------------

CLAIM_OF_BEFORE = """
    SELECT id FROM sereno.notification n
     WHERE n.state = 'waiting' AND n.due_at <= clock_timestamp() AND n.notifier = ANY($1::text[])
"""


async def test_a_replica_of_the_version_before_takes_no_message_of_a_job(database: str) -> None:
    async with database_of(database) as db:
        await keep(db, said("report"))
        await messages.route(db, NODE, 10, lambda _: {"chat": None})
        async with db.connection() as connection:
            assert await connection.fetch(CLAIM_OF_BEFORE, ["chat"]) == []


async def test_the_record_of_messages_is_forgotten_after_its_time(database: str) -> None:
    async with database_of(database) as db:
        await keep(db, SaidMessage(uuid4(), REPORT), said("nobody hears"))
        await messages.route(db, NODE, 1, lambda _: {"chat": None})
        async with db.connection() as connection:
            await connection.execute("UPDATE sereno.message SET said_at = now() - interval '40 d'")
            await connection.execute("UPDATE sereno.notification SET state = 'sent'")
        await messages.prune_messages(db, timedelta(days=30))
        async with db.connection() as connection:
            left = await connection.fetch("SELECT message ->> 'title' FROM sereno.message")
            assert [r[0] for r in left] == ["nobody hears"]  # it is not routed yet
            counted = "SELECT count(*) FROM sereno.message_attachment"
            assert await connection.fetchval(counted) == 0
