"""A whole chain is seen, waited for, stopped, and tried again from where it failed."""

from collections import Counter
from typing import Any

import asyncpg
import pytest

from sereno import ConflictError, NotFoundError, RunContext, WaitTimeoutError, job
from sereno.model.job import Job
from sereno.testing import Kernel

from .test_fan_out import HELD, jobs, named, whole


class Broken:
    """Names of jobs that fail for now, and how often each has run."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.runs: Counter[str] = Counter()


def diamond(broken: Broken) -> list[Job]:
    """Return A, then B and C, then D."""

    async def work(run: RunContext) -> None:
        broken.runs[run.job] += 1
        if run.job in broken.names:
            raise ValueError("broken")

    after: dict[str, list[str]] = {"d.a": [], "d.b": ["d.a"], "d.c": ["d.a"], "d.d": ["d.b", "d.c"]}
    return [job(name, after=upstream)(work) for name, upstream in after.items()]


async def test_a_chain_is_tried_again_from_the_step_that_failed(sereno_database: str) -> None:
    broken = Broken("d.c")
    async with Kernel(*diamond(broken), database=sereno_database) as kernel:
        client = kernel.client
        first = await client.enqueue("d.a")
        await kernel.drain()
        found = await client.chain(first)
        assert (found.over, found.failed, found.succeeded) == (True, 1, False)
        assert broken.runs == {"d.a": 1, "d.b": 1, "d.c": 1}
        broken.names.clear()
        again = await client.retry_chain(first)
        assert (len(again.steps), again.children) == (1, 0)
        await kernel.drain()
        found = await client.wait_chain(first)
        assert found.succeeded
        with pytest.raises(ConflictError, match="no step of the chain"):
            await client.retry_chain(first)
    assert broken.runs == {"d.a": 1, "d.b": 1, "d.c": 2, "d.d": 1}
    assert {one.job for one in found.runs} == {"d.a", "d.b", "d.c", "d.d"}
    assert found.repeated == tuple(again.steps)


async def test_a_cancelled_chain_is_followed_by_nothing_until_it_is_tried_again(
    sereno_database: str,
) -> None:
    broken = Broken()
    async with Kernel(*diamond(broken), database=sereno_database) as kernel:
        client = kernel.client
        first = await client.enqueue("d.a")
        stopped = await client.cancel_chain(first, reason="wrong day")
        assert (stopped.cancelled, stopped.asked) == (1, 0)
        await kernel.drain()
        assert broken.runs == {}
        assert (await client.run(first)).error is not None
        with pytest.raises(ConflictError, match="is over already"):
            await client.cancel_chain(first)
        await client.retry_chain(first)
        await kernel.drain()
    assert broken.runs == {"d.a": 1, "d.b": 1, "d.c": 1, "d.d": 1}


async def test_nothing_follows_a_run_that_succeeds_before_it_hears_of_the_end(
    sereno_database: str,
) -> None:
    seen: list[str] = []

    @job("d.a")
    async def first(run: RunContext) -> None:
        async with run.database() as connection:  # as cancel_chain does, and nobody is told yet
            await connection.execute(
                "INSERT INTO sereno.cancel_request (run_id, requested_by, chain)"
                " VALUES ($1, 'ana', true)",
                run.run_id,
            )

    @job("d.b", after="d.a")
    async def second(run: RunContext) -> None:
        seen.append("followed")

    async with Kernel(first, second, database=sereno_database) as kernel:
        run = await kernel.client.enqueue("d.a")
        await kernel.drain()
        assert (await kernel.client.run(run)).state in ("succeeded", "cancelled")
    assert seen == []


async def test_a_fan_out_is_tried_again_with_its_failed_children_alone(
    sereno_database: str,
) -> None:
    seen: list[Any] = []
    fails = {"b"}

    @job("site.pull")
    async def pull(run: RunContext) -> None:
        seen.append(run.params["site"])
        if run.params["site"] in fails:
            raise ValueError("no answer")

    _, _, report = jobs(seen, [])

    @job("site.all")
    async def every_site(run: RunContext) -> None:
        await run.fan_out(pull, [{"site": s} for s in "abc"], then=report)

    async with Kernel(every_site, pull, report, database=sereno_database) as kernel:
        client = kernel.client
        parent = await client.enqueue("site.all")
        await kernel.drain()
        assert not (await client.chain(parent)).succeeded
        fails.clear()
        again = await client.retry_chain(parent)
        assert (again.steps, again.children) == ({}, 1)
        await kernel.drain()
        found = await client.wait_chain(parent)
        assert found.succeeded
        assert (found.fan_outs[0].ended, found.fan_outs[0].rounds) == (3, 2)
        await whole(kernel)
    assert seen[:4] == ["a", "b", "c", "b"]
    assert (seen[4].total, seen[4].succeeded, seen[4].failed_runs) == (3, 3, [])


async def test_a_parent_that_fails_after_its_fan_out_is_repeated_without_children(
    sereno_database: str,
) -> None:
    seen: list[Any] = []
    fails = [True]
    _, pull, report = jobs(seen, [])

    @job("site.all")
    async def every_site(run: RunContext) -> None:
        await run.fan_out(pull, named("a", "b"), then=report)
        if fails:
            raise ValueError("after all")

    async with Kernel(every_site, pull, report, database=sereno_database) as kernel:
        parent = await kernel.client.enqueue("site.all")
        await kernel.drain()
        fails.clear()
        again = await kernel.client.retry_chain(parent)
        await kernel.drain()
        assert (await kernel.client.run(again.steps[parent])).state == "succeeded"
        await whole(kernel)
    assert sorted(x for x in seen if isinstance(x, str)) == ["a", "b"]


async def test_a_fan_out_is_cancelled_with_all_its_children_and_what_follows(
    sereno_database: str,
) -> None:
    seen: list[Any] = []
    async with Kernel(*jobs(seen, named(*"abcde")), database=sereno_database) as kernel:
        connection = await asyncpg.connect(sereno_database)
        await connection.execute(HELD)
        await connection.close()
        parent = await kernel.client.enqueue("site.all")
        await kernel.drain()
        with pytest.raises(WaitTimeoutError, match=r"0 of 5 runs of site\.pull are over"):
            await kernel.client.wait_chain(parent, timeout="10ms")
        stopped = await kernel.client.cancel_chain(parent)
        assert (stopped.cancelled, stopped.asked) == (5, 0)
        found = await kernel.client.wait_chain(parent)
        assert (found.failed, found.fan_outs[0].join_run) == (5, None)
        await kernel.drain()
        await whole(kernel)
    assert seen == []


async def test_a_chain_of_a_run_that_nobody_knows_is_refused(sereno_database: str) -> None:
    async with Kernel(*diamond(Broken()), database=sereno_database) as kernel:
        for verb in ("chain", "wait_chain", "cancel_chain", "retry_chain"):
            with pytest.raises(NotFoundError):
                await getattr(kernel.client, verb)(17)
