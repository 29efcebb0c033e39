"""A key that no second run takes for a span of time: by key or params, over every door."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any

import asyncpg
import msgspec
import pytest

from sereno import Client, Secret, SyncClient
from sereno.model.errors import DeclarationError, ParamsError
from sereno.model.job import Job, job
from sereno.model.schedule import schedule
from sereno.triggers import parse

from .scene import Scene, connected, declared_job, nothing, opened

pytestmark = pytest.mark.every_postgres

ASK = "SELECT run_id, new FROM sereno.request($1, $2::text::jsonb, unique_for => $3)"
BY_KEY = "SELECT run_id, new FROM sereno.request('shop.mail', unique_key => $1, unique_for => $2)"
MONTH = timedelta(days=30)


class Order(msgspec.Struct, kw_only=True):
    site: str
    day: str = ""
    token: Annotated[str, Secret] = ""


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with opened(database) as found:
        await found.declare(
            "shop.mail",
            declared_job("shop.monthly", unique_for="30d"),
            declared_job("shop.site", unique_for="1h", unique_by=["site"]),
            declared_job("shop.once", unique_by=["site"]),
            declared_job("shop.order", params=Order, unique_for="30d"),
        )
        yield found


async def asked(scene: Scene, job: str, span: timedelta | None = None, **params: Any) -> Any:
    """Ask for a run in SQL; return its id, and whether it is a new one."""
    return tuple(await scene.eye.fetchrow(ASK, job, json.dumps(params), span))


async def ended(scene: Scene, run_id: int, state: str = "succeeded", attempt: int = 1) -> None:
    """End a run as a node would have."""
    await scene.value(
        "UPDATE sereno.run SET state = $2, attempt = $3, finished_at = clock_timestamp()"
        " WHERE id = $1",
        *(run_id, state, attempt),
    )


async def later(scene: Scene, by: timedelta) -> None:
    """Let so much time pass for the keys that are held."""
    await scene.value(
        "UPDATE sereno.unique_key SET held_since = held_since - $1::interval,"
        " held_until = held_until - $1::interval",
        by,
    )


# --- what holds, and for how long -------------------------------------------------------------


@pytest.mark.parametrize("state", ["succeeded", "failed", "timed_out", "lost", "cancelled"])
async def test_a_key_is_held_until_its_span_is_over_however_its_run_ended(
    scene: Scene, state: str
) -> None:
    first, new = await asked(scene, "shop.mail", MONTH, to="ann")
    assert new
    assert await asked(scene, "shop.mail", MONTH, to="ann") == (first, False)
    await ended(scene, first, state)
    await later(scene, timedelta(days=29))
    assert await asked(scene, "shop.mail", MONTH, to="ann") == (first, False)
    await later(scene, timedelta(days=2))
    second, new = await asked(scene, "shop.mail", MONTH, to="ann")
    assert new
    assert second > first
    assert await asked(scene, "shop.mail", MONTH, to="ann") == (second, False)


@pytest.mark.parametrize("state", ["queued", "running"])
async def test_it_is_held_longer_while_its_run_is_not_over(scene: Scene, state: str) -> None:
    first, _ = await asked(scene, "shop.mail", timedelta(seconds=1), to="ann")
    await scene.value("UPDATE sereno.run SET state = $1", state)
    await later(scene, MONTH)
    assert await asked(scene, "shop.mail", MONTH, to="ann") == (first, False)


async def test_a_run_that_was_cancelled_before_it_began_sets_its_key_free(scene: Scene) -> None:
    first, _ = await asked(scene, "shop.mail", MONTH, to="ann")
    await ended(scene, first, "cancelled", attempt=0)
    second, new = await asked(scene, "shop.mail", MONTH, to="ann")
    assert (new, second > first) == (True, True)


async def test_other_params_and_other_jobs_have_keys_of_their_own(scene: Scene) -> None:
    found = [
        await asked(scene, "shop.mail", MONTH, to="ann"),
        await asked(scene, "shop.mail", MONTH, to="bob"),
        await asked(scene, "shop.mail", MONTH),
        await asked(scene, "shop.site", MONTH, site="ann", to="ann"),
    ]
    assert all(new for _, new in found)
    assert len({run for run, _ in found}) == 4


async def test_the_order_of_params_is_nothing_and_what_they_are_is(scene: Scene) -> None:
    first, _ = await asked(scene, "shop.mail", MONTH, a=1, b={"x": 1, "y": [1, "2", None]})
    again = await asked(scene, "shop.mail", MONTH, b={"y": [1, "2", None], "x": 1}, a=1)
    assert again == (first, False)
    for other in ({"a": "1"}, {"a": 1, "b": None}, {"a": [1]}, {"a": 1, "": 1}, {"a": "é" * 9_000}):
        assert (await asked(scene, "shop.mail", MONTH, **other))[1]


async def test_a_key_that_is_held_is_so_for_who_says_no_span_too(scene: Scene) -> None:
    (first, _) = await scene.eye.fetchrow(BY_KEY, "k", MONTH)
    assert tuple(await scene.eye.fetchrow(BY_KEY, "k", None)) == (first, False)
    await ended(scene, first)
    assert tuple(await scene.eye.fetchrow(BY_KEY, "k", None)) == (first, False)
    plain = "SELECT sereno.enqueue('shop.mail', '{}', NULL, NULL, 'k')"
    assert await scene.value(plain) == first
    assert await scene.value("SELECT count(*) FROM sereno.run") == 1


async def test_a_run_that_said_no_span_holds_its_key_while_it_is_not_over(scene: Scene) -> None:
    (first, _) = await scene.eye.fetchrow(BY_KEY, "k", None)
    assert tuple(await scene.eye.fetchrow(BY_KEY, "k", MONTH)) == (first, False)
    assert await scene.value("SELECT count(*) FROM sereno.unique_key") == 0
    await ended(scene, first)
    second, new = await scene.eye.fetchrow(BY_KEY, "k", MONTH)
    assert (new, second > first) == (True, True)


# --- what the job declares --------------------------------------------------------------------


async def test_what_a_job_declares_holds_for_every_one_who_asks(scene: Scene) -> None:
    first = await scene.enqueue("shop.monthly", a=1)
    await ended(scene, first)
    assert await scene.enqueue("shop.monthly", a=1) == first
    assert await scene.enqueue("shop.monthly", a=2) != first


async def test_named_params_make_the_key(scene: Scene) -> None:
    first = await scene.enqueue("shop.site", site="rome", day=1)
    assert await scene.enqueue("shop.site", site="rome", day=2) == first
    assert await scene.enqueue("shop.site", site="oslo", day=1) != first
    with pytest.raises(asyncpg.InvalidParameterValueError, match="'site' is missing, which its"):
        await scene.enqueue("shop.site", day=1)


async def test_names_without_a_span_hold_while_the_run_is_not_over(scene: Scene) -> None:
    first = await scene.enqueue("shop.once", site="rome", day=1)
    assert await scene.enqueue("shop.once", site="rome", day=2) == first
    await ended(scene, first)
    assert await scene.enqueue("shop.once", site="rome", day=2) != first


async def test_a_span_of_nothing_sets_off_what_the_job_says(scene: Scene) -> None:
    first = await scene.enqueue("shop.monthly", a=1)
    second, new = await asked(scene, "shop.monthly", timedelta(0), a=1)
    assert (new, second != first) == (True, True)


async def test_a_secret_param_makes_no_key(scene: Scene) -> None:
    first, _ = await asked(scene, "shop.order", site="rome", token="a")
    assert await asked(scene, "shop.order", site="rome", token="b") == (first, False)
    call = "SELECT sereno.enqueue('shop.order', '{\"site\": \"x\"}', unique_by => '{token}')"
    with pytest.raises(asyncpg.InvalidParameterValueError, match="'token' is secret, and a key"):
        await scene.value(call)
    with pytest.raises(DeclarationError, match="param 'token' is secret, and a key that is kept"):
        job("a.b", params=Order, unique_by=["token"])(nothing).check()


async def test_a_schedule_cannot_say_it_and_an_unknown_param_is_named() -> None:
    with pytest.raises(DeclarationError, match="unique_for is of the job, over all its schedules"):
        schedule(parse("every 1h"), unique_for="1d")
    with pytest.raises(DeclarationError, match="unknown param 'sight', did you mean 'site'"):
        job("a.b", params=Order, unique_by=["sight"])(nothing).check()


# --- who is told of what ----------------------------------------------------------------------


async def test_every_door_tells_which_run_holds_the_key(scene: Scene, database: str) -> None:
    mail: Job[Any] = job("shop.mail")(nothing)
    async with Client.open(database) as client:
        first = await client.request(mail, {"a": 1}, unique_for="30d")
        assert first.new
        assert first.held_until == first.queued_at + MONTH or first.held_until
        await ended(scene, first.run_id, "failed")
        told = await client.request("shop.mail", {"a": 1}, unique_for=60)
        assert (told.run_id, told.new, told.state) == (first.run_id, False, "failed")
        assert told.finished_at is not None
        assert told.held_until == first.held_until
        assert await client.enqueue(mail, {"a": 1}, unique_for="1m") == first.run_id
        (both,) = await client.request_many(mail, [{"a": 1}], unique_for="30d")
        assert both == told
        assert (await client.run(first.run_id)).held_until == first.held_until
        off = await client.request("shop.mail", {"a": 1}, unique_for=0)
        assert (off.new, off.held_until) == (True, None)


async def test_a_caller_in_its_own_transaction_is_told_too(scene: Scene, database: str) -> None:
    with SyncClient.open(database) as client:
        (first,) = client.request_many("shop.mail", [{}], unique_keys=["k"], unique_for="1d")
    async with Client.open(database) as other, connected(database) as own:
        undone = own.transaction()
        await undone.start()
        told = await other.request_many(
            "shop.mail", [{}, {}], unique_keys=["k", "l"], unique_for="1d", connection=own
        )
        assert [(t.new, t.state) for t in told] == [(False, "queued"), (True, "queued")]
        assert told[0].run_id == first.run_id
        await undone.rollback()
        again = await other.request_many("shop.mail", [{}], unique_keys=["l"], unique_for="1d")
        assert again[0].new


async def test_a_pruned_run_holds_its_key_on_and_is_told_as_it_ended(
    scene: Scene, database: str
) -> None:
    first, _ = await asked(scene, "shop.mail", MONTH, a=1)
    await ended(scene, first, "failed")
    unbegun, _ = await asked(scene, "shop.mail", MONTH, a=2)
    await ended(scene, unbegun, "cancelled", attempt=0)
    while await scene.value("SELECT sereno.prune('100 days', 0)"):
        pass
    assert await scene.value("SELECT count(*) FROM sereno.run") == 0
    async with Client.open(database) as client:
        told = await client.request("shop.mail", {"a": 1}, unique_for="30d")
        assert (told.run_id, told.new, told.state) == (first, False, "failed")
        assert told.finished_at is not None
        assert (await client.request("shop.mail", {"a": 2}, unique_for="30d")).new
    await later(scene, 2 * MONTH)
    await scene.value("SELECT sereno.prune('100 days', 0)")
    held = await scene.rows("SELECT run_id > $1 FROM sereno.unique_key", first)
    assert held == [(True,)]


# --- many ---------------------------------------------------------------------------------------


async def test_many_are_told_apart_and_equals_among_them_are_one(
    scene: Scene, database: str
) -> None:
    async with Client.open(database) as client:
        first = await client.enqueue("shop.mail", {"n": 2}, unique_for="1d")
        found = await client.enqueue_many(
            "shop.mail", [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 1}], unique_for="1d"
        )
        assert found[1] == first
        assert found[0] == found[3]
        assert len(set(found)) == 3
        assert await client.enqueue_many("shop.monthly", [], unique_for="1d") == []
        with pytest.raises(ParamsError, match="there are 1 unique keys for 2 params"):
            await client.enqueue_many("shop.mail", [{}, {}], unique_keys=["k"])
        with pytest.raises(ParamsError, match="params 2: param 'n' is missing"):
            await client.enqueue_many("shop.mail", [{"n": 1}, {}], unique_by=["n"])


async def test_ten_thousand_of_which_all_are_held(scene: Scene) -> None:
    many = (
        "SELECT count(DISTINCT i) FROM sereno.enqueue_many('shop.monthly',"
        " (SELECT array_agg(jsonb_build_object('n', n)) FROM generate_series(1, 10000) AS n)) AS i"
    )
    assert await scene.value(many) == 10_000
    assert await scene.value(many) == 10_000
    assert await scene.value("SELECT count(*) FROM sereno.run") == 10_000


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("unique_for => '-1 s'", "unique_for is -00:00:01, it must be from 0 to 3650 days"),
        ("unique_for => '11 years'", "unique_for is 11 years, it must be from 0 to 3650 days"),
        ("unique_by => '{}'", "unique_by names no param; leave it out to compare all of them"),
        ("unique_by => '{NULL}'", "unique_by names no param"),
        ("unique_by => '{a}'", "param 'a' is missing, which its unique_by names"),
        ("unique_by => '{a}', unique_key => 'k'", "a unique key and unique_by are both given"),
        ("unique_key => repeat('k', 2001), unique_for => '1 s'", "of 2001 bytes, it must be of"),
    ],
)
async def test_what_cannot_be_a_key_is_refused(scene: Scene, said: str, sentence: str) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError) as refused:
        await scene.value(f"SELECT sereno.enqueue('shop.mail', {said})")
    assert sentence in str(refused.value)
    assert await scene.value("SELECT count(*) FROM sereno.run") == 0


# --- two at once ------------------------------------------------------------------------------


@pytest.mark.parametrize("commits", [True, False])
async def test_of_two_at_once_one_wins_and_the_other_is_told_which(
    scene: Scene, database: str, commits: bool
) -> None:
    async with connected(database) as one, connected(database) as other:
        open_ = one.transaction()
        await open_.start()
        first = (await one.fetchrow(BY_KEY, "k", MONTH))["run_id"]
        waits = asyncio.ensure_future(other.fetchrow(BY_KEY, "k", MONTH))
        await scene.until_blocked()
        await (open_.commit() if commits else open_.rollback())
        found = await waits
    assert found["new"] is not commits
    assert (found["run_id"] == first) is commits
    assert await scene.value("SELECT count(*) FROM sereno.run") == 1


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
async def test_a_stricter_caller_is_told_to_try_again_and_then_which_run_it_is(
    scene: Scene, database: str, isolation: Any
) -> None:
    async with connected(database) as one, connected(database) as other:
        begun, second = one.transaction(isolation=isolation), other.transaction(isolation=isolation)
        await begun.start()
        first = (await one.fetchrow(BY_KEY, "k", MONTH))["run_id"]
        await second.start()
        waits = asyncio.ensure_future(other.fetchrow(BY_KEY, "k", MONTH))
        await scene.until_blocked()
        await begun.commit()
        with pytest.raises(asyncpg.SerializationError):
            await waits
        await second.rollback()
        async with other.transaction(isolation=isolation):
            assert tuple(await other.fetchrow(BY_KEY, "k", MONTH)) == (first, False)


async def test_serializable_callers_of_other_keys_do_not_disturb_one_another(
    scene: Scene, database: str
) -> None:
    async with connected(database) as one, connected(database) as other:
        pair = [c.transaction(isolation="serializable") for c in (one, other)]
        for each in pair:
            await each.start()
        for n in range(20):
            assert (await one.fetchrow(BY_KEY, f"a{n}", MONTH))["new"]
            assert (await other.fetchrow(BY_KEY, f"b{n}", MONTH))["new"]
        for each in pair:
            await each.commit()
    assert await scene.value("SELECT count(*) FROM sereno.unique_key") == 40


async def test_who_is_refused_keeps_nobody_waiting(scene: Scene, database: str) -> None:
    await scene.eye.fetchrow(BY_KEY, "k", MONTH)
    async with connected(database) as one, connected(database) as other, one.transaction():
        assert not (await one.fetchrow(BY_KEY, "k", MONTH))["new"]
        await other.execute("SET lock_timeout = '5s'")
        assert not (await other.fetchrow(BY_KEY, "k", MONTH))["new"]


async def test_calls_for_many_in_opposite_order_do_not_lock_one_another_out(
    scene: Scene, database: str
) -> None:
    call = (
        "SELECT sereno.enqueue_many('shop.mail', array_fill('{}'::jsonb, ARRAY[200]),"
        " unique_for => '1 d', unique_keys => (SELECT array_agg('k' || n ORDER BY n * $1::int)"
        " FROM generate_series(1, 200) AS n))"
    )
    async with connected(database) as one, connected(database) as other:
        for _ in range(5):
            await asyncio.gather(one.fetch(call, 1), other.fetch(call, -1))
            assert await scene.value("SELECT count(*) FROM sereno.run") == 200
            await scene.value("TRUNCATE sereno.run, sereno.unique_key CASCADE")


@pytest.mark.parametrize("plain", [0, 1, 2])
async def test_of_many_at_once_over_an_expired_key_exactly_one_wins(
    scene: Scene, database: str, plain: int
) -> None:
    pool = await asyncpg.create_pool(database, min_size=8, max_size=8)
    assert pool is not None
    try:
        for _ in range(20):
            await scene.value("TRUNCATE sereno.run, sereno.unique_key CASCADE")
            old, _ = await scene.eye.fetchrow(BY_KEY, "k", MONTH)
            await ended(scene, old)
            await later(scene, 2 * MONTH)
            spans = [None if n < plain else MONTH for n in range(8)]
            found = await asyncio.gather(*(pool.fetchrow(BY_KEY, "k", span) for span in spans))
            assert sum(row["new"] for row in found) == 1
            assert len({row["run_id"] for row in found}) == 1
            assert found[0]["run_id"] > old
    finally:
        pool.terminate()
