"""Children of a fan-out give way, and go on; with the last of its runs a fan-out is forgotten."""

import asyncio

import pytest

from sereno import RunContext, job
from sereno.store import queue

from .node import Eye, running
from .scene import Scene, declared_job, opened

KEPT = "SELECT array_agg(run_id ORDER BY id) FROM sereno.fan_out"
FAN = """
SELECT sereno.fan_out($1, 'site.pull', ARRAY(SELECT '{}'::jsonb FROM generate_series(1, $2::int)),
                      'site.report', NULL, 'continue', '', NULL, NULL)
"""
ALL_OVER = """
UPDATE sereno.run SET state = 'succeeded', finished_at = now(), queued_at = now() - interval '9 d'
 WHERE state = 'queued'
"""


@pytest.mark.parametrize("places", [1, 2, 7])
@pytest.mark.parametrize("key", [None, "all"])
async def test_children_go_on_behind_work_without_end(
    database: str, eye: Eye, places: int, key: str | None
) -> None:
    order: list[str] = []
    over = asyncio.Event()
    keyed = {} if key is None else {"concurrency": {"key": key, "limit": 10}}

    @job("site.pull", **keyed)
    async def pull(run: RunContext) -> None:
        order.append("child")

    @job("site.report")
    async def report(run: RunContext) -> None:
        over.set()

    @job("site.other")
    async def other(run: RunContext) -> None:
        """Have another of its kind wait at once, always."""
        order.append("other")
        if not over.is_set():
            await run.enqueue("site.other")

    @job("site.all")
    async def every_site(run: RunContext) -> None:
        for _ in range(3 * places):
            await run.enqueue("site.other")
        await run.fan_out(pull, [{}] * 20, then=report)

    given = (every_site, pull, report, other)
    async with running(database, *given, max_running=places):
        await eye.enqueue("site.all")
        await eye.until("SELECT ended = total FROM sereno.fan_out", limit=60)
        over.set()
    assert order.count("child") == 20
    first, last = order.index("child"), len(order) - order[::-1].index("child")
    assert order[first:last].count("other") >= 40, "others have three places of four"


async def test_of_ten_thousand_children_some_are_read_and_none_is_walked_over(
    database: str,
) -> None:
    async with opened(database) as scene:
        await scene.declare(declared_job("site.pull"), "site.report", "site.other")
        await scene.eye.fetchrow(FAN, 7, 10_000)
        coming = await queue.coming(scene.db)
        assert (coming.keyed, coming.children) == (False, True)
        jobs = ["site.pull", "site.other"]
        found = await queue.ready_children(scene.db, 5, jobs, [], -1)
        assert [(r.child, r.turn, r.priority) for r in found] == [(True, None, -1)] * 5
        assert await queue.ready_children(scene.db, 5, jobs, [], 0) == []
        assert await queue.ready_children(scene.db, 5, ["site.other"], [], -1) == []


async def fanned(scene: Scene, parents: int, children: int) -> None:
    """Have so many runs fan out, and all be over for nine days."""
    await scene.declare("site.all", declared_job("site.pull"), "site.report")
    for _ in range(parents):
        number = await scene.value("SELECT sereno.enqueue('site.all')")
        await scene.eye.execute(FAN, number, children)
    await scene.eye.execute(ALL_OVER)  # then the joins wait
    await scene.eye.execute(ALL_OVER)


async def test_with_its_runs_a_fan_out_is_forgotten_in_batches(database: str) -> None:
    async with opened(database) as scene:
        await fanned(scene, 3, 5)
        await scene.eye.execute("UPDATE sereno.run SET finished_at = now() - interval '8 d'")
        deleted = []
        while n := await scene.value("SELECT sereno.prune('7 d', 1000, 4)"):
            deleted.append(n)
            runs = await scene.value(
                "SELECT count(*) FROM sereno.fan_out f WHERE NOT EXISTS (SELECT 1 FROM sereno.run r"
                " WHERE r.id IN (f.run_id, f.first_run, f.last_run, f.join_run))"
            )
            assert runs == 0
        assert sum(deleted) == 3 * 7
        assert max(deleted) <= 4
        assert await scene.value(KEPT) is None


async def test_a_fan_out_stays_while_one_of_its_runs_does(database: str) -> None:
    async with opened(database) as scene:
        await fanned(scene, 2, 2)
        first = await scene.value("SELECT min(run_id) FROM sereno.fan_out")
        await scene.eye.execute(
            "UPDATE sereno.run SET finished_at = now() - interval '8 d'"
            " WHERE job <> 'site.report' OR id = (SELECT join_run FROM sereno.fan_out"
            " WHERE run_id = $1)",
            first,
        )
        assert await scene.value("SELECT sereno.prune('7 d', 1000)") == 7
        assert len(await scene.value(KEPT)) == 1
        assert first not in await scene.value(KEPT)


async def test_one_whose_child_is_not_over_is_not_forgotten(database: str) -> None:
    async with opened(database) as scene:
        await scene.declare("site.all", declared_job("site.pull"), "site.report")
        number = await scene.value("SELECT sereno.enqueue('site.all')")
        await scene.eye.execute(FAN, number, 2)
        await scene.eye.execute(
            "UPDATE sereno.run SET state = 'succeeded', queued_at = now() - interval '9 d',"
            " finished_at = now() - interval '8 d' WHERE id BETWEEN $1::bigint AND $1::bigint + 1",
            number,
        )
        assert await scene.value("SELECT sereno.prune('7 d', 1000)") == 2
        assert await scene.value(KEPT) == [number]


@pytest.mark.parametrize("upstream", ['{"fan-out": {"id": "x"}}', '["fan-out"]', '{"fan-out": 1}'])
async def test_an_upstream_of_any_shape_is_deleted_all_the_same(
    database: str, upstream: str
) -> None:
    async with opened(database) as scene:
        await fanned(scene, 1, 1)
        await scene.eye.execute(
            "UPDATE sereno.run SET upstream = $1::text::jsonb,"
            " finished_at = now() - interval '8 d'",
            upstream,
        )
        assert await scene.value("SELECT sereno.prune('7 d', 1000)") == 3
