"""A run for each of a list, and one more once all are over: once, whatever happens meanwhile."""

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import msgspec
import pytest

from sereno import FanIn, ParamsError, RunContext, RunSuperseded, job
from sereno.model.job import Job
from sereno.testing import Kernel

Seen = list[Any]

HELD = """
CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.run_at = 'infinity'; RETURN NEW; END $$;
CREATE TRIGGER held BEFORE INSERT ON sereno.run FOR EACH ROW
   WHEN (NEW.fan_out IS NOT NULL) EXECUTE FUNCTION held()
"""
"""Children wait until the test says so."""


class Site(msgspec.Struct):
    site: str
    fails: bool = False


def jobs(seen: Seen, params: list[Any], **given: Any) -> tuple[Job, Job, Job]:
    """Return a job that fans out to `params`, its children, and what follows."""

    @job("site.pull", params=Site)
    async def pull(run: RunContext[Site]) -> None:
        seen.append(run.params.site)
        if run.params.fails:
            raise ValueError("no answer")

    @job("site.report")
    async def report(run: RunContext) -> None:
        seen.append(run.fan_in)

    @job("site.all")
    async def every_site(run: RunContext) -> int:
        found = await run.fan_out(pull, params, then=given.pop("then", report), **given)
        return found.total

    return every_site, pull, report


def named(*sites: str, failing: tuple[str, ...] = ()) -> list[Any]:
    return [{"site": site, "fails": site in failing} for site in sites]


async def whole(kernel: Kernel) -> None:
    account = await kernel.client.verify("1d")
    assert account.holds, account.faults


@pytest.mark.parametrize("count", [0, 1, 10])
async def test_a_run_for_each_and_one_once_all_are_over(sereno_database: str, count: int) -> None:
    seen: Seen = []
    sites = [f"s{n}" for n in range(count)]
    async with Kernel(*jobs(seen, named(*sites)), database=sereno_database) as kernel:
        parent = await kernel.client.enqueue("site.all")
        ended = await kernel.drain()
        children = [e for e in ended if e.job == "site.pull"]
        assert (await kernel.client.run(parent)).result == count
        (joined,) = [e.run_id for e in ended if e.job == "site.report"]
        assert (await kernel.client.run(joined)).requested_by == f"run {parent}"
        await whole(kernel)
    assert sorted(seen[:-1]) == sorted(sites)
    assert len(children) == count
    assert seen[-1] == FanIn(
        id=1,
        run_id=parent,
        job="site.pull",
        total=count,
        succeeded=count,
        failed=0,
        failed_runs=[],
        on_failure="fail",
    )


async def test_the_join_fails_by_name_where_a_child_did(sereno_database: str) -> None:
    seen: Seen = []
    params = named("a", "b", "c", failing=("b",))
    async with Kernel(*jobs(seen, params), database=sereno_database) as kernel:
        parent = await kernel.client.enqueue("site.all")
        ended = await kernel.drain()
        await whole(kernel)
    (failed,) = [e.run_id for e in ended if e.job == "site.pull" and e.state == "failed"]
    assert seen == ["a", "b", "c"]
    assert (ended[-1].job, ended[-1].state) == ("site.report", "failed")
    assert ended[-1].error == (
        "job 'site.report': 1 of the 3 runs of job 'site.pull' that it waited for did not succeed "
        f"(run {failed}); with on_failure='continue' it runs all the same, and "
        f"`sereno retry {parent} --chain` tries those again"
    )


async def test_a_join_that_goes_on_is_told_how_many_failed_and_which(sereno_database: str) -> None:
    seen: Seen = []
    params = named("a", "b", "c", failing=("a", "c"))
    given = jobs(seen, params, on_failure="continue")
    async with Kernel(*given, database=sereno_database) as kernel:
        await kernel.client.enqueue("site.all")
        ended = await kernel.drain()
        await whole(kernel)
    joined = seen[-1]
    assert (joined.total, joined.succeeded, joined.failed) == (3, 1, 2)
    assert joined.failed_runs == [
        e.run_id for e in ended if e.job == "site.pull" and e.state == "failed"
    ]


async def test_another_attempt_finds_what_the_first_has_fanned_out(sereno_database: str) -> None:
    seen: Seen = []
    _, pull, report = jobs(seen, [])

    @job("site.some", retry=3)
    async def some(run: RunContext) -> None:
        found = await run.fan_out(pull, named(f"try{run.attempt}"), then=report)
        seen.append(found.new)
        if run.attempt < 3:
            raise OSError("the network is away")

    async with Kernel(some, pull, report, database=sereno_database) as kernel:
        await kernel.client.enqueue("site.some")
        await kernel.advance("1h")
        await whole(kernel)
    assert [x for x in seen if isinstance(x, bool)] == [True, False, False]
    assert [x for x in seen if isinstance(x, str)] == ["try1"]
    assert sum(isinstance(x, FanIn) for x in seen) == 1


