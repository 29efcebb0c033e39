"""What jobs have to say to people is carried once, whole, to those who are to hear it."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from sereno import Attachment, DeliveryError, Message, Notification
from sereno.model.message_counts import MessageCounts
from sereno.model.run import SaidMessage
from sereno.store import messages
from sereno.store.pool import Database
from sereno_notify import notifications, outbox

from ...integration.metrics_scene import opened as database_of
from .scene import Post, Recorder, context, made, telling

FILE = Attachment(name="día.csv", media_type="text/csv", data=b"a;b\n\x00\xff")
REPORT = Message("Calls of today", "12 calls", html="<b>12</b>", attachments=(FILE,))


def said(title: str, to: tuple[str, ...] = ()) -> SaidMessage:
    return SaidMessage(uuid4(), Message(title, to=to))


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
        query = "SELECT notifier, state, attempts FROM sereno_notify.notification ORDER BY notifier"
        return [tuple(r) for r in await connection.fetch(query)]


async def test_a_message_arrives_whole_once_over_all_nodes(database: str) -> None:
    chat, again = Recorder(), Recorder()
    await made(database)
    async with database_of(database) as db:
        token = uuid4()
        await keep(db, SaidMessage(token, REPORT))
        async with telling(database, chat), telling(database, again):
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
    await made(database)
    async with database_of(database) as db:
        await keep(db, said("report"))
        async with telling(database, chat):
            await chat.signals.wait("sent")
    assert len(chat.ids) == 3
    assert len(set(chat.ids)) == 1


async def test_what_has_addresses_is_carried_by_those_alone_that_take_them(database: str) -> None:
    chat, post = Recorder(), Post()
    await made(database)
    async with database_of(database) as db:
        await keep(db, said("to ana", ("ana@example.org",)), said("to all"))
        async with telling(database, chat, post):
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
        "reports": {"to": ["post"], "severity": "info", "kinds": ["message"]},
        "trouble": {"to": ["chat"]},
    }
    await made(database)
    async with database_of(database) as db:
        urgent = SaidMessage(uuid4(), Message("urgent", severity="critical"))
        await keep(db, said("report"), urgent)
        async with telling(database, chat, post, routes=routes):
            for _ in range(2):
                await post.signals.wait("sent")
            await chat.signals.wait("sent")
    assert [n.title for n in chat.sent] == ["urgent"]
    assert {n.title for n in post.sent} == {"report", "urgent"}


async def test_what_nobody_carries_is_kept_counted_and_said(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    counts = MessageCounts([])
    await made(database)
    async with database_of(database) as db:
        await keep(db, said("one"), said("two"))
        async with telling(database, counts=counts, looks=False):
            pass  # at its end it routes what is left
        found = await messages.unheard(db)
        assert await states(db) == []
    assert found.messages == 2
    assert found.newest is not None
    assert {(to, fate): n for to, fate, n in counts} == {("nobody", "kept"): 2}
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
    await made(database)
    async with database_of(database) as db:
        await keep(db, said("report"))
        async with telling(database, chat, delivery=delivery):
            for _ in range(became[2]):
                await chat.signals.wait("try")
        assert await states(db) == [became]


async def test_at_most_once_a_message_whose_node_died_on_the_way_stays_unknown(
    database: str,
) -> None:
    chat = Recorder()
    await made(database)
    async with database_of(database) as db:
        await keep(db, said("report"))
        await outbox.route(context(db), 10, lambda _: {"chat": None})
        taken = await notifications.claim(
            context(db), ["chat"], timedelta(0), 10, once=True
        )  # and is never heard of again
        assert [p.attempt for p in taken] == [1]
        async with telling(database, chat, delivery="at_most_once"):
            pass
        assert await states(db) == [("chat", "unknown", 1)]
    assert chat.tries == 0


# --- beside the version before ------------------------------------------------------------------

CLAIM_OF_BEFORE = """
    SELECT id FROM sereno_notify.notification n
     WHERE n.state = 'waiting' AND n.due_at <= clock_timestamp() AND n.notifier = ANY($1::text[])
"""


async def test_a_replica_of_the_version_before_takes_no_message_of_a_job(database: str) -> None:
    await made(database)
    async with database_of(database) as db:
        await keep(db, said("report"))
        await outbox.route(context(db), 10, lambda _: {"chat": None})
        async with db.connection() as connection:
            assert await connection.fetch(CLAIM_OF_BEFORE, ["chat"]) == []


async def test_the_record_of_messages_is_forgotten_after_its_time(database: str) -> None:
    await made(database)
    async with database_of(database) as db:
        await keep(db, SaidMessage(uuid4(), REPORT), said("nobody hears"))
        await outbox.route(context(db), 1, lambda _: {"chat": None})
        async with db.connection() as connection:
            await connection.execute("UPDATE sereno.message SET said_at = now() - interval '40 d'")
            await connection.execute("UPDATE sereno_notify.notification SET state = 'sent'")
        await outbox.prune_messages(context(db), timedelta(days=30))
        async with db.connection() as connection:
            left = await connection.fetch("SELECT message ->> 'title' FROM sereno.message")
            assert [r[0] for r in left] == ["nobody hears"]  # it is not routed yet
            counted = "SELECT count(*) FROM sereno.message_attachment"
            assert await connection.fetchval(counted) == 0
