"""Many runs of a job are queued by one statement: all of them, or with a sentence none."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
import psycopg
import pytest

from sereno.model.concurrency import concurrency_key

from .scene import Scene, connected, declared_job, opened

pytestmark = pytest.mark.every_postgres

TURN = "{b} of {a}, {b}"
LATER = datetime(2050, 1, 2, tzinfo=UTC)


class Nothing(msgspec.Struct):
    pass


class Params(msgspec.Struct, kw_only=True):
    count: int
    name: str = "x"
    ratio: float | None = None
    tags: list[str] = []


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare(
            "shop.mail",
            declared_job("shop.nightly", params=Nothing),
            declared_job("shop.orders", params=Params, priority=4),
            declared_job("shop.tenant", concurrency_key=TURN),
        )
        yield found


async def many(scene: Scene, job: str, *params: Any) -> list[int]:
    """Queue runs as any program would; returns their ids as they came."""
    query = "SELECT sereno.enqueue_many($1, $2::text[]::jsonb[])"
    return [r[0] for r in await scene.eye.fetch(query, job, [json.dumps(p) for p in params])]


async def count(scene: Scene) -> int:
    return int(await scene.value("SELECT count(*) FROM sereno.run"))


# --- what is queued ---------------------------------------------------------------------------


async def test_the_ids_come_in_the_order_of_the_params(scene: Scene) -> None:
    ids = await many(scene, "shop.mail", *({"n": n} for n in range(5000)))
    rows = await scene.rows("SELECT id, (params ->> 'n')::int FROM sereno.run ORDER BY id")
    assert rows == [(i, n) for n, i in enumerate(ids)]
    assert len(ids) == 5000


async def test_what_is_said_holds_for_every_run(scene: Scene) -> None:
    await scene.eye.execute(
        "SELECT sereno.enqueue_many('shop.orders',"
        " ARRAY['{\"count\": 1}', '{\"count\": 2}']::jsonb[], $1, -2, 'ann', 'person', '00-trace')",
        LATER,
    )
    assert await scene.rows(
        "SELECT state, cause, priority, run_at, params::text, unique_key, requested_by,"
        " trace_context FROM sereno.run ORDER BY id"
    ) == [
        ("queued", "person", -2, LATER, f'{{"count": {n}}}', None, "ann", "00-trace")
        for n in (1, 2)
    ]


async def test_what_is_not_said_is_as_enqueue_would_have_it(scene: Scene) -> None:
    await scene.enqueue("shop.orders", count=3, ratio=None, tags=["a"])
    await many(scene, "shop.orders", {"count": 3, "ratio": None, "tags": ["a"]})
    one, other = await scene.rows(
        "SELECT job, state, cause, priority, params::text, unique_key, concurrency_key,"
        " requested_by, trace_context, attempt, run_at <= clock_timestamp() FROM sereno.run"
    )
    assert one == other
    assert one[2:4] == ("program", 4)
    assert one[-1] is True


async def test_concurrency_keys_are_those_of_enqueue_and_of_schedules(scene: Scene) -> None:
    params: list[dict[str, Any]] = [
        {"a": 1, "b": "two"},
        {"a": None, "b": {"deep": [1, "é"]}},
        {"a": "{b}", "b": "{a}", "other": 1},
        {"a": 1.5, "b": True},
    ]
    for one in params:
        await scene.enqueue("shop.tenant", **one)
    await many(scene, "shop.tenant", *params)
    keys = [r[0] for r in await scene.rows("SELECT concurrency_key FROM sereno.run ORDER BY id")]
    expected = [concurrency_key(TURN, one) for one in params]
    assert keys == expected * 2


async def test_no_params_at_all_are_no_runs_and_nobody_is_told(scene: Scene, database: str) -> None:
    async with connected(database) as leader:
        heard: asyncio.Queue[str] = asyncio.Queue()
        await leader.add_listener("sereno", lambda *a: heard.put_nowait(str(a[3])))
        assert await many(scene, "shop.orders") == []
        assert await count(scene) == 0
        await scene.eye.execute("SELECT pg_notify('sereno', 'after')")
        assert await asyncio.wait_for(heard.get(), 45) == "after"


async def test_whoever_waits_for_runs_is_told_once(scene: Scene, database: str) -> None:
    async with connected(database) as leader:
        heard: asyncio.Queue[str] = asyncio.Queue()
        await leader.add_listener("sereno", lambda *a: heard.put_nowait(str(a[3])))
        async with scene.eye.transaction():
            await many(scene, "shop.mail", {}, {}, {})
            assert heard.empty()
        await scene.eye.execute("SELECT pg_notify('sereno', 'after')")
        assert [await asyncio.wait_for(heard.get(), 45) for _ in range(2)] == ["run", "after"]


# --- what is refused --------------------------------------------------------------------------


async def test_an_unknown_job_is_refused_even_without_params(scene: Scene) -> None:
    nobody: list[dict[str, Any]] = []
    for params in (nobody, [{}]):
        with pytest.raises(asyncpg.NoDataFoundError) as refused:
            await many(scene, "shop.mial", *params)
        assert str(refused.value) == "unknown job 'shop.mial', did you mean 'shop.mail'?"
    assert await count(scene) == 0


FITS: dict[str, Any] = {
    "shop.mail": {},
    "shop.nightly": {},
    "shop.orders": {"count": 1},
    "shop.tenant": {"a": 1, "b": 2},
}
REFUSED: list[tuple[str, Any]] = [
    ("shop.mail", [1]),
    ("shop.mail", None),
    ("shop.mail", "text"),
    ("shop.nightly", {"count": 1}),
    ("shop.orders", 3),
    ("shop.orders", []),
    ("shop.orders", {}),
    ("shop.orders", {"count": 1, "cuont": 2}),
    ("shop.orders", {"count": "3"}),
    ("shop.orders", {"count": None}),
    ("shop.orders", {"count": 1, "tags": {}}),
    ("shop.orders", {"name": 1}),
    ("shop.tenant", {"a": 1}),
    ("shop.tenant", []),
]


@pytest.mark.parametrize(("job", "params"), REFUSED)
async def test_what_does_not_fit_is_refused_with_the_sentence_of_enqueue_and_its_number(
    scene: Scene, job: str, params: Any
) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError) as alone:
        await scene.value("SELECT sereno.enqueue($1, $2::text::jsonb)", job, json.dumps(params))
    with pytest.raises(asyncpg.InvalidParameterValueError) as among:
        await many(scene, job, FITS[job], FITS[job], params, FITS[job], params)
    subject = f"job '{job}': "
    assert str(alone.value).startswith(subject)
    assert str(among.value) == str(alone.value).replace(subject, f"{subject}params 3: ")
    assert await count(scene) == 0


async def test_the_first_that_does_not_fit_is_told_whatever_is_wrong_with_it(scene: Scene) -> None:
    faults: list[tuple[Any, str]] = [
        ({"count": "3"}, "param 'count' is a JSON string, it must be a number"),
        ([], "params are a JSON array, they must be an object"),
        ({"count": 1, "cuont": 2}, "unknown param 'cuont'; it takes count, name, ratio, tags"),
        ({}, "param 'count' is missing"),
    ]
    for turned in range(len(faults)):
        wrong = faults[turned:] + faults[:turned]
        with pytest.raises(asyncpg.InvalidParameterValueError) as refused:
            await many(scene, "shop.orders", {"count": 1}, *(params for params, _ in wrong))
        assert str(refused.value) == f"job 'shop.orders': params 2: {wrong[0][1]}"
    assert await count(scene) == 0


async def test_a_job_that_takes_no_param_says_so(scene: Scene) -> None:
    sentence = "job 'shop.nightly': params 2: unknown param 'count'; it takes none"
    with pytest.raises(asyncpg.InvalidParameterValueError) as refused:
        await many(scene, "shop.nightly", {}, {"count": 1})
    assert str(refused.value) == sentence


async def test_an_sql_null_is_no_object_and_no_array(scene: Scene) -> None:
    for array, sentence in (
        ("ARRAY['{}', NULL]::jsonb[]", "params 2: params are a JSON null, they must be an object"),
        ("NULL", "params are null, they must be an array of objects"),
    ):
        with pytest.raises(asyncpg.InvalidParameterValueError) as refused:
            await scene.eye.fetch(f"SELECT sereno.enqueue_many('shop.mail', {array})")
        assert str(refused.value) == f"job 'shop.mail': {sentence}"
    assert await count(scene) == 0


async def test_a_cause_or_priority_that_no_run_can_have_queues_none(scene: Scene) -> None:
    for said, error in (
        ("cause => 'whim'", asyncpg.CheckViolationError),
        ("priority => 40000", asyncpg.NumericValueOutOfRangeError),
    ):
        with pytest.raises(error):
            await scene.eye.fetch(
                f"SELECT sereno.enqueue_many('shop.mail', ARRAY['{{}}', '{{}}']::jsonb[], {said})"
            )
    assert await count(scene) == 0


# --- transactions of others, and ours -----------------------------------------------------------


async def test_a_rollback_takes_all_runs_with_it(scene: Scene, database: str) -> None:
    query = "SELECT sereno.enqueue_many(%s, %s::jsonb[])"
    with psycopg.connect(database) as connection:
        with connection.transaction(force_rollback=True):
            assert len(connection.execute(query, ("shop.mail", ["{}"] * 3)).fetchall()) == 3
        with connection.transaction():
            connection.execute(query, ("shop.mail", ['{"id": 1}', '{"id": 2}']))
    kept = await scene.rows("SELECT params::text FROM sereno.run ORDER BY id")
    assert kept == [('{"id": 1}',), ('{"id": 2}',)]
