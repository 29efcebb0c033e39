"""What a chained run is given of the runs before it, and what runs alone."""

from typing import Annotated, Any

import asyncpg
import msgspec
import pytest

from sereno import Client, DeclarationError, ParamsError, RunContext, Secret, job
from sereno.model.errors import PluginError
from sereno.testing import Kernel

pytestmark = pytest.mark.every_loop


class Site(msgspec.Struct):
    site: str


class Merge(msgspec.Struct):
    highest_id_after: int
    site: str
    limit: int = 5_000


Given = list[tuple[str, Any]]


def telemetry(given: Given, result: Any) -> tuple[Any, ...]:
    """Return the chain of the telemetry system: sync, then merge with what sync has found."""

    @job("telemetry.sync", params=Site)
    async def sync(run: RunContext[Site]) -> Any:
        return result

    @job(
        "telemetry.merge",
        after="telemetry.sync",
        params=Merge,
        params_from={"highest_id_after": "result.highest_id_after", "site": "params.site"},
    )
    async def merge(run: RunContext[Merge]) -> None:
        given.append((run.job, run.params))

    return sync, merge


async def test_a_job_gets_its_params_from_the_result_and_the_params_of_the_one_before(
    sereno_database: str,
) -> None:
    given: Given = []
    jobs = telemetry(given, {"downloaded": 5_000, "highest_id_after": 73_000})
    async with Kernel(*jobs, database=sereno_database) as kernel:
        first = await kernel.client.enqueue("telemetry.sync", {"site": "lugo"})
        ended = await kernel.drain()
        assert [(e.job, e.state) for e in ended] == [
            ("telemetry.sync", "succeeded"),
            ("telemetry.merge", "succeeded"),
        ]
        merged = await kernel.client.run(ended[1].run_id)
    assert given == [("telemetry.merge", Merge(73_000, "lugo"))]
    assert (merged.cause, merged.requested_by) == ("chain", f"run {first}")
    assert merged.params == {"highest_id_after": 73_000, "site": "lugo"}


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ({"rows": 3, "seconds": 1}, "its result has no 'highest_id_after', it has rows, seconds"),
        ({}, "its result has no 'highest_id_after', it has nothing"),
        (None, "its result is nothing"),
        ([1, 2], "its result is a list of 2, which has no 'highest_id_after'"),
        ("done", "its result is str, no object"),
    ],
)
async def test_what_is_missing_fails_the_run_that_was_to_have_it_with_a_sentence(
    sereno_database: str, result: Any, why: str
) -> None:
    given: Given = []
    async with Kernel(*telemetry(given, result), database=sereno_database) as kernel:
        await kernel.client.enqueue("telemetry.sync", {"site": "lugo"})
        ended = await kernel.drain()
        with pytest.raises(ParamsError, match="param 'highest_id_after' is missing"):
            await kernel.client.retry(ended[1].run_id)
        assert (await kernel.client.verify("1d")).holds
    assert [e.state for e in ended] == ["succeeded", "failed"]
    assert ended[1].error == (
        "job 'telemetry.merge': param 'highest_id_after' comes from result.highest_id_after of "
        f"telemetry.sync, and {why}"
    )
    assert given == []


async def test_null_is_a_value_and_is_handed_on_as_one(sereno_database: str) -> None:
    given: Given = []

    @job("a.one")
    async def one(run: RunContext) -> Any:
        return {"found": None, "rows": [{"id": 7}, {"id": 9}]}

    @job(
        "a.two",
        after="a.one",
        params_from={"found": "result.found", "last": "result.rows.-1.id", "all": "result"},
    )
    async def two(run: RunContext) -> None:
        given.append((run.job, run.params))

    async with Kernel(one, two, database=sereno_database) as kernel:
        await kernel.client.enqueue(one)
        await kernel.drain()
    whole = {"found": None, "rows": [{"id": 7}, {"id": 9}]}
    assert given == [("a.two", {"found": None, "last": 9, "all": whole})]


async def test_a_job_after_several_says_of_which_each_param_is(sereno_database: str) -> None:
    given: Given = []

    @job("a.left")
    async def left(run: RunContext) -> Any:
        return {"rows": 3}

    @job("a.right")
    async def right(run: RunContext) -> Any:
        return {"rows": 4}

    @job(
        "a.join",
        after=["a.left", "a.right"],
        params_from={"rows": "result.rows of a.right", "day": "params.day of a.left"},
        concurrency_key="day {day}",
    )
    async def join(run: RunContext) -> None:
        given.append((run.job, run.params))

    async with Kernel(left, right, join, database=sereno_database) as kernel:
        await kernel.client.enqueue(left, {"day": "mon"})
        await kernel.client.enqueue(right)
        ended = await kernel.drain()
        assert (await kernel.client.run(ended[-1].run_id)).concurrency_key == "day mon"
    assert given == [("a.join", {"rows": 4, "day": "mon"})]