async def test_children_are_queued_with_what_the_job_writes_or_not_at_all(
    sereno_database: str,
) -> None:
    seen: Seen = []
    _, pull, report = jobs(seen, [])

    @job("site.some")
    async def some(run: RunContext) -> None:
        async with run.database() as connection:
            given_up = connection.transaction()
            await given_up.start()
            await run.fan_out(pull, named("no"), then=report, connection=connection)
            await given_up.rollback()
            async with connection.transaction():
                await run.fan_out(pull, named("yes"), key="2", connection=connection)

    async with Kernel(some, pull, report, database=sereno_database) as kernel:
        await kernel.client.enqueue("site.some")
        ended = await kernel.drain()
        await whole(kernel)
    assert seen == ["yes"]
    assert [e.job for e in ended] == ["site.some", "site.pull"]


async def test_a_run_that_another_has_taken_over_fans_nothing_out(sereno_database: str) -> None:
    _, pull, report = jobs([], [])

    @job("site.some")
    async def some(run: RunContext) -> None:
        async with run.database() as connection:
            await connection.execute(
                "UPDATE sereno.run SET token = gen_random_uuid() WHERE id = $1", run.run_id
            )
        with pytest.raises(RunSuperseded):
            await run.fan_out(pull, named("a"))
        async with run.database() as connection:
            await connection.execute(
                "UPDATE sereno.run SET token = $2 WHERE id = $1", run.run_id, run.token
            )

    async with Kernel(some, pull, report, database=sereno_database) as kernel:
        await kernel.client.enqueue("site.some")
        assert [(e.job, e.state) for e in await kernel.drain()] == [("site.some", "succeeded")]


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda run: run.fan_out("site.pul", [{}]), "unknown job 'site.pul', did you mean"),
        (lambda run: run.fan_out("site.pull", [{"site": 1}]), "params 1: param 'site' is a JSON"),
        (lambda run: run.fan_out("site.pull", [], then="site.repor"), "unknown job 'site.repor'"),
        (lambda run: run.fan_out("site.pull", [], on_failure="stop"), "must be fail or continue"),
        (lambda run: run.fan_out("site.pull", [], then_params={}), "no job for them by then="),
        (lambda run: run.fan_out("site.pull", [{}] * 100_001), "100,001 params are more than"),
        (lambda run: run.fan_out("site.pull", [], key="k" * 201), "a text of at most 200"),
        (lambda run: run.fan_out("site.pull", [], priority=40_000), "from -32768 to 32767"),
    ],
)
async def test_what_cannot_be_fanned_out_to_is_refused_with_a_sentence(
    sereno_database: str, call: Callable[[RunContext], Any], why: str
) -> None:
    _, pull, report = jobs([], [])

    @job("site.some")
    async def some(run: RunContext) -> None:
        await call(run)

    async with Kernel(some, pull, report, database=sereno_database) as kernel:
        await kernel.client.enqueue("site.some")
        (ended,) = await kernel.drain()
        assert ended.error is not None
        assert why in ended.error
        assert not (await kernel.client.runs(limit=10)).items[1:]


async def test_each_fan_out_of_a_run_has_a_key_of_its_own(sereno_database: str) -> None:
    seen: Seen = []
    _, pull, report = jobs(seen, [])

    @job("site.some")
    async def some(run: RunContext) -> None:
        await run.fan_out(pull, named("a"), then=report)
        with pytest.raises(ParamsError, match="the key '' is used already by this run"):
            await run.fan_out(pull, named("b"), then=report)
        await run.fan_out(pull, named("b"), then=report, key="other")

    async with Kernel(some, pull, report, database=sereno_database) as kernel:
        await kernel.client.enqueue("site.some")
        await kernel.drain()
        await whole(kernel)
    assert sorted(x for x in seen if isinstance(x, str)) == ["a", "b"]
    assert sum(isinstance(x, FanIn) for x in seen) == 2


async def test_cancelled_and_deleted_children_count_as_ended(sereno_database: str) -> None:
    seen: Seen = []
    given = jobs(seen, named("a", "b", "c"), on_failure="continue")
    async with Kernel(*given, database=sereno_database) as kernel:
        connection = await asyncpg.connect(sereno_database)
        try:
            await kernel.client.enqueue("site.all")
            await connection.execute(HELD)
            await kernel.drain()
            a, b, c = await connection.fetchval(
                "SELECT array_agg(id ORDER BY id) FROM sereno.run WHERE job = 'site.pull'"
            )
            await kernel.client.cancel(a)
            await connection.execute("DELETE FROM sereno.run WHERE id = $1", b)
            assert seen == []
            await connection.execute("UPDATE sereno.run SET run_at = '2020-01-01' WHERE id = $1", c)
            await kernel.drain()
        finally:
            await connection.close()
        await whole(kernel)
    assert seen[0] == "c"
    assert (seen[1].succeeded, seen[1].failed, seen[1].failed_runs) == (1, 2, [a])


