"""What docs/testing.md shows is so, and what else `run_job` and `assert_enqueued` promise."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import psycopg
import pytest

from sereno import ConfigurationError, ParamsError, RunContext, job, retry
from sereno.testing import Enqueued, assert_enqueued, enqueued, run_job

from .scene import connected, opened

PAGE = (Path(__file__).parents[2] / "docs/testing.md").read_text()
RETRIED, QUEUED, ADVANCED, DRAINED, SERVED, STARTED = re.findall(
    r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE
)


def examples_in(example: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    exec(compile(example, "docs/testing.md", "exec"), found)
    tests = {name: test for name, test in found.items() if name.startswith("test_")}
    assert tests
    return tests


@pytest.fixture(scope="session")
def sereno_template() -> Callable[[str], object]:
    """Give this page's databases a table that those of its folder have not, which has another."""

    def fill(database_url: str) -> None:
        with psycopg.connect(database_url) as own:
            own.execute("CREATE TABLE customer (name text)")

    return fill


@pytest.fixture
async def connection(database: str) -> AsyncIterator[asyncpg.Connection]:
    async with opened(database) as scene:
        await scene.declare("shop.mail")
    async with connected(database) as found:
        yield found


async def test_the_page_s_example_of_a_job_with_retries_holds() -> None:
    for test in examples_in(RETRIED).values():
        await test()


async def test_the_page_s_example_of_an_application_holds(connection: asyncpg.Connection) -> None:
    for test in examples_in(QUEUED).values():
        await test(connection)
    assert await enqueued(connection) == []  # it has rolled back


async def test_the_page_s_example_of_a_day_holds(sereno_database: str) -> None:
    for test in examples_in(ADVANCED).values():
        await test(sereno_database)


def test_the_page_s_example_of_a_service_outside_holds() -> None:
    for test in examples_in(SERVED).values():
        test()


def test_the_page_s_example_of_a_server_of_one_s_own_holds(tmp_path: Path) -> None:
    for test in examples_in(STARTED).values():
        test(tmp_path)


async def test_the_page_s_example_of_what_is_drained_holds(sereno_database: str) -> None:
    async with connected(sereno_database) as own:
        for test in examples_in(DRAINED).values():
            await test(sereno_database, own)


async def test_what_is_not_enqueued_is_told_with_what_is(connection: asyncpg.Connection) -> None:
    with pytest.raises(AssertionError, match=r"with \{'to': 'ann'\}; there is: none of that job"):
        await assert_enqueued(connection, "shop.mail", {"to": "ann"})
    await connection.execute("SELECT sereno.enqueue('shop.mail', '{\"to\": \"bob\"}')")
    with pytest.raises(AssertionError, match=r"there is: \{'to': 'bob'\}"):
        await assert_enqueued(connection, "shop.mail", {"to": "ann"})
    with pytest.raises(AssertionError, match="not enqueued 2 times, but 1 with"):
        await assert_enqueued(connection, "shop.mail", {"to": "bob"}, times=2)


def test_a_transaction_of_psycopg_is_asked_without_a_loop_of_its_own(
    database: str, connection: asyncpg.Connection
) -> None:
    with psycopg.connect(database) as own:
        own.execute("SELECT sereno.enqueue('shop.mail', '{\"to\": \"ann\"}', priority => 4)")
        (asked,) = asyncio.run(enqueued(own, "shop.mail"))
        assert isinstance(asked, Enqueued)
        assert (asked.params, asked.priority) == ({"to": "ann"}, 4)
        asyncio.run(assert_enqueued(own, "shop.mail", {"to": "ann"}))
        own.rollback()


class Mail(msgspec.Struct):
    to: str


async def test_params_are_checked_as_the_kernel_does_it() -> None:
    @job("shop.mail", params=Mail)
    async def mail(run: RunContext[Mail]) -> str:
        return run.params.to

    assert (await run_job(mail, {"to": "ann"})).result == "ann"
    assert (await run_job(mail, Mail("ann"))).result == "ann"
    with pytest.raises(ParamsError, match="unknown param 'too'"):
        await run_job(mail, {"too": "ann"})


async def test_a_plain_function_may_wait_for_what_it_asks() -> None:
    @job("shop.order")
    def order(run: RunContext) -> int:
        return run.wait_for(run.enqueue("shop.mail"))

    tested = await run_job(order)
    assert (tested.state, tested.result) == ("succeeded", 1_001)


@pytest.mark.parametrize(
    ("error", "attempts", "state"),
    [(ValueError("x"), 3, "failed"), (ConfigurationError("x"), 1, "failed")],
)
async def test_it_is_tried_as_often_as_the_kernel_would(
    error: Exception, attempts: int, state: str
) -> None:
    @job("shop.order", retry=retry(attempts=3, delay="10s", factor=2))
    async def order(run: RunContext) -> None:
        raise error

    tested = await run_job(order)
    assert (tested.state, len(tested.attempts), tested.error) == (state, attempts, error)
    assert [w.total_seconds() for w in tested.waits] == [10, 20][: attempts - 1]


async def test_a_result_that_is_no_json_has_failed() -> None:
    @job("shop.order")
    async def order(run: RunContext) -> object:
        return object()

    tested = await run_job(order)
    assert tested.state == "failed"
    assert "its result is not JSON" in str(tested.error)
