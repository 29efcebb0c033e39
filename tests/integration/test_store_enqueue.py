"""A run is queued inside the caller's own transaction, from any driver, or with a sentence not."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any
from urllib.parse import urlsplit

import asyncpg
import django
import msgspec
import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connections, transaction

from ..servers.locks import BLOCKED
from .scene import Scene, connected, declared_job, opened


class Params(msgspec.Struct, kw_only=True):
    count: int
    name: str = "x"
    ratio: float | None = None
    tags: list[str] = []
    deep: Annotated[dict[str, int], msgspec.Meta(description="any")] = {}
    flag: bool = False


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare(
            "shop.mail",
            declared_job("shop.orders", params=Params, priority=4),
            declared_job("shop.tenant", concurrency_key="tenant {tenant}"),
        )
        yield found


async def count(scene: Scene) -> int:
    return int(await scene.value("SELECT count(*) FROM sereno.run"))


# --- what is queued ---------------------------------------------------------------------------


async def test_a_run_is_queued_with_all_that_was_said(scene: Scene) -> None:
    run_id = await scene.value(
        "SELECT sereno.enqueue('shop.orders', '{\"count\": 3}', now() + interval '1 h', -2, 'k',"
        " 'ann', 'person', '00-trace')"
    )
    (row,) = await scene.rows(
        "SELECT id, state, cause, priority, run_at > now(), params::text, unique_key,"
        " requested_by, trace_context FROM sereno.run"
    )
    assert row == (
        *(run_id, "queued", "person", -2, True, '{"count": 3}'),
        *("k", "ann", "00-trace"),
    )


async def test_what_is_not_said_is_taken_from_the_job_and_the_session(scene: Scene) -> None:
    await scene.value("SELECT sereno.enqueue('shop.orders', '{\"count\": 3}')")
    row = "SELECT cause, priority, requested_by, run_at <= clock_timestamp() FROM sereno.run"
    assert await scene.rows(row) == [("program", 4, "postgres", True)]


async def test_the_concurrency_key_is_filled_from_the_params(scene: Scene) -> None:
    await scene.enqueue("shop.tenant", tenant=7)
    await scene.enqueue("shop.tenant", tenant="seven")
    keys = await scene.rows("SELECT concurrency_key FROM sereno.run ORDER BY id")
    assert keys == [("tenant 7",), ("tenant seven",)]


async def test_whoever_waits_for_runs_is_told(scene: Scene, database: str) -> None:
    async with connected(database) as leader:
        heard: asyncio.Queue[str] = asyncio.Queue()
        await leader.add_listener("sereno", lambda *a: heard.put_nowait(str(a[3])))
        async with scene.eye.transaction():
            await scene.enqueue("shop.mail")
            assert heard.empty()
        assert await asyncio.wait_for(heard.get(), 45) == "run"


# --- what is refused --------------------------------------------------------------------------

UNKNOWN = [
    ("shop.mial", "unknown job 'shop.mial', did you mean 'shop.mail'?"),
    ("mail", "unknown job 'mail', did you mean 'shop.mail'?"),
    ("zebra", "unknown job 'zebra'"),
]


@pytest.mark.parametrize(("job", "sentence"), UNKNOWN)
async def test_an_unknown_job_is_refused_with_the_name_that_was_meant(
    scene: Scene, job: str, sentence: str
) -> None:
    with pytest.raises(asyncpg.NoDataFoundError) as refused:
        await scene.enqueue(job)
    assert sentence in str(refused.value)
    assert await count(scene) == 0


REFUSED = [
    ("shop.mail", "[]", "job 'shop.mail': params are a JSON array, they must be an object"),
    ("shop.mail", "null", "job 'shop.mail': params are a JSON null, they must be an object"),
    ("shop.orders", "{}", "job 'shop.orders': param 'count' is missing"),
    (
        "shop.orders",
        '{"count": 1, "cuont": 2}',
        "job 'shop.orders': unknown param 'cuont'; it takes count, deep, flag, name, ratio, tags",
    ),
    (
        "shop.orders",
        '{"count": "3"}',
        "job 'shop.orders': param 'count' is a JSON string, it must be a number",
    ),
    (
        "shop.orders",
        '{"count": null}',
        "job 'shop.orders': param 'count' is a JSON null, it must be a number",
    ),
    (
        "shop.orders",
        '{"count": 1, "tags": {}}',
        "job 'shop.orders': param 'tags' is a JSON object, it must be a array",
    ),
    (
        "shop.tenant",
        "{}",
        "job 'shop.tenant': param 'tenant' is missing, which its concurrency_key names",
    ),
]


@pytest.mark.parametrize(("job", "params", "sentence"), REFUSED)
async def test_what_does_not_fit_is_refused_with_a_sentence_and_nothing_is_queued(
    scene: Scene, job: str, params: str, sentence: str
) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError) as refused:
        await scene.value("SELECT sereno.enqueue($1, $2::text::jsonb)", job, params)
    assert sentence in str(refused.value)
    assert await count(scene) == 0


async def test_an_optional_param_may_be_null_and_any_may_be_left_out(scene: Scene) -> None:
    await scene.enqueue("shop.orders", count=1, ratio=None)
    await scene.enqueue("shop.orders", count=1, ratio=0.5, tags=["a"], deep={"a": 1}, flag=True)
    assert await count(scene) == 2


async def test_a_job_that_is_no_longer_declared_is_unknown(scene: Scene) -> None:
    await scene.declare("shop.mail")
    with pytest.raises(asyncpg.NoDataFoundError, match=r"unknown job 'shop\.orders'"):
        await scene.enqueue("shop.orders", count=1)


# --- unique keys ------------------------------------------------------------------------------


async def test_a_unique_key_that_no_index_can_hold_is_refused(scene: Scene) -> None:
    await once(scene.eye, "é" * 1000)
    with pytest.raises(asyncpg.InvalidParameterValueError, match="is of 2002 bytes"):
        await once(scene.eye, "é" * 1001)
    assert await count(scene) == 1


async def once(connection: asyncpg.Connection, key: str = "k", job: str = "shop.mail") -> int:
    query = "SELECT sereno.enqueue($1, unique_key => $2)"
    return int(await connection.fetchval(query, job, key))


async def test_a_second_run_of_a_unique_key_is_the_first_until_that_is_over(scene: Scene) -> None:
    first = await once(scene.eye)
    assert await once(scene.eye) == first
    assert await once(scene.eye, "other") != first
    await scene.eye.execute("UPDATE sereno.run SET state = 'running' WHERE id = $1", first)
    assert await once(scene.eye) == first
    await scene.eye.execute("UPDATE sereno.run SET state = 'failed' WHERE id = $1", first)
    assert await once(scene.eye) != first


async def test_the_key_is_the_job_s_own(scene: Scene) -> None:
    await scene.declare("shop.mail", "shop.other")
    assert await once(scene.eye) != await once(scene.eye, job="shop.other")


async def test_of_many_that_ask_at_once_one_queues_and_all_get_its_number(
    scene: Scene, database: str
) -> None:
    async def ask() -> int:
        async with connected(database) as connection:
            return await once(connection)

    assert len(set(await asyncio.gather(*(ask() for _ in range(10))))) == 1
    assert await count(scene) == 1


async def test_who_comes_second_waits_for_the_first_s_transaction(
    scene: Scene, database: str
) -> None:
    for ending in ("COMMIT", "ROLLBACK"):
        async with connected(database) as connection:
            await connection.execute("BEGIN")
            first = await once(connection)
            second = asyncio.ensure_future(once(scene.eye, "k"))
            async with connected(database) as other:
                while not await other.fetchval(BLOCKED):  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.002)
            await connection.execute(ending)
            assert (await second == first) == (ending == "COMMIT")
        assert await count(scene) == 1
        await scene.eye.execute("DELETE FROM sereno.run")


# --- transactions of others -------------------------------------------------------------------


async def test_a_rollback_in_asyncpg_takes_the_run_with_it(scene: Scene, database: str) -> None:
    async with connected(database) as connection:
        transaction_ = connection.transaction()
        await transaction_.start()
        await connection.fetchval("SELECT sereno.enqueue('shop.mail')")
        await transaction_.rollback()
        assert await count(scene) == 0
        async with connection.transaction():
            await connection.fetchval("SELECT sereno.enqueue('shop.mail')")
        assert await count(scene) == 1


async def test_a_rollback_in_psycopg_takes_the_run_with_it(scene: Scene, database: str) -> None:
    with psycopg.connect(database) as connection:
        with connection.transaction(force_rollback=True):
            found = connection.execute(
                "SELECT sereno.enqueue(%s, %s)", ("shop.mail", json.dumps({"id": 1}))
            ).fetchone()
            assert found is not None
        with connection.transaction():
            connection.execute("SELECT sereno.enqueue(%s, %s::jsonb)", ("shop.mail", '{"id": 2}'))
    assert await scene.rows("SELECT params::text FROM sereno.run") == [('{"id": 2}',)]


@pytest.fixture
def django_database(database: str) -> str:
    """Let Django's default connection lead to the test's database."""
    url = urlsplit(database)
    entry = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path[1:],
        "USER": url.username,
        "HOST": url.hostname,
        "PORT": url.port,
    }
    if not django_settings.configured:
        django_settings.configure(DATABASES={"default": entry}, USE_TZ=True)
        django.setup()
    connections.settings = connections.configure_settings({"default": entry})
    return database


class Undone(Exception):
    """Ends an atomic block without its changes."""


def in_thread(work: Any) -> None:
    """Run `work` in a thread, as Django refuses to work inside an event loop."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


async def test_an_atomic_block_of_django_s_that_fails_takes_the_run_with_it(
    scene: Scene, django_database: str
) -> None:
    def enqueue(params: str) -> None:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT sereno.enqueue(%s, %s)", ["shop.mail", params])

    def undo(params: str) -> None:
        with suppress(Undone), transaction.atomic():
            enqueue(params)
            raise Undone

    def work() -> None:
        undo('{"id": 1}')
        with transaction.atomic():
            enqueue('{"id": 2}')
            undo('{"id": 3}')  # in a savepoint

    in_thread(work)
    assert await scene.rows("SELECT params::text FROM sereno.run") == [('{"id": 2}',)]


async def test_what_the_kernel_refuses_does_not_spoil_django_s_outer_transaction(
    scene: Scene, django_database: str
) -> None:
    def enqueue(job: str) -> None:
        with transaction.atomic(), connections["default"].cursor() as cursor:
            cursor.execute("SELECT sereno.enqueue(%s)", [job])

    def work() -> None:
        with transaction.atomic():
            with pytest.raises(Exception, match=r"did you mean 'shop\.mail'"):
                enqueue("shop.mial")
            enqueue("shop.mail")

    in_thread(work)
    assert await count(scene) == 1