async def test_the_last_two_children_end_at_the_same_time_and_one_join_follows(
    sereno_database: str,
) -> None:
    seen: Seen = []
    async with Kernel(*jobs(seen, named("a", "b")), database=sereno_database) as kernel:
        one, two = await asyncpg.connect(sereno_database), await asyncpg.connect(sereno_database)
        try:
            await one.execute(HELD)
            for n in range(20):
                await kernel.client.enqueue("site.all")
                await kernel.drain()
                a, b = await one.fetchval(
                    "SELECT array_agg(id) FROM sereno.run WHERE job = 'site.pull'"
                    " AND state = 'queued'"
                )
                end = "UPDATE sereno.run SET state = 'succeeded', finished_at = now() WHERE id = $1"
                first, second = one.transaction(), two.transaction()
                await first.start()
                await second.start()
                await one.execute(end, a)
                await two.execute(end, b)
                await asyncio.gather(first.commit(), second.commit())
                await kernel.drain()
                assert len(seen) == n + 1
        finally:
            await one.close()
            await two.close()
        await whole(kernel)


@pytest.mark.timeout(240)
async def test_ten_thousand_children_do_not_hold_up_who_comes_after_them(
    sereno_database: str,
) -> None:
    order: list[str] = []

    @job("site.pull")
    async def pull(run: RunContext) -> None:
        order.append("child")
        if len(order) == 500:
            await run.enqueue("site.other")

    @job("site.report")
    async def report(run: RunContext) -> None:
        assert run.fan_in is not None
        order.append(f"joined {run.fan_in.succeeded}")

    @job("site.other")
    async def other(run: RunContext) -> None:
        order.append("other")

    @job("site.all")
    async def every_site(run: RunContext) -> None:
        await run.fan_out(pull, [{}] * 10_000, then=report)

    given = (every_site, pull, report, other)
    async with Kernel(*given, database=sereno_database, limit=200) as kernel:
        await kernel.client.enqueue("site.all")
        await kernel.drain()
        await whole(kernel)
    assert order.count("child") == 10_000
    assert order.index("other") < 5_000
    assert order[-1] == "joined 10000"


async def test_a_group_of_outcomes_counts_its_children_by_one_update(sereno_database: str) -> None:
    async with Kernel(*jobs([], named()), database=sereno_database):
        connection = await asyncpg.connect(sereno_database)
        try:
            await connection.execute(
                """CREATE TABLE counted (n integer);
                CREATE FUNCTION counts() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN INSERT INTO counted VALUES (1); RETURN NEW; END $$;
                CREATE TRIGGER counts BEFORE UPDATE OF ended ON sereno.fan_out
                   FOR EACH ROW EXECUTE FUNCTION counts()"""
            )
            await connection.execute(
                """SELECT sereno.fan_out(7, 'site.pull',
                       ARRAY(SELECT '{"site": "a"}'::jsonb FROM generate_series(1, 5000)),
                       'site.report', NULL, 'continue', k, NULL, NULL)
                     FROM unnest('{a,b}'::text[]) AS k"""
            )
            await connection.execute(
                "UPDATE sereno.run SET finished_at = now(), state = CASE WHEN id % 2 = 0"
                " THEN 'failed' ELSE 'succeeded' END WHERE fan_out IS NOT NULL"
            )
            assert await connection.fetchval("SELECT count(*) FROM counted") == 2
            rows = await connection.fetch(
                "SELECT total, ended, failed, join_run FROM sereno.fan_out"
            )
            assert [tuple(r)[:3] for r in rows] == [(5_000, 5_000, 2_500)] * 2
            assert len({r["join_run"] for r in rows}) == 2
        finally:
            await connection.close()


async def test_children_and_what_follows_begin_in_time_as_their_jobs_say(
    sereno_database: str,
) -> None:
    @job("site.pull", start_by="1h")
    async def pull(run: RunContext) -> None: ...

    @job("site.report", start_by="2h")
    async def report(run: RunContext) -> None: ...

    @job("site.all")
    async def every_site(run: RunContext) -> None:
        await run.fan_out(pull, [{}], then=report)

    async with Kernel(every_site, pull, report, database=sereno_database) as kernel:
        await kernel.client.enqueue("site.all")
        await kernel.drain()
        connection = await asyncpg.connect(sereno_database)
        try:
            rows = await connection.fetch(
                "SELECT job, extract(epoch FROM start_by - queued_at) / 3600 AS hours"
                " FROM sereno.run WHERE start_by IS NOT NULL ORDER BY job"
            )
        finally:
            await connection.close()
    assert [(r["job"], round(float(r["hours"]), 3)) for r in rows] == [
        ("site.pull", 1),
        ("site.report", 2),
    ]