class Login(msgspec.Struct):
    user: str
    password: Annotated[str, Secret]


class Result(msgspec.Struct):
    rows: int
    names: list[str]


class Wanted(msgspec.Struct):
    since: int
    other: str = ""


@pytest.mark.parametrize(
    ("upstream", "declared", "why"),
    [
        ({}, {"x": "outcome.rows"}, "must begin with result or params"),
        ({}, {"x": "params"}, "must begin with result or params, and keys after it"),
        ({}, {"x": "result..rows"}, "must begin with result or params, and keys after it"),
        ({}, {"x": "result.rows of a.other"}, "is of 'a.other', which it does not follow"),
        ({}, {"x": 7}, "is 7, it must be a text"),
        ({"params": Login}, {"x": "params.password"}, "is secret and ends with its run"),
        ({"params": Login}, {"x": "params.usr"}, "has no 'usr', did you mean 'user'?"),
    ],
)
async def test_what_cannot_be_handed_on_is_refused_as_it_is_declared(
    sereno_database: str, upstream: Any, declared: Any, why: str
) -> None:
    @job("a.one", **upstream)
    async def one(run: RunContext) -> None: ...

    async def declare() -> None:
        @job("a.two", after="a.one", params_from=declared)
        async def two(run: RunContext) -> None: ...

        async with Kernel(one, two, database=sereno_database):
            raise AssertionError("it was taken")

    with pytest.raises((DeclarationError, PluginError), match=why.replace("?", r"\?")):
        await declare()


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ({"since": "result.row"}, "has no 'row', did you mean 'rows'?"),
        ({"since": "result.names"}, "is a JSON array, and it must be a number"),
        ({"since": "result.rows.first"}, "'rows' is a JSON number, which holds nothing"),
        ({"other": "result.names.0"}, "param 'since' is required, and nothing says where it"),
        ({"since": "result.rows", "othr": "result"}, "unknown param 'othr', did you mean 'other'?"),
    ],
)
async def test_what_has_another_type_is_refused_as_it_is_declared(
    sereno_database: str, declared: Any, why: str
) -> None:
    @job("a.one")
    async def one(run: RunContext) -> Result:
        return Result(1, [])

    @job("a.two", after="a.one", params=Wanted, params_from=declared)
    async def two(run: RunContext[Wanted]) -> None: ...

    with pytest.raises(PluginError, match=why.replace("?", r"\?")):
        async with Kernel(one, two, database=sereno_database):
            raise AssertionError("it was taken")


async def test_a_run_alone_has_nothing_after_it_and_says_so(sereno_database: str) -> None:
    given: Given = []
    jobs = telemetry(given, {"highest_id_after": 1})
    async with Kernel(*jobs, database=sereno_database) as kernel:
        client: Client = kernel.client
        alone = await client.enqueue("telemetry.sync", {"site": "lugo"}, alone=True)
        ended = await kernel.drain()
        again = await client.retry(alone)
        ended += await kernel.drain()
        assert (await client.run(alone)).alone
        assert (await client.run(again)).alone
        asked = await client.request("telemetry.sync", {"site": "vigo"}, alone=True)
        ended += await kernel.drain()
        assert (await client.run(asked.run_id)).alone
    assert [e.job for e in ended] == ["telemetry.sync"] * 3
    assert given == []


async def test_a_run_alone_does_not_arrive_at_a_fan_in(sereno_database: str) -> None:
    @job("a.left")
    async def left(run: RunContext) -> None: ...

    @job("a.right")
    async def right(run: RunContext) -> None: ...

    @job("a.join", after=["a.left", "a.right"])
    async def join(run: RunContext) -> None: ...

    async with Kernel(left, right, join, database=sereno_database) as kernel:
        await kernel.client.enqueue(left, alone=True)
        await kernel.client.enqueue(right)
        assert [e.job for e in await kernel.drain()] == ["a.left", "a.right"]


async def test_a_program_in_sql_queues_a_run_alone_in_its_own_transaction(
    sereno_database: str,
) -> None:
    async with Kernel(*telemetry([], {}), database=sereno_database) as kernel:
        connection = await asyncpg.connect(sereno_database)
        try:
            async with connection.transaction():
                await connection.fetchval("SELECT pg_current_xact_id()")
                async with connection.transaction():  # a savepoint
                    run = await connection.fetchval(
                        "SELECT sereno.alone(sereno.enqueue('telemetry.sync', '{\"site\": \"a\"}'))"
                    )
            other = await kernel.client.enqueue("telemetry.sync", {"site": "b"}, unique_key="u")
            with pytest.raises(asyncpg.PostgresError, match="was queued before this transaction"):
                await connection.fetchval("SELECT sereno.alone($1)", other)
        finally:
            await connection.close()
        assert (await kernel.client.run(run)).alone
        with pytest.raises(ParamsError, match="what is chained after it follows"):
            await kernel.client.enqueue("telemetry.sync", {"site": "b"}, unique_key="u", alone=True)
