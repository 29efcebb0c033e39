"""Jobs that queue others and use the database, in every executor, and cannot starve the kernel."""

import asyncio
from typing import Annotated, Any

import asyncpg
import msgspec
import psycopg
import pytest
from msgspec import Meta

from sereno import Client, FinalError, ParamsError, RunContext, job, retry
from sereno.app.job_client import JobClients
from sereno.model.errors import NotFoundError, StoreUnavailableError
from sereno.store import job_pool
from sereno.testing import Signals, run_context

from .node import Eye, running

Run = RunContext[dict[str, Any]]

ASKED = (
    "SELECT job, params, requested_by, cause, priority, unique_key FROM sereno.run"
    " WHERE job = 't.mail' ORDER BY id"
)


class Mail(msgspec.Struct):
    to: Annotated[str, Meta(min_length=1)]


@job("t.mail", params=Mail)
async def mail(run: RunContext[Mail]) -> str:
    """Greet somebody."""
    return f"dear {run.params.to}"


async def ask(run: Run) -> int:
    first = await run.enqueue(
        "t.mail", {"to": "ann"}, delay="1h", priority=3, unique_key="ann"
    )  # it may not be over as soon as the second is asked for
    again = await run.enqueue(mail, Mail("ann"), delay="1h", unique_key="ann")
    assert again == first
    async with run.database() as connection, connection.transaction():
        assert await connection.fetchval("SELECT 1") == 1
        await run.fence(connection)
        return await run.enqueue("t.mail", {"to": "bob"}, connection=connection)


async def ask_in_a_process(run: Run) -> int:
    """Ask from a process of its own."""
    return await ask(run)


def wait_in_a_process(run: Run) -> int:
    """Ask from a process of its own, in a plain function."""
    return run.wait_for(ask(run))


def plain(run: Run) -> int:
    return run.wait_for(ask(run))


@pytest.mark.parametrize(
    ("function", "executor"),
    [
        (ask, "async"),
        (plain, "thread"),
        (ask_in_a_process, "process"),
        (wait_in_a_process, "process"),
    ],
    ids=["async", "thread", "process", "plain process"],
)
async def test_a_job_queues_others_and_uses_the_database(
    database: str, eye: Eye, function: Any, executor: str
) -> None:
    acts = job("t.acts", executor=executor)(function)
    async with running(database, acts, mail):
        await eye.known("t.mail")
        row = await eye.ran("t.acts")
        assert row["state"] == "succeeded", row["traceback"]
        asked = await eye.rows(ASKED)
        by = f"run {row['id']} of job 't.acts'"
        assert asked == [
            ("t.mail", '{"to": "ann"}', by, "program", 3, "ann"),
            ("t.mail", '{"to": "bob"}', by, "program", 0, None),
        ]
        result = await eye.over(int(row["result"]))
        assert result["result"] == '"dear bob"'


async def test_what_is_queued_in_a_fenced_transaction_is_queued_once(
    database: str, eye: Eye
) -> None:
    @job("t.acts", retry=retry(attempts=3, delay="10ms"))
    async def acts(run: Run) -> None:
        async with run.database() as connection, connection.transaction():
            await run.fence(connection)
            await run.enqueue("t.mail", {"to": "ann"}, connection=connection)
            if run.attempt < 3:
                raise ValueError("not yet")

    async with running(database, acts, mail):
        await eye.known("t.mail")
        assert (await eye.ran("t.acts"))["attempt"] == 3
    assert await eye.value("SELECT count(*) FROM sereno.run WHERE job = 't.mail'") == 1


def asks_wrongly(run: Run) -> list[str]:
    """Ask for what cannot be, from a process of its own."""
    return run.wait_for(wrongly(run))


async def wrongly(run: Run) -> list[str]:
    found = []
    for name, params in (("t.nobody", {}), ("t.mail", {"too": "x"}), ("t.mail", {"to": "\0"})):
        with pytest.raises((NotFoundError, ParamsError)) as raised:
            await run.enqueue(name, params)
        found.append(f"{type(raised.value).__name__}: {raised.value}")
    with pytest.raises(ParamsError, match="length >= 1"):
        await run.enqueue(mail, {"to": ""})
    with pytest.raises(ParamsError, match="run_at and delay are both given; give one"):
        await run.enqueue(mail, {"to": "x"}, run_at=run.now(), delay="1s")
    return found


