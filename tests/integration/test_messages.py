"""What jobs have to say to people: kept once with their run, carried, or known to be unheard."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from sereno import (
    Attachment,
    Carrier,
    CarrierContext,
    DeclarationError,
    Message,
    RunContext,
    RunError,
    Sight,
    job,
    retry,
)
from sereno.engine.run_messages import MAX_MESSAGES, keyed_message
from sereno.model.message import MAX_BYTES
from sereno.model.message_counts import MessageCounts
from sereno.model.run import SaidMessage
from sereno.store import messages
from sereno.testing import run_context

from .carrying_scene import carrying_on
from .node import Eye, running
from .run_scene import claimed, outcome, write
from .scene import NODE, OTHER, Scene
from .scene import opened as scene_of

Run = RunContext[dict[str, Any]]

FILE = Attachment(name="día.csv", media_type="text/csv", data=b"a;b\n\x00\xff")
REPORT = Message("Calls of today", "12 calls", html="<b>12</b>", attachments=(FILE,))
KEPT = "SELECT job, severity, message ->> 'title' FROM sereno.message ORDER BY id"


def tells_in_a_process(run: Run) -> None:
    """Tell from a process of its own."""
    run.notify(REPORT)


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


# --- without a plugin that carries ---------------------------------------------------------------


async def test_what_nobody_carries_is_kept_counted_and_said(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    counts = MessageCounts([])
    claim = await claimed(scene)
    await write(scene, outcome(claim, messages=(said("one"), said("two"))))
    async with carrying_on(scene.db.dsn, counts) as (_, carried):
        await carried.finish()
        await carried.finish()
    found = await messages.unheard(scene.db)
    assert found.messages == 2
    assert found.newest is not None
    assert {(to, fate): n for to, fate, n in counts} == {("nobody", "kept"): 2}
    assert caplog.messages.count("nobody carries a message of a job, it is kept") == 2


async def test_what_nobody_carries_is_forgotten_after_its_time(scene: Scene) -> None:
    claim = await claimed(scene)
    await write(scene, outcome(claim, messages=(said("old"), said("not kept yet"))))
    await scene.rows(
        "UPDATE sereno.message SET said_at = now() - interval '40 d', routed_at ="
        " CASE message ->> 'title' WHEN 'old' THEN now() END RETURNING id"
    )
    assert not await messages.prune_messages(scene.db, timedelta(days=30))
    left = await scene.rows("SELECT message ->> 'title' FROM sereno.message")
    assert left == [("not kept yet",)]


async def test_a_carrier_that_fails_is_left_out_and_what_jobs_say_is_kept(scene: Scene) -> None:
    class Bad(Carrier):
        def at_work(self, context: CarrierContext) -> Any:
            raise SystemExit(3)

        async def observe(self, sight: Sight) -> None: ...

        async def finish(self) -> None: ...

    claim = await claimed(scene)
    await write(scene, outcome(claim, messages=(said("one"),)))
    counts = MessageCounts([])
    async with carrying_on(scene.db.dsn, counts, bad=Bad()) as (_, carried):
        assert carried.carriers == {}
        await carried.finish()
    assert {(to, fate): n for to, fate, n in counts} == {("nobody", "kept"): 1}
