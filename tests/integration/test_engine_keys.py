"""How many runs of a key go at once, and whose turn it is when places are few."""

import asyncio
import threading
from typing import Any

from sereno import Client, RunContext, job
from sereno.testing import Signals

from .node import Eye, running

Run = RunContext[dict[str, Any]]


class Works:
    """Counts by site how many work at once, and lets each end when the test says so."""

    def __init__(self) -> None:
        self.now: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.order: list[str] = []
        self.said = Signals()
        self.go = asyncio.Semaphore(0)

    async def work(self, run: Run) -> None:
        site = run.params.get("site", "")
        self.order.append(site)
        self.now[site] = self.now.get(site, 0) + 1
        self.most[site] = max(self.most.get(site, 0), self.now[site])
        self.said.say("began", run_id=run.run_id)
        try:
            await self.go.acquire()
        finally:
            self.now[site] -= 1


async def test_so_many_of_a_key_work_at_once_and_others_do_not_wait_for_them(
    database: str, eye: Eye
) -> None:
    works = Works()
    sync = job("t.sync", concurrency={"key": "pbx-{site}", "limit": 3})(works.work)
    async with running(database, sync):
        ids = [await eye.enqueue("t.sync", '{"site": "rome"}') for _ in range(7)]
        for _ in range(3):
            await works.said.wait("began")
        ids.append(await eye.enqueue("t.sync", '{"site": "oslo"}'))
        await works.said.wait("began")
        assert works.now == {"rome": 3, "oslo": 1}
        for _ in ids:
            works.go.release()
        for run_id in ids:
            assert (await eye.over(run_id))["state"] == "succeeded"
    assert works.most == {"rome": 3, "oslo": 1}


async def test_a_thousand_of_one_key_hold_up_the_one_of_another_for_one_place(
    database: str, eye: Eye
) -> None:
    works = Works()
    sync = job("t.sync", concurrency={"key": "pbx-{site}", "limit": 50})(works.work)
    many = "SELECT sereno.enqueue_many('t.sync', array_fill($1::text::jsonb, ARRAY[1000]))"
    async with running(database, sync, max_running=1):
        await eye.enqueue("t.sync", '{"site": "rome"}')
        await works.said.wait("began")
        await eye.rows(many, '{"site": "rome"}')
        oslo = await eye.enqueue("t.sync", '{"site": "oslo"}')
        for _ in range(3):
            works.go.release()
            await works.said.wait("began")
        assert "oslo" in works.order[:3]
        works.go.release()
        assert (await eye.over(oslo))["state"] == "succeeded"
        await eye.rows("DELETE FROM sereno.run WHERE state = 'queued'")
        for _ in range(10):
            works.go.release()


async def test_what_has_no_key_has_every_other_place(database: str, eye: Eye) -> None:
    works = Works()
    sync = job("t.sync", concurrency={"key": "pbx-{site}", "limit": 9})(works.work)
    plain = job("t.plain")(works.work)
    async with running(database, sync, plain, max_running=1):
        ids = [await eye.enqueue("t.sync", '{"site": "first"}')]
        await works.said.wait("began")
        ids += [await eye.enqueue("t.sync", '{"site": "rome"}') for _ in range(4)]
        ids += [await eye.enqueue("t.plain", '{"site": "free"}') for _ in range(3)]
        for _ in ids:
            works.go.release()
        for run_id in ids:
            await eye.over(run_id)
    assert sorted(works.order[1:3]) == ["free", "rome"]
    assert sorted(works.order[3:5]) == ["free", "rome"]


async def test_slots_of_one_schedule_stay_apart_whatever_its_key_takes(
    database: str, eye: Eye
) -> None:
    works = Works()
    sync = job("t.sync", overlap="queue", concurrency={"key": "all", "limit": 5})(works.work)
    async with running(database, sync):
        insert = (
            "INSERT INTO sereno.run (job, cause, schedule_id, slot, concurrency_key)"
            " SELECT 't.sync', 'program', $1, now() - n * interval '1 h', 'all'"
            " FROM generate_series(1, 3) AS n RETURNING id"
        )
        rows = await eye.rows(insert, 4_711)
        await eye.rows("SELECT pg_notify('sereno', 'run')")
        for _ in rows:
            await works.said.wait("began")
            assert works.now == {"": 1}
            works.go.release()
        for row in rows:
            await eye.over(row[0])
    assert works.most == {"": 1}


async def test_a_straggler_keeps_its_place_of_a_key(database: str, eye: Eye) -> None:
    let_go, began = threading.Event(), Signals()

    def stuck(run: Run) -> None:
        began.say("began", run_id=run.run_id)
        if run.params.get("stuck"):
            let_go.wait()

    sync = job("t.sync", timeout="1s", concurrency={"key": "k", "limit": 2})(stuck)
    quick = job("t.quick", concurrency={"key": "k", "limit": 2})(stuck)
    async with running(database, sync, quick):
        lost = [await eye.enqueue("t.sync", '{"stuck": true}') for _ in range(2)]
        for run_id in lost:
            assert (await eye.over(run_id))["state"] == "timed_out"
        waits = await eye.enqueue("t.quick")
        again = await eye.enqueue("t.quick")
        held = await eye.rows("SELECT count(*) FROM sereno.straggler WHERE kind = 'overstays'")
        assert held == [(2,)]
        state = await eye.rows("SELECT DISTINCT state FROM sereno.run WHERE job = 't.quick'")
        assert state == [("queued",)]
        let_go.set()
        for run_id in (waits, again):
            assert (await eye.over(run_id))["state"] == "succeeded"


async def test_who_waits_is_told_which_runs_take_the_places_of_its_key(
    database: str, eye: Eye
) -> None:
    works = Works()
    sync = job("t.sync", concurrency={"key": "pbx-{site}", "limit": 2})(works.work)
    async with running(database, sync), Client.open(database) as client:
        ids = [await eye.enqueue("t.sync", '{"site": "7"}') for _ in range(3)]
        for _ in range(2):
            await works.said.wait("began")
        told = await client.run(ids[2])
        assert told.waits_for_key == (
            f"2 of 2 places of key 'pbx-7' are taken by runs {ids[0]}, {ids[1]}"
        )
        assert (await client.run(ids[0])).waits_for_key is None
        for _ in ids:
            works.go.release()
        await eye.over(ids[2])
        assert (await client.run(ids[2])).waits_for_key is None