@pytest.mark.parametrize("executor", ["thread", "process"])
async def test_what_cannot_be_queued_is_a_sentence_in_the_job(
    database: str, eye: Eye, executor: str
) -> None:
    acts = job("t.acts", executor=executor)(asks_wrongly)
    async with running(database, acts, mail):
        await eye.known("t.mail")
        row = await eye.ran("t.acts")
        assert row["state"] == "succeeded", row["traceback"]
        nobody, unknown, nul = msgspec.json.decode(row["result"])
    assert nobody.startswith("NotFoundError: ")
    assert "'t.nobody'" in nobody
    assert unknown.startswith("ParamsError: job 't.mail': unknown param 'too'")
    assert nul == "ParamsError: job 't.mail': params hold U+0000, which PostgreSQL cannot keep"
    assert await eye.value("SELECT count(*) FROM sereno.run WHERE job = 't.mail'") == 0


async def test_jobs_that_keep_all_their_connections_hold_up_no_claim_and_no_outcome(
    database: str, eye: Eye, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, go = Signals(), asyncio.Event()

    @job("t.keeps")
    async def keeps(run: Run) -> None:
        async with run.database():
            told.say("kept")
            await go.wait()

    @job("t.waits")
    async def waits(run: Run) -> None:
        try:
            await run.enqueue("t.other")
        except StoreUnavailableError as error:
            raise FinalError(str(error)) from error

    @job("t.other")
    async def other(run: Run) -> None:
        """Do nothing."""

    async with running(database, keeps, waits, other, job_connections=2):
        kept = [await eye.enqueue("t.keeps") for _ in range(2)]
        for _ in kept:
            await told.wait("kept")
        monkeypatch.setattr(job_pool, "PATIENCE", 0.2)  # not for the time that they take to open
        kept += [await eye.enqueue("t.keeps") for _ in range(18)]
        row = await eye.ran("t.waits")
        assert "all 2 connections of jobs were in use for 0.2 s" in row["error"]
        for _ in range(20):
            assert (await eye.ran("t.other"))["state"] == "succeeded"
        go.set()
        states = {(await eye.over(run_id))["state"] for run_id in kept}
    assert "succeeded" in states


async def test_a_connection_comes_back_as_it_was_and_no_node_leaves_one(
    database: str, eye: Eye
) -> None:
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sereno jobs'"

    @job("t.sets")
    async def sets(run: Run) -> str:
        async with run.database() as connection:
            await connection.execute("SET search_path = nowhere")
            await connection.execute("CREATE TEMP TABLE mine (n int)")
        async with run.database() as connection:
            path: str = await connection.fetchval("SHOW search_path")
            with pytest.raises(asyncpg.UndefinedTableError):  # as the driver says it
                await connection.execute("SELECT * FROM nothing_of_that_name")
            return path

    async with running(database, sets, job_connections=1):
        assert await eye.value(sessions) == 0
        row = await eye.ran("t.sets")
        assert row["state"] == "succeeded", row["traceback"]
        assert "nowhere" not in row["result"]
        assert await eye.value(sessions) == 1
    await eye.until(f"SELECT ({sessions}) = 0")


async def greeted(run: Run) -> str:
    client: Client = run.client
    first = await client.enqueue("t.mail", {"to": "ann"})
    found = await client.wait(first)
    await client.cancel(await client.enqueue("t.mail", {"to": "bob"}, delay="1h"))
    return str(found.result)


async def greeted_in_a_process(run: Run) -> str:
    """Ask by a client, from a process of its own."""
    return await greeted(run)


def greeted_in_a_thread(run: Run) -> str:
    return run.wait_for(greeted(run))


@pytest.mark.parametrize(
    ("function", "executor"),
    [(greeted, "async"), (greeted_in_a_thread, "thread"), (greeted_in_a_process, "process")],
    ids=["async", "thread", "process"],
)
async def test_a_job_has_a_client_that_speaks_in_its_name(
    database: str, eye: Eye, function: Any, executor: str
) -> None:
    acts = job("t.acts", executor=executor)(function)
    async with running(database, acts, mail):
        await eye.known("t.mail")
        row = await eye.ran("t.acts")
        assert row["state"] == "succeeded", row["traceback"]
        assert row["result"] == '"dear ann"'
        asked = "SELECT requested_by, state, error FROM sereno.run WHERE job = 't.mail' ORDER BY id"
        by = f"run {row['id']} of job 't.acts'"
        assert await eye.rows(asked) == [
            (by, "succeeded", None),
            (by, "cancelled", f"cancelled by {by}"),
        ]
    left = "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name LIKE 'sereno jobs%'"
    await eye.until(left)


async def test_each_kind_of_function_is_told_how_to_wait(database: str, eye: Eye) -> None:
    @job("t.plain")
    def in_thread(run: Run) -> None:
        with run.database():
            pass

    @job("t.async")
    async def in_loop(run: Run) -> None:
        run.wait_for(run.enqueue("t.plain"))

    async with running(database, in_thread, in_loop):
        row = await eye.ran("t.plain")
        assert "psycopg.connect(run.database_url)" in row["error"]
        row = await eye.ran("t.async")
        assert row["error"].endswith("is for plain functions; in an async one write await ...")


async def test_a_thread_that_waits_stops_when_its_run_is_to_stop(database: str, eye: Eye) -> None:
    told = Signals()

    async def for_ever() -> None:
        told.say("waits")
        try:
            await asyncio.Event().wait()
        finally:
            told.say("ended")

    @job("t.waits")
    def waits(run: Run) -> None:
        run.wait_for(for_ever())

    async with running(database, waits):
        run_id = await eye.enqueue("t.waits")
        await told.wait("waits")
        await eye.connection.execute(
            "INSERT INTO sereno.cancel_request (run_id, requested_by) VALUES ($1, 'ann')", run_id
        )
        await eye.connection.execute("SELECT pg_notify('sereno', 'cancel')")
        assert (await eye.over(run_id))["state"] == "cancelled"
        await told.wait("ended")


async def test_a_job_queues_in_a_transaction_of_psycopg(database: str, eye: Eye) -> None:
    @job("t.acts")
    async def acts(run: Run) -> None:
        async with await psycopg.AsyncConnection.connect(run.database_url) as connection:
            for to in ("ann", "bob"):
                await run.enqueue("t.mail", {"to": to}, connection=connection)
                if to == "ann":
                    await connection.rollback()

    async with running(database, acts, mail):
        await eye.known("t.mail")
        row = await eye.ran("t.acts")
        assert row["state"] == "succeeded", row["traceback"]
        asked = await eye.rows("SELECT params FROM sereno.run WHERE job = 't.mail'")
    assert asked == [('{"to": "bob"}',)]


async def test_a_role_that_may_only_call_enqueue_is_recorded_as_itself(
    database: str, eye: Eye
) -> None:
    @job("t.acts")
    async def acts(run: Run) -> int:
        connection = await asyncpg.connect(run.database_url)
        try:
            await connection.execute(
                "CREATE ROLE shop_acts; GRANT USAGE ON SCHEMA sereno TO shop_acts;"
                "GRANT EXECUTE ON FUNCTION sereno.enqueue TO shop_acts"
            )
            async with connection.transaction():
                await connection.execute("SET LOCAL ROLE shop_acts")
                found = await run.enqueue("t.mail", {"to": "ann"}, connection=connection)
            await connection.execute("DROP OWNED BY shop_acts; DROP ROLE shop_acts")
            return found
        finally:
            await connection.close()

    async with running(database, acts, mail):
        await eye.known("t.mail")
        row = await eye.ran("t.acts")
        assert row["state"] == "succeeded", row["traceback"]
    assert await eye.value("SELECT requested_by FROM sereno.run WHERE job = 't.mail'") != (
        f"run {row['id']} of job 't.acts'"
    )


async def test_a_job_under_test_uses_a_real_database(database: str) -> None:
    run = run_context("shop.order", database_url=database)
    for _ in range(2):
        async with run.database() as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_what_works_on_after_its_node_has_ended_opens_no_connection(database: str) -> None:
    pool, clients = job_pool.JobPool(database, size=1), JobClients(database)
    async with pool.lent() as connection:
        assert await connection.fetchval("SELECT 1") == 1
    await pool.close()
    await clients.close()
    with pytest.raises(StoreUnavailableError, match="the node has ended"):
        await pool.take()
    with pytest.raises(StoreUnavailableError, match="no connection open"):
        await clients.of("me").run(1)
