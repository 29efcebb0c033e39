"""What has not begun by its start_by ends unbegun, whatever it waits for, and says so."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from sereno import Client, RunContext, every, job, schedule
from sereno.engine.verification import verify
from sereno.model.errors import ParamsError
from sereno.store import runs
from sereno.store.pool import Database
from sereno.testing import Signals

from .node import Eye, running

Run = RunContext[dict[str, Any]]


class Place:
    """Holds the one place of a job until it is given free."""

    def __init__(self) -> None:
        self.said = Signals()
        self.free = asyncio.Event()

    async def work(self, run: Run) -> None:
        self.said.say("began", run_id=run.run_id)
        await self.free.wait()


async def registered(eye: Eye, jobs: int) -> None:
    """Wait until the leader has brought so many jobs to the database."""
    await eye.until("SELECT count(*) = $1::integer FROM sereno.job WHERE present", jobs)


async def begun_in_time(client: Client, eye: Eye, name: str) -> int:
    """Queue runs until one has begun by its start_by, as on a full machine one may not."""
    known = (
        "SELECT coalesce(attempt > 0 OR state = 'cancelled', false) FROM sereno.run WHERE id = $1"
    )
    while True:
        run_id = await client.enqueue(name)
        await eye.until(known, run_id)
        if await eye.value("SELECT attempt > 0 FROM sereno.run WHERE id = $1", run_id):
            return run_id


async def test_a_queued_run_that_finds_no_place_in_time_ends_unbegun(
    database: str, eye: Eye
) -> None:
    place = Place()
    mail = job("t.mail", max_running=1)(place.work)
    after = job("t.after", after=["t.mail"])(place.work)
    async with running(database, mail, after) as node, Client.open(database) as client:
        await registered(eye, 2)
        first = await client.enqueue("t.mail")
        await place.said.wait("began", run_id=first, limit=45)
        late = await client.enqueue("t.mail", start_by="200ms")
        waits = await client.enqueue("t.mail", start_by="1h")
        many = await client.enqueue_many("t.mail", [{}, {}], start_by="100ms")
        heard = await node.finished("t.mail", run_id=late)
        assert (heard["state"], heard["attempt"]) == ("cancelled", 0)
        assert heard["error"].startswith("it was to begin by ")
        for run_id in (late, *many):
            ended = await client.wait(run_id, timeout="45s")
            assert (ended.state, ended.attempt, ended.started_at) == ("cancelled", 0, None)
            assert ended.start_by is not None
        assert await eye.value("SELECT expired FROM sereno.job_stat WHERE job = 't.mail'") == 3
        place.free.set()
        assert (await client.wait(waits, timeout="45s")).state == "succeeded"
        await eye.until("SELECT count(*) = 2 FROM sereno.run WHERE job = 't.after'")


async def test_a_run_that_waited_while_nobody_led_ends_unbegun_once_somebody_does(
    database: str, eye: Eye
) -> None:
    place = Place()
    place.free.set()
    mail = job("t.mail", start_by="100ms", max_running=2)(place.work)
    async with running(database, mail):
        await registered(eye, 1)
    async with Client.open(database) as client:
        by_job = await client.enqueue("t.mail")
        by_call = await client.enqueue("t.mail", start_by="50ms")
        unhurried = await client.enqueue("t.mail", start_by="1h")
        await eye.until("SELECT count(*) = 2 FROM sereno.run WHERE start_by < clock_timestamp()")
        async with running(database, mail):
            assert (await client.wait(by_job, timeout="45s")).state == "cancelled"
            assert (await client.wait(by_call, timeout="45s")).state == "cancelled"
            assert (await client.wait(unhurried, timeout="45s")).state == "succeeded"


async def test_a_retry_may_begin_after_it(database: str, eye: Eye) -> None:
    tries = []

    async def fail_once(run: Run) -> None:
        tries.append(run.attempt)
        if run.attempt == 1:
            raise OSError("away")

    again = {"attempts": 2, "delay": "300ms", "jitter": 0}
    mail = job("t.mail", start_by="250ms", retry=again)(fail_once)
    async with running(database, mail), Client.open(database) as client:
        await registered(eye, 1)
        run_id = await begun_in_time(client, eye, "t.mail")
        assert (await client.wait(run_id, timeout="45s")).state == "succeeded"
        assert tries == [1, 2]


async def test_a_retry_that_waits_beyond_it_is_not_asked_for_again_and_again(
    database: str, eye: Eye, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    expire = runs.expire

    async def expiring(db: Database, term: int, which: Any) -> Any:
        asked.extend(which)
        return await expire(db, term, which)

    monkeypatch.setattr(runs, "expire", expiring)

    async def fail(run: Run) -> None:
        raise OSError("away")

    again = {"attempts": 2, "delay": "1h", "jitter": 0}
    when = schedule(every("1h", anchor="2026-01-01T00:00:00Z"), start_by="300ms")
    slow = job("t.slow", schedule=when, start_by="300ms", retry=again)(fail)
    async with running(database, slow), Client.open(database) as client:
        await registered(eye, 1)
        run_id = await begun_in_time(client, eye, "t.slow")
        waits = "SELECT state = 'queued' AND attempt = 1 AND clock_timestamp() > start_by"
        later = f"{waits} + interval '1 s' FROM sereno.run WHERE id = $1"
        await eye.until(later, run_id)
        assert (await client.run(run_id)).state == "queued"
    assert run_id not in asked


async def test_a_slot_that_waits_beyond_it_is_missed_and_the_ledger_holds(
    database: str, eye: Eye
) -> None:
    place = Place()
    when = schedule(every("200ms"), overlap="queue", start_by="300ms")
    tick = job("t.tick", schedule=when)(place.work)
    async with running(database, tick) as node:
        await place.said.wait("began", limit=45)
        heard = await node.heard.wait("SlotSettled", verdict="missed", limit=45)
        assert heard["reason"] == "later than its start_by"
        await eye.until("SELECT count(*) >= 3 FROM sereno.slot WHERE verdict = 'missed'")
        place.free.set()
        # The instant of its claim, which decides: its function may be called a moment later.
        late = (
            "SELECT count(*) FROM sereno.run r JOIN sereno.slot s ON s.run_id = r.id"
            " WHERE r.attempt > 0 AND s.decided_at > r.start_by"
        )
        await eye.until("SELECT count(*) >= 3 FROM sereno.run WHERE state = 'succeeded'")
        assert await eye.value(late) == 0
        account = await verify(node.kernel.db, timedelta(days=1))
        assert account.holds, account.faults


async def test_a_chained_run_has_as_long_as_its_job_says(database: str, eye: Eye) -> None:
    place = Place()
    first = job("t.first")(place.work)
    then = job("t.then", after=["t.first"], max_running=1, start_by="200ms")(place.work)
    both = job("t.both", after=["t.first", "t.then"], start_by="1h")(place.work)
    async with running(database, first, then, both), Client.open(database) as client:
        await registered(eye, 3)
        holder = await client.enqueue("t.then", start_by="1h")
        await place.said.wait("began", run_id=holder, limit=45)
        run_id = await client.enqueue("t.first")
        await place.said.wait("began", run_id=run_id, limit=45)
        span = "SELECT start_by - run_at FROM sereno.run WHERE job = $1 AND cause = 'chain'"
        place.free.set()
        await client.wait(run_id, timeout="45s")
        await eye.until("SELECT count(*) = 1 FROM sereno.run WHERE job = 't.both'")
        assert abs(await eye.value(span, "t.then") - timedelta(seconds=0.2)) < timedelta(seconds=1)
        assert abs(await eye.value(span, "t.both") - timedelta(hours=1)) < timedelta(seconds=1)


@pytest.mark.parametrize("start_by", ["0 s", "-5 s", "1 day -48 hours", "30000 years"])
async def test_what_is_no_start_by_is_refused_with_a_sentence(
    database: str, eye: Eye, start_by: str
) -> None:
    async with running(database, job("t.mail")(Place().work)):
        await registered(eye, 1)
    for call in ("enqueue('t.mail', ", "enqueue_many('t.mail', '{}', "):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await eye.value(f"SELECT sereno.{call}start_by => $1::text::interval)", start_by)
        assert str(caught.value).startswith("job 't.mail': start_by is ")
        assert "it must be longer than nothing" in str(caught.value)


@pytest.mark.parametrize(
    ("said", "span"),
    [("'10 minutes'", "10 minutes"), ("'PT0.5S'", "0.5 seconds"), ("NULL", "7 hours")],
)
async def test_sql_says_it_as_an_interval_or_leaves_it_to_the_job(
    database: str, eye: Eye, said: str, span: str
) -> None:
    async with running(database, job("t.mail", start_by="7h")(Place().work)):
        await registered(eye, 1)
    wanted = await eye.value("SELECT $1::text::interval", span)
    held = "SELECT start_by - run_at FROM sereno.run WHERE id = $1"
    run_id = await eye.value(f"SELECT sereno.enqueue('t.mail', start_by => {said})")
    assert await eye.value(held, run_id) == wanted
    run_id = await eye.value(
        f"SELECT sereno.enqueue_many('t.mail', '{{\"{{}}\"}}', start_by => {said})"
    )
    assert await eye.value(held, run_id) == wanted


@pytest.mark.parametrize("start_by", [0, -1, "soon", float("nan"), "", timedelta(0), "0s"])
async def test_a_client_is_told_what_is_no_start_by(database: str, start_by: Any) -> None:
    async with Client.open(database) as client:
        with pytest.raises(ParamsError, match="start_by is ") as caught:
            await client.enqueue("t.mail", start_by=start_by)
        assert "timedelta" not in str(caught.value)


async def test_one_beyond_every_instant_is_the_last_instant(database: str, eye: Eye) -> None:
    async with running(database, job("t.mail", max_running=1)(Place().work)):
        await registered(eye, 1)
    async with Client.open(database) as client:
        run_id = await client.enqueue("t.mail", start_by=timedelta.max)
        found = await client.run(run_id)
        assert found.start_by is not None
        assert found.start_by.year == 9999
