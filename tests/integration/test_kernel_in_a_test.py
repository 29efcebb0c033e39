"""What `sereno.testing.Kernel` promises to who tests jobs, plugins and applications."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from sereno import (
    ConfigurationError,
    Message,
    Notification,
    Notifier,
    RunContext,
    cron,
    every,
    hookimpl,
    job,
    retry,
)
from sereno.model.errors import PluginError
from sereno.testing import Databases, Kernel, enqueued
from sereno_notify import plugin as notify_plugin

from .scene import connected

pytestmark = pytest.mark.every_loop

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.timeout(240)  # 288 instants, each a dozen statements: a busy machine takes its time
async def test_every_slot_of_a_day_is_fired_in_order_and_its_run_is_awaited(
    sereno_database: str,
) -> None:
    seen: list[tuple[str, datetime | None, datetime]] = []

    @job("shop.sync", schedule=every("15m"))
    async def sync(run: RunContext) -> None:
        seen.append(("sync", run.slot, run.clock()))

    @job("shop.report", schedule=cron("0 8 * * *"), executor="thread")
    def report(run: RunContext) -> str:
        seen.append(("report", run.slot, run.clock()))
        return "sent"

    async with Kernel(sync, report, database=sereno_database) as kernel:
        ended = await kernel.advance("1d")
        account = await kernel.client.verify("1d")
    slots = [slot for name, slot, _ in seen if name == "sync"]
    assert slots == [START + n * timedelta(minutes=15) for n in range(1, 97)]
    assert [slot for name, slot, _ in seen if name == "report"] == [START + timedelta(hours=8)]
    assert all(slot == now for _, slot, now in seen)
    assert [e.slot for e in ended] == [slot for _, slot, _ in seen]
    assert {e.state for e in ended} == {"succeeded"}
    assert account.holds


async def test_retries_and_chains_are_run_when_they_are_due(sereno_database: str) -> None:
    told: list[tuple[str, int, datetime, Any]] = []

    @job("shop.order", retry=retry(attempts=3, delay="10m"))
    async def order(run: RunContext) -> int:
        told.append((run.job, run.attempt, run.clock(), run.saved))
        if run.attempt < 3:
            run.checkpoint(run.attempt)
            raise TimeoutError("the shop does not answer")
        return 7

    @job("shop.mail", after="shop.order")
    async def mail(run: RunContext) -> None:
        told.append((run.job, run.attempt, run.clock(), run.upstream["shop.order"]))

    async with Kernel(order, mail, database=sereno_database) as kernel:
        await kernel.client.enqueue("shop.order")
        assert [e.state for e in await kernel.drain()] == ["queued"]
        assert await kernel.drain() == []
        ended = await kernel.advance("1h")
    ten = timedelta(minutes=10)
    assert [(e.job, e.state) for e in ended] == [
        ("shop.order", "queued"), ("shop.order", "succeeded"), ("shop.mail", "succeeded"),
    ]  # fmt: skip
    assert told == [
        ("shop.order", 1, START, None),
        ("shop.order", 2, START + ten, 1),
        ("shop.order", 3, START + 3 * ten, 2),
        ("shop.mail", 1, START + 3 * ten, 7),
    ]


async def test_what_an_application_commits_is_run_and_what_it_rolls_back_is_not(
    sereno_database: str,
) -> None:
    mailed: list[str] = []

    @job("shop.mail")
    async def mail(run: RunContext) -> None:
        mailed.append(run.params["to"])

    async with (
        connected(sereno_database) as application,
        Kernel(mail, database=sereno_database) as kernel,
    ):
        for name, commit in (("ann", True), ("bob", False)):
            transaction = application.transaction()
            await transaction.start()
            await application.execute("INSERT INTO orders VALUES (1)")
            await application.execute(
                "SELECT sereno.enqueue('shop.mail', jsonb_build_object('to', $1::text))", name
            )
            await (transaction.commit() if commit else transaction.rollback())
            await application.execute("DELETE FROM orders")
        assert [one.params for one in await enqueued(application)] == [{"to": "ann"}]
        await application.execute(
            "SELECT sereno.enqueue('shop.mail', '{\"to\": \"eve\"}',"
            " run_at => clock_timestamp() + interval '2 days')"
        )
        await kernel.drain()
        assert mailed == ["ann"]
        await kernel.advance("1d")
        assert mailed == ["ann"]
        (late,) = await kernel.advance("1d")
    assert mailed == ["ann", "eve"]
    assert late.state == "succeeded"


async def test_a_run_that_enqueues_waits_and_reads_is_answered(sereno_database: str) -> None:
    @job("shop.part")
    async def part(run: RunContext) -> int:
        return int(run.params["n"]) * 2

    @job("shop.whole")
    async def whole(run: RunContext) -> Any:
        done = await run.client.wait(await run.enqueue("shop.part", {"n": 21}))
        async with run.database() as connection:
            await run.fence(connection)
            return [done.result, await connection.fetchval("SELECT count(*) FROM orders")]

    async with Kernel(part, whole, database=sereno_database) as kernel:
        asked = await kernel.client.enqueue("shop.whole")
        ended = await kernel.drain()
        found = await kernel.client.run(asked)
    assert [e.job for e in ended] == ["shop.part", "shop.whole"]
    assert found.result == [42, 0]


class Carrier(Notifier):
    name = "shop"

    def __init__(self) -> None:
        self.sent: list[Notification] = []

    async def send(self, notification: Notification) -> None:
        self.sent.append(notification)


def shop(carrier: Carrier, said: list[str]) -> Any:
    """A plugin with a lifespan, hooks, a carrier of messages and a job."""

    @job("shop.check", schedule=cron("0 * * * *"), overdue_after="90m")
    async def check(run: RunContext) -> None:
        said.append(f"{run.state['name']} {run.clock():%H:%M}")
        run.notify(Message(title="looked", text="all is well"))
        if run.clock().hour == 3:
            raise ValueError("no")

    @hookimpl
    def sereno_register_jobs() -> list[Any]:
        return [check]

    @hookimpl
    def sereno_register_notifiers() -> list[Notifier]:
        return [carrier]

    @hookimpl
    @asynccontextmanager
    async def sereno_lifespan(settings: Any, database_url: str) -> AsyncIterator[dict[str, str]]:
        said.append("open")
        yield {"name": "shop"}
        said.append("closed")

    @hookimpl
    async def sereno_on_run_finished(event: Any) -> None:
        said.append(event.state)

    return SimpleNamespace(
        __name__="shop",
        sereno_lifespan=sereno_lifespan,
        sereno_on_run_finished=sereno_on_run_finished,
        sereno_register_jobs=sereno_register_jobs,
        sereno_register_notifiers=sereno_register_notifiers,
    )


async def test_lifespans_hooks_and_messages_of_plugins_work_in_it(sereno_database: str) -> None:
    carrier = Carrier()
    said: list[str] = []
    plugins = {"shop": shop(carrier, said), "notify": notify_plugin}
    async with Kernel(plugins=plugins, database=sereno_database) as kernel:
        await kernel.advance("3h")
    assert said == [
        "open", "shop 01:00", "succeeded", "shop 02:00", "succeeded", "shop 03:00", "failed",
        "closed",
    ]  # fmt: skip
    titles = [one.title for one in carrier.sent]
    assert titles.count("looked") == 3
    assert any("failed" in title for title in titles)
    assert not any("overdue" in title for title in titles)


@pytest.mark.parametrize("executor", ["async", "thread"])
async def test_a_job_that_never_ends_is_named_in_bounded_time(
    sereno_database: str, executor: str
) -> None:
    over = asyncio.Event()

    @job("shop.forever", schedule=every("1h"))
    async def forever(run: RunContext) -> None:
        await over.wait()

    @job("shop.thread", executor="thread", schedule=every("1h"))
    def thread(run: RunContext) -> None:
        while True:
            run.check()

    chosen = forever if executor == "async" else thread
    async with Kernel(chosen, database=sereno_database, limit=3) as kernel:
        with pytest.raises(TimeoutError, match=rf"run \d+ of job '{chosen.name}': not ended"):
            await kernel.advance("1d")
        assert kernel.clock.now() == START + timedelta(hours=1)


async def test_a_job_that_enqueues_itself_for_ever_is_named(sereno_database: str) -> None:
    @job("shop.again")
    async def again(run: RunContext) -> None:
        await run.enqueue("shop.again")

    async with Kernel(again, database=sereno_database, limit=3) as kernel:
        await kernel.client.enqueue("shop.again")
        with pytest.raises(TimeoutError, match=r"shop\.again"):
            await kernel.drain()


async def test_a_second_kernel_goes_on_where_the_first_left(sereno_database: str) -> None:
    @job("shop.sync", schedule=every("1h"))
    async def sync(run: RunContext) -> None: ...

    async with Kernel(sync, database=sereno_database) as kernel:
        assert len(await kernel.advance("2h")) == 2
        with pytest.raises(ConfigurationError, match="leads on this test's database"):
            async with Kernel(sync, database=sereno_database):
                pass
    async with Kernel(sync, database=sereno_database) as kernel:
        assert kernel.clock.now() == START + timedelta(hours=2)
        assert len(await kernel.advance("2h")) == 2
    with pytest.raises(ConfigurationError, match="time goes one way"):
        async with Kernel(sync, database=sereno_database, at=START):
            pass


async def test_a_plugin_that_fails_and_settings_that_are_wrong_are_told(
    sereno_database: str, database: str
) -> None:
    with pytest.raises(PluginError, match="plugin 'bad'"):
        async with Kernel(plugins={"bad": SimpleNamespace(sereno_register_job=1)},
                          database=sereno_database):  # fmt: skip
            pass
    with pytest.raises(ConfigurationError, match="max_runing"):
        async with Kernel(database=sereno_database, settings={"max_runing": 1}):
            pass
    with pytest.raises(ConfigurationError, match="tells its server's time"):
        async with Kernel(database=database):
            pass


async def test_the_clock_change_of_spring_is_a_day_like_any_other(sereno_database: str) -> None:
    @job("shop.night", schedule=cron("30 2 * * *", tz="Europe/Madrid"))
    async def night(run: RunContext) -> None: ...

    at = datetime(2026, 3, 28, tzinfo=UTC)
    async with Kernel(night, database=sereno_database, at=at) as kernel:
        ended = await kernel.advance("2d")
    assert [f"{e.slot:%d %H:%M}" for e in ended] == ["28 01:30", "29 01:00"]


async def test_databases_of_a_named_server_are_gone_at_the_end(empty_database: str) -> None:
    with (
        Databases.opened(empty_database) as databases,
        databases.new() as one,
        databases.new() as other,
    ):
        assert one != other
        assert one.rpartition("_")[2] == "1"
        async with Kernel(database=one) as kernel:
            await kernel.drain()
    async with connected(empty_database) as connection:
        names = await connection.fetch("SELECT datname FROM pg_database")
    assert not [n[0] for n in names if n[0].startswith("sereno_test_")]


async def test_a_role_that_may_not_own_the_time_is_told_so(empty_database: str) -> None:
    async with connected(empty_database) as connection:
        await connection.execute("DROP ROLE IF EXISTS maker; CREATE ROLE maker LOGIN CREATEDB")
    named = empty_database.replace("postgresql://postgres@", "postgresql://maker@").replace(
        "postgresql://sereno@", "postgresql://maker@"
    )
    assert named != empty_database
    with (
        pytest.raises(ConfigurationError, match="SERENO_TEST_DATABASE_URL: tests cannot own"),
        Databases.opened(named) as databases,
        databases.new(),
    ):
        pass
