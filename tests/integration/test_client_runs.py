"""Runs are asked for, waited for, stopped and read by programs, with a replica near or without."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import psycopg
import pytest

import sereno
from sereno import Client, RunContext, SyncClient, job
from sereno.model.errors import (
    ConfigurationError,
    ConflictError,
    NotFoundError,
    ParamsError,
    SchemaError,
    StoreError,
    StoreUnavailableError,
    WaitTimeoutError,
)
from sereno.model.run import LogLine
from sereno.store import runs
from sereno.store.migration import migrations
from sereno.store.migrator import migrate

from ..servers.postgres import PostgresServer
from ..servers.waiting import wait_until
from .node import running
from .run_scene import NOW, claimed, outcome, told, write
from .scene import NODE, Scene, declared_job, opened


class Params(msgspec.Struct):
    """What `shop.orders` takes."""

    site: str = "madrid"
    count: int = 1


@asynccontextmanager
async def shop(dsn: str) -> AsyncIterator[tuple[Client, Scene]]:
    """Give a client and a scene, on a database whose leader knows two jobs of a shop."""
    async with opened(dsn) as scene:
        await scene.declare(
            declared_job("shop.orders", params=Params), declared_job("shop.mail", priority=4)
        )
        async with Client.open(dsn) as client:
            yield client, scene


async def count(scene: Scene) -> int:
    return int(await scene.value("SELECT count(*) FROM sereno.run"))


# --- asking for runs --------------------------------------------------------------------------


@pytest.mark.every_postgres
@pytest.mark.every_loop
async def test_a_run_is_queued_with_all_that_is_said(database: str) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    at = datetime(2036, 3, 1, 8, tzinfo=UTC)
    async with shop(database) as (client, scene):
        run = await client.enqueue(
            "shop.orders",
            {"site": "lugo"},
            run_at=at,
            priority=-7,
            unique_key="order 12",
            requested_by="the till",
            traceparent=trace,
        )
        found = await client.run(run)
        assert await count(scene) == 1
        again = await client.enqueue("shop.orders", unique_key="order 12")
        asked = await client.request("shop.orders", unique_key="order 12")

    assert (found.job, found.state, found.cause) == ("shop.orders", "queued", "program")
    assert (found.params, found.run_at, found.priority) == ({"site": "lugo"}, at, -7)
    assert (found.unique_key, found.requested_by) == ("order 12", "the till")
    assert found.trace_context == trace
    assert again == run == asked.run_id
    assert not asked.new


async def test_a_job_is_told_by_its_name_or_as_it_was_declared(database: str) -> None:
    mail = declared_job("shop.mail", priority=4).job
    async with shop(database) as (client, _):
        found = [await client.enqueue(mail), *await client.enqueue_many(mail, [{}])]
        assert [(await client.run(n)).job for n in found] == ["shop.mail", "shop.mail"]
        with pytest.raises(ParamsError, match="unique_key is a int, it must be a text"):
            await client.enqueue(mail, unique_key=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("params", [Params(site="lugo"), {"site": "lugo", "count": 1}])
async def test_params_may_be_a_struct_or_a_mapping(database: str, params: Any) -> None:
    async with shop(database) as (client, _):
        run = await client.run(await client.enqueue("shop.orders", params))
    assert run.params == {"site": "lugo", "count": 1}


async def test_a_delay_counts_from_now_by_the_clock_of_the_database(database: str) -> None:
    async with shop(database) as (client, scene):
        before = await scene.value("SELECT clock_timestamp()")
        run = await client.run(await client.enqueue("shop.mail", delay="90m"))
        after = await scene.value("SELECT clock_timestamp()")
    assert before <= run.run_at - timedelta(minutes=90) <= after


async def test_many_runs_are_queued_by_one_statement_in_their_order(database: str) -> None:
    async with shop(database) as (client, scene):
        found = await client.enqueue_many(
            "shop.orders", [Params(count=n) for n in range(500)], priority=9
        )
        rows = await scene.rows("SELECT id, params ->> 'count', priority FROM sereno.run")
    assert {i: (c, p) for i, c, p in rows} == {i: (str(n), 9) for n, i in enumerate(found)}
    assert found == sorted(found)


async def test_many_runs_with_one_that_does_not_fit_are_none(database: str) -> None:
    async with shop(database) as (client, scene):
        with pytest.raises(ParamsError, match=r"'shop.orders': params 2: unknown param 'sight'"):
            await client.enqueue_many("shop.orders", [{}, {"sight": "x"}])
        assert await client.enqueue_many("shop.orders", []) == []
        assert await count(scene) == 0


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"job": "shop.order"}, NotFoundError, "unknown job 'shop.order', did you mean 'shop"),
    ({"params": {"count": "x"}}, ParamsError, "param 'count' is a JSON string, it must be a"),
    ({"params": [1]}, ParamsError, "params are a list, they must be an object"),
    ({"params": {"site": "\0"}}, ParamsError, "params hold U\\+0000"),
    ({"params": {"site": object()}}, ParamsError, "params cannot be written as JSON"),
    ({"priority": 40_000}, ParamsError, "priority is 40000, it must be from -32768 to 32767"),
    ({"run_at": NOW.replace(tzinfo=None)}, ParamsError, "it must carry a time zone"),
    ({"delay": timedelta(days=999_999_999)}, ParamsError, "it must lie in the years 1 to 9999"),
    ({"run_at": NOW, "delay": 1}, ParamsError, "run_at and delay are both given"),
    ({"job": "a\0b"}, NotFoundError, "there is no job"),
    ({"job": "a\ud800b"}, NotFoundError, "there is no job"),
    ({"unique_key": "a\0"}, ParamsError, "unique_key holds U\\+0000 or half of"),
    ({"requested_by": "a\ud800"}, ParamsError, "requested_by holds U\\+0000 or half of"),
    ({"unique_key": "x" * 3_000}, ParamsError, "unique_key is of 3000 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "error", "sentence"), REFUSED, ids=range(len(REFUSED)))
async def test_what_no_run_can_have_is_a_sentence(
    database: str, said: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    async with shop(database) as (client, scene):
        with pytest.raises(error, match=sentence):
            await client.enqueue(**{"job": "shop.orders", **said})
        assert await count(scene) == 0


# --- in a transaction of the caller's ---------------------------------------------------------


async def test_a_run_is_queued_in_a_transaction_of_asyncpg_or_not_at_all(database: str) -> None:
    async with shop(database) as (client, scene):
        own = await asyncpg.connect(database)
        try:
            transaction = own.transaction()
            await transaction.start()
            await client.enqueue("shop.orders", {"count": 2}, connection=own, delay="1h")
            await client.enqueue_many("shop.mail", [{}, {"x": "100%"}], connection=own)
            assert await count(scene) == 0
            await transaction.rollback()
            assert await count(scene) == 0
            async with own.transaction():
                run = await client.enqueue("shop.orders", connection=own)
        finally:
            own.terminate()
        assert (await client.run(run)).state == "queued"


async def test_a_pool_of_asyncpg_lends_a_connection_that_will_do(database: str) -> None:
    async with shop(database) as (client, scene):
        async with (
            asyncpg.create_pool(database, min_size=1, max_size=1) as pool,
            pool.acquire() as own,
            own.transaction(),
        ):
            await client.enqueue("shop.mail", connection=own)
            assert await count(scene) == 0
        assert await count(scene) == 1


async def test_a_run_is_queued_in_a_transaction_of_psycopg_or_not_at_all(database: str) -> None:
    async with shop(database) as (client, scene):
        own = await psycopg.AsyncConnection.connect(database)
        try:
            await client.enqueue("shop.orders", {"site": "50% %s"}, connection=own, delay=5)
            await client.enqueue_many("shop.mail", [{}, {}], connection=own)
            assert await count(scene) == 0
            await own.rollback()
            assert await count(scene) == 0
            run = await client.enqueue("shop.orders", {"site": "50% %s"}, connection=own)
            await own.commit()
        finally:
            await own.close()
        assert (await client.run(run)).params == {"site": "50% %s"}


def test_a_program_without_a_loop_queues_in_its_own_transaction(database: str) -> None:
    with psycopg.connect(database, row_factory=psycopg.rows.dict_row) as own:
        own.execute("INSERT INTO sereno.job (name, plugin, policies) VALUES ('mail', 'p', '{}')")
        with SyncClient.open(database) as client:
            run = client.enqueue("mail", {"to": "ana"}, connection=own, run_at=NOW)
            with pytest.raises(NotFoundError):
                client.run(run)  # nobody else sees it yet
            own.commit()
            assert client.run(run).run_at == NOW


async def test_a_sentence_of_the_database_is_the_same_on_every_connection(database: str) -> None:
    async with shop(database) as (client, _):
        async with await psycopg.AsyncConnection.connect(database) as own:
            with pytest.raises(NotFoundError) as by_psycopg:
                await client.enqueue("shop.orderz", connection=own)
        own = await asyncpg.connect(database)
        with pytest.raises(NotFoundError) as by_asyncpg:
            await client.enqueue("shop.orderz", connection=own)
        own.terminate()
        with pytest.raises(NotFoundError) as plain:
            await client.enqueue("shop.orderz")
        with pytest.raises(ParamsError, match="connection is a dict, it must be one of asyncpg or"):
            await client.enqueue("shop.orders", connection={})
    assert str(by_psycopg.value) == str(by_asyncpg.value) == str(plain.value)


async def test_what_the_callers_driver_says_otherwise_stays_its_own_error(database: str) -> None:
    async with shop(database) as (client, _):
        own = await asyncpg.connect(database)
        try:
            with pytest.raises(asyncpg.InFailedSQLTransactionError):  # noqa: PT012
                async with own.transaction():
                    with pytest.raises(asyncpg.DivisionByZeroError):
                        await own.execute("SELECT 1 / 0")
                    await client.enqueue("shop.orders", connection=own)
        finally:
            own.terminate()


async def test_a_role_that_may_only_queue_can(database: str) -> None:
    async with shop(database) as (client, scene):
        await scene.eye.execute(
            "CREATE ROLE client_till LOGIN PASSWORD 'x'; "
            "GRANT USAGE ON SCHEMA sereno TO client_till; "
            "GRANT EXECUTE ON FUNCTION sereno.enqueue TO client_till"
        )
        try:
            url = database.replace("postgres@", "client_till:x@")
            async with Client.open(url) as till:
                run = await till.enqueue("shop.mail", {"to": "ana"})
                with pytest.raises(sereno.StoreError, match="permission denied"):
                    await till.run(run)
            assert (await client.run(run)).requested_by == "client_till"
        finally:
            await scene.eye.execute("DROP OWNED BY client_till; DROP ROLE client_till")


# --- waiting ----------------------------------------------------------------------------------


async def test_who_waits_has_the_run_once_it_is_over(database: str) -> None:
    async with shop(database) as (client, scene):
        claim = await claimed(scene, "shop.orders", count=3)
        waiting = asyncio.create_task(client.wait(claim.run_id))
        await write(scene, outcome(claim, "succeeded", result=b'{"sent": 12345678901234567890}'))
        found = await waiting
    assert (found.state, found.result) == ("succeeded", {"sent": 12345678901234567890})


async def test_who_waits_for_too_long_is_told_and_the_run_goes_on(database: str) -> None:
    async with shop(database) as (client, _):
        run = await client.enqueue("shop.mail")
        with pytest.raises(WaitTimeoutError, match=f"run {run} is queued after 50ms; it goes on"):
            await client.wait(run, timeout=timedelta(milliseconds=50))
        with pytest.raises(TimeoutError):
            await client.wait(run, timeout=0)
        assert (await client.run(run)).state == "queued"


async def test_who_waits_outlives_a_restart_of_the_database(
    private_postgres: PostgresServer,
) -> None:
    with private_postgres.database("empty_template", lambda dsn: None) as dsn:
        await migrate(dsn)
        async with shop(dsn) as (client, _):
            run = await client.enqueue("shop.mail")
            waiting = asyncio.create_task(client.wait(run))
            following = asyncio.create_task(lines_of(client, run))
            await asyncio.to_thread(private_postgres.kill)
            with pytest.raises(WaitTimeoutError, match="is not known: the database"):
                await client.wait(run, timeout=0)
            await asyncio.to_thread(private_postgres.start)
            async with opened(dsn) as scene:
                await runs.request_cancel(scene.db, run, "ana")
            assert (await waiting).state == "cancelled"
            assert await following == []


async def lines_of(client: Client, run: int) -> list[str]:
    return [line.message async for line in client.follow(run)]


# --- stopping and asking again ----------------------------------------------------------------


async def test_a_run_that_waits_is_cancelled_and_one_under_way_is_asked(database: str) -> None:
    async with shop(database) as (client, scene):
        waits = await client.enqueue("shop.mail")
        runs_now = await claimed(scene, "shop.mail")
        first = await client.cancel(waits, reason="a mistake", requested_by="ana")
        second = await client.cancel(runs_now.run_id)
        third = await client.cancel(waits)
        detail = await client.run(waits)
    assert (first.state, first.over_before) == ("cancelled", False)
    assert (second.state, second.over_before) == ("running", False)
    assert (detail.state, detail.cancelled_by, detail.cancel_reason) == (
        "cancelled", "ana", "a mistake",
    )  # fmt: skip
    assert (third.state, third.over_before) in {("cancelled", False), ("cancelled", True)}


async def test_a_run_is_asked_for_again_only_when_it_is_over(database: str) -> None:
    async with shop(database) as (client, _):
        run = await client.enqueue("shop.orders", {"site": "lugo"})
        with pytest.raises(ConflictError, match=f"run {run} is queued; only a finished run can be"):
            await client.retry(run)
        await client.cancel(run)
        again = await client.run(await client.retry(run, requested_by="ana"))
    assert (again.params, again.repeats) == ({"site": "lugo"}, run)
    assert again.requested_by == f"ana, run {run} again"


@pytest.mark.parametrize("number", [0, 2**63 - 1])
async def test_a_run_that_there_is_not_is_a_sentence_to_every_verb(
    database: str, number: int
) -> None:
    async with shop(database) as (client, _):
        for verb in (client.run, client.wait, client.cancel, client.retry, client.chain):
            with pytest.raises(NotFoundError, match=f"there is no run {number}"):
                await verb(number)  # type: ignore[operator]
        with pytest.raises(NotFoundError, match=f"there is no run {number}"):
            await lines_of(client, number)
        assert await client.log(number) == []


@pytest.mark.parametrize("number", [-1, 2**63, "7", 1.5, True, None])
async def test_what_is_no_number_of_a_run_is_a_sentence(database: str, number: Any) -> None:
    async with shop(database) as (client, _):
        with pytest.raises(ParamsError, match="a run's number is a whole one"):
            await client.run(number)


# --- reading ----------------------------------------------------------------------------------


def line(n: int, at: datetime = NOW) -> LogLine:
    return LogLine(at=at + timedelta(seconds=n), level="INFO", logger="shop", message=f"line {n}")


async def test_a_log_is_followed_as_it_grows_over_attempts_to_its_end(database: str) -> None:
    async with shop(database) as (client, scene):
        claim = await claimed(scene, "shop.mail")
        await runs.write_lines(scene.db, NODE, [told(claim, [line(0), line(1)])])
        lines = aiter(client.follow(claim.run_id))
        assert [(await anext(lines)).message for _ in range(2)] == ["line 0", "line 1"]
        third = asyncio.ensure_future(anext(lines))
        await write(scene, outcome(claim, "queued", retry_at=NOW, lines=(line(2),), first_line=2))
        assert (await third).message == "line 2"
        (again,) = await runs.claim(scene.db, scene.term, NODE, [claim.run_id])
        await write(scene, outcome(again, lines=(line(0), line(3))))
        rest = [(each.attempt, each.line, each.message) async for each in lines]
    assert rest == [(2, 0, "line 0"), (2, 1, "line 3")]


async def test_a_log_is_read_in_parts(database: str) -> None:
    async with shop(database) as (client, scene):
        claim = await claimed(scene, "shop.mail")
        await runs.write_lines(scene.db, NODE, [told(claim, [line(n) for n in range(5)])])
        first = await client.log(claim.run_id, limit=3)
        rest = await client.log(claim.run_id, after=first[-1], limit=3)
        with pytest.raises(ParamsError, match="limit is 0, it must be a whole number from 1"):
            await client.log(claim.run_id, limit=0)
    assert [each.line for each in first + rest] == [0, 1, 2, 3, 4]
    assert {each.job for each in first} == {"shop.mail"}


async def test_a_chain_is_found_from_any_of_its_runs(database: str) -> None:
    async with opened(database) as scene:
        await scene.declare(
            "a", "x", declared_job("b", after=["a"]), declared_job("c", after=["b", "x"])
        )
        chains = {"a": [("b", ("a",))], "b": [("c", ("b", "x"))], "x": [("c", ("b", "x"))]}
        first = await claimed(scene, "a")
        await write(scene, outcome(first, result=b"1"), chains=chains)
        (second,) = await scene.rows("SELECT id FROM sereno.run WHERE job = 'b'")
        (claim,) = await runs.claim(scene.db, scene.term, NODE, [second[0]])
        other = await claimed(scene, "x")
        await write(scene, outcome(claim), chains=chains)
        await write(scene, outcome(other), chains=chains)
        (third,) = await scene.rows("SELECT id FROM sereno.run WHERE job = 'c'")
        alone = await scene.enqueue("a")
        async with Client.open(database) as client:
            found = [await client.chain(n) for n in (first.run_id, second[0], third[0])]
            single = await client.chain(alone)
    links = {(first.run_id, second[0]), (second[0], third[0]), (other.run_id, third[0])}
    for each in found:
        assert each.whole
        assert set(each.links) == links
        assert [run.job for run in each.runs] == ["c", "x", "b", "a"]
    assert [run.id for run in single.runs] == [alone]
    assert single.links == ()


# --- opening ----------------------------------------------------------------------------------


async def test_a_database_that_is_away_is_a_sentence_without_its_password() -> None:
    with pytest.raises(StoreUnavailableError) as error:
        async with Client.open("postgresql://ana:secret@127.0.0.1:1/x"):
            raise AssertionError
    assert "postgresql://ana:***@127.0.0.1:1/x" in str(error.value)


async def test_what_is_no_url_is_a_sentence() -> None:
    with pytest.raises(ConfigurationError, match="database_url"):
        async with Client.open("mysql://localhost"):
            raise AssertionError


async def test_an_address_is_taken_from_the_environment(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERENO_DATABASE_URL", database)
    async with Client.open() as client:
        with pytest.raises(NotFoundError):
            await client.run(1)
    monkeypatch.setenv("SERENO_DATABASE_URL", "postgresql://127.0.0.1:1/x")
    with pytest.raises(StoreUnavailableError, match="set by SERENO_DATABASE_URL"):
        async with Client.open():
            raise AssertionError


async def test_a_database_that_is_not_there_is_a_sentence_that_says_what_mends_it(
    empty_database: str,
) -> None:
    missing = f"{empty_database.rpartition('/')[0]}/nosuch"
    with pytest.raises(
        StoreError, match='"nosuch" does not exist; correct its name in the URL, or'
    ):
        async with Client.open(missing):
            raise AssertionError


async def test_a_database_without_our_schema_is_a_sentence(empty_database: str) -> None:
    with pytest.raises(SchemaError, match="this database has no schema 'sereno' yet"):
        async with Client.open(empty_database):
            raise AssertionError


async def test_a_database_older_or_newer_than_the_client_is_a_sentence(database: str) -> None:
    newest = migrations()[-1]
    async with opened(database) as scene:
        await scene.eye.execute(
            "UPDATE sereno.migration SET number = 9001, name = '9001_pre_later.sql'"
            " WHERE number = $1", newest.number,
        )  # fmt: skip
        with pytest.raises(SchemaError, match=f"older than this .* lacks migration {newest.name}"):
            async with Client.open(database):
                raise AssertionError
        await scene.eye.execute(
            "UPDATE sereno.migration SET number = $1, name = $2 WHERE number = 9001",
            newest.number, newest.name,
        )  # fmt: skip
        more = "INSERT INTO sereno.migration (number, name, checksum) VALUES ($1, $2, 'x')"
        await scene.eye.execute(more, 9002, "9002_pre_later.sql")
        async with Client.open(database) as client:
            assert await client.log(1) == []
        await scene.eye.execute(more, 9003, "9003_post_later.sql")
        with pytest.raises(SchemaError, match=r"9003_post_later.sql, which this version of sereno"):
            async with Client.open(database):
                raise AssertionError


# --- without a loop ---------------------------------------------------------------------------


def verbs(of: type) -> set[str]:
    return {name for name in dir(of) if not name.startswith("_")}


def test_each_verb_is_there_without_a_loop_and_says_the_same() -> None:
    made = {"of_loop"}  # from a client whose loop another thread runs
    assert verbs(SyncClient) - made == verbs(Client) - {"database"}  # its connection needs a loop
    for name in verbs(SyncClient) - {"open", *made}:
        assert getattr(SyncClient, name).__doc__ == getattr(Client, name).__doc__


async def test_a_run_is_made_waited_for_and_followed_without_a_loop(database: str) -> None:
    @job("shop.count")
    async def counted(run: RunContext) -> int:
        run.log.info("counting to %s", run.params["to"])
        return int(run.params["to"]) + 1

    def known() -> bool:
        with psycopg.connect(database) as eye:
            return eye.execute("SELECT 1 FROM sereno.job").fetchone() is not None

    def program() -> tuple[Any, list[str], str]:
        with SyncClient.open(database, requested_by="a script") as client:
            wait_until(known, "the job")
            run = client.enqueue("shop.count", {"to": 11})
            found = client.wait(run, timeout="1m")
            with pytest.raises(WaitTimeoutError):
                client.wait(client.enqueue("shop.count", run_at=NOW + 9_000 * DAY), timeout=0)
            lines = [each.message for each in client.follow(run)]
            return found.result, lines, found.requested_by or ""

    async with running(database, counted) as node:
        await node.leads()
        found = await asyncio.to_thread(program)
    assert found == (12, ["counting to 11"], "a script")
    assert "sereno client" not in {thread.name for thread in threading.enumerate()}


DAY = timedelta(days=1)
