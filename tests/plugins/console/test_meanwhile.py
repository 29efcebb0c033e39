"""What changes under a reader's eyes: runs that are pruned, replicas of two versions, and what the
record of faults says."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from sereno import Client, RunFilter, job
from sereno_console.pages import chaos_record as told
from sereno_console.pages.chaos_record import ChaosFault, ChaosRecord, chaos_record

from ...integration.node import Eye, looking, running
from .conftest import Serve
from .shop import JOBS, Order, at_work, done

PRUNED = "SELECT sereno.prune('1 microsecond', 0)"
"""All that is over, as if it were old enough."""

FIRED = """
WITH settled AS (
    UPDATE sereno.watermark SET settled_to = now() WHERE job = $1 RETURNING schedule_id
)
INSERT INTO sereno.slot (schedule_id, slot, verdict, run_id, term)
SELECT schedule_id, $2, 'ran', $3, 1 FROM settled"""


async def nodes(web: httpx.AsyncClient) -> list[dict[str, Any]]:
    return list((await web.get("/api/v1/cluster")).json()["nodes"])


async def prune(eye: Eye) -> None:
    while await eye.value(PRUNED):
        pass


async def test_a_run_that_is_pruned_meanwhile_is_a_sentence_and_no_fault(
    serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web, looking(database) as eye:
        first = await done(web, "shop.orders")
        second = await done(web, "shop.bad")
        newest = (await web.get("/console/runs")).text
        assert f"/console/runs/{first['id']}" in newest
        older = (await web.get("/api/v1/runs?limit=1")).json()["older"]
        await prune(eye)
        for run in (first["id"], second["id"]):
            at = f"/console/runs/{run}"
            for answer in (
                await web.get(at),
                await web.get(f"{at}/stack"),
                await web.post(f"{at}/cancel"),
                await web.post(f"{at}/retry"),
                await web.post(f"{at}/again", data={"param.number": "1"}),
                await web.get(f"/api/v1/runs/{run}"),
                await web.get(f"/api/v1/runs/{run}/log/stream"),
                await web.post(f"/api/v1/runs/{run}/cancel", json={}),
            ):
                assert answer.status_code == 404, (answer.request.url, answer.text)
                assert f"run {run}" in answer.text
        assert (await web.get(f"/api/v1/runs?limit=1&cursor={older}")).json()["items"] == []
        page = await web.get("/console/runs")
        assert (page.status_code, "Nothing has run yet." in page.text) == (200, True)


async def test_a_run_that_is_pruned_between_two_looks_of_its_own_page_is_a_sentence(
    serve: Serve, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = Client.chain
    async with at_work(database), serve(*JOBS) as web, looking(database) as eye:
        run = (await done(web, "shop.orders"))["id"]

        async def pruned_first(self: Client, *given: Any, **more: Any) -> Any:
            await prune(eye)
            return await chain(self, *given, **more)

        monkeypatch.setattr(Client, "chain", pruned_first)
        answer = await web.get(f"/console/runs/{run}")
        assert (answer.status_code, f"run {run}" in answer.text) == (404, True)


async def test_what_a_bulk_had_found_and_is_pruned_since_is_passed_over(
    serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web, looking(database) as eye:
        await done(web, "shop.bad")
        path = "/console/runs-to-change?action=retry&q=job:shop.bad"
        assert "1 " in (await web.get(path)).text
        await prune(eye)
        preview = await web.get(path)
        assert preview.status_code == 200
        async with Client.open(database) as sereno:
            assert (await sereno.preview_bulk("retry", RunFilter(job="shop.bad"))).found == 0


async def test_while_replicas_of_two_versions_are_at_work_every_page_stands_and_says_so(
    serve: Serve, database: str
) -> None:
    @job("shop.orders", params=Order, title="Orders, by the new version")
    async def newer(run: Any) -> None: ...

    @job("shop.fresh")
    async def fresh(run: Any) -> None: ...

    older_node = running(database, *JOBS, node_name="old")
    async with older_node, serve(*JOBS) as web, looking(database) as eye:
        for declared in JOBS:
            await eye.known(declared.name)
        run = (await done(web, "shop.orders", {"number": 7}))["id"]
        async with running(database, newer, fresh, node_name="new"):
            at = "FROM sereno.node WHERE label LIKE 'new%' AND left_at IS NULL"
            await eye.until(f"SELECT count(*) = 1 {at}")
            await eye.value(f"UPDATE sereno.node SET version = '9.9.9' WHERE id = (SELECT id {at})")
            async with asyncio.timeout(45):
                while len([n for n in await nodes(web) if n["present"]]) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            cluster = (await web.get("/console/cluster")).text
            assert "2 versions are at work at once, as during a deploy." in cluster
            assert "9.9.9" in cluster
            seen, asked = set(), ["/console/", f"/console/runs/{run}"]
            while asked:
                path = asked.pop()
                assert (await web.get(path)).status_code == 200, path
                seen.add(path)
                links = re.findall(r'href="(/console/[^"#?]*)[^"]*"', cluster)
                asked += sorted({p for p in links if "/static/" not in p} - seen - {*asked})
            names = {found["name"] for found in (await web.get("/api/v1/jobs")).json()}
            assert {"shop.orders", "etl.sync"} <= names
            await done(web, "etl.sync")


async def test_the_record_of_faults_stands_on_the_page_of_proof(serve: Serve) -> None:
    record = chaos_record()
    assert len(record.faults) >= 18
    assert record.tried >= 200
    async with serve(*JOBS) as web:
        page = (await web.get("/console/proof")).text
        assert "Nothing was lost, nothing was made twice, never did two lead." in page
        assert [f.fault for f in record.faults if f.words not in page] == []
        spanish = (await web.get("/console/proof?language=es")).text
        assert "kill -9 del líder" in spanish
        assert "kill -9 of the leader" not in spanish


async def test_a_record_that_is_not_well_says_how_often(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = chaos_record()
    first, second, *rest = record.faults
    broken = ChaosRecord(
        command=record.command,
        lease=record.lease,
        faults=(
            _with(first, slots_lost=2, runs_doubled=1),
            _with(second, two_leaders=1, anothers_result=1, begun_twice=1),
            *rest,
        ),
    )
    assert (broken.faults[0].lost, broken.faults[0].doubled, broken.wrong) == (2, 1, 6)
    monkeypatch.setattr("sereno_console.pages.cluster.chaos_record", lambda: broken)
    async with serve(*JOBS) as web:
        page = (await web.get("/console/proof")).text
    assert "6 things were not as they must be." in page
    assert "Nothing was lost" not in page


def _with(fault: ChaosFault, **more: int) -> ChaosFault:
    return msgspec.structs.replace(fault, **more)


def test_every_fault_of_the_record_has_its_words() -> None:
    known = told._FAULTS
    assert [f.fault for f in chaos_record().faults if f.fault not in known] == []


async def test_no_page_leads_to_a_run_that_is_kept_no_more(serve: Serve, database: str) -> None:
    """The last run of a job, the run of a slot and the one that a run does again stay by number."""
    async with at_work(database), serve(*JOBS) as web, looking(database) as eye:
        first = (await done(web, "etl.sync"))["id"]
        slot = f"{datetime.now(UTC) - timedelta(hours=2):%Y-%m-%dT%H:00:00Z}"
        await eye.value(FIRED, "etl.sync", datetime.fromisoformat(slot), first)
        async with Client.open(database) as sereno:
            again = await sereno.retry(first)
            await sereno.wait(again)
        last = (await done(web, "shop.orders"))["id"]
        pages = (
            *("jobs/shop.orders", f"jobs/etl.sync/ledger?hour={slot}", f"runs/{again}"),
            f"jobs/etl.sync/why?at={slot}",
        )
        named = dict(zip(pages, (last, first, first, first), strict=True))
        for page, run in named.items():
            assert f'href="/console/runs/{run}"' in (await web.get(f"/console/{page}")).text, page
        assert (
            'class="cell-ran" href="/console/jobs/etl.sync/why?at='
            in (await web.get("/console/jobs/etl.sync")).text.partition('id="strip"')[2]
        )
        await eye.value("DELETE FROM sereno.run WHERE id = ANY ($1)", [first, last])
        await eye.value("UPDATE sereno.job_stat SET pruned_run = $1", last)
        for page, run in named.items():
            text = (await web.get(f"/console/{page}")).text
            assert f'href="/console/runs/{run}"' not in text, page
            assert f"#{run} <span" in text, page
            for link in set(re.findall(r'href="/console/(runs/\d+)"', text)):
                assert (await web.get(f"/console/{link}")).status_code == 200, (page, link)
        gone = await web.get(f"/console/runs/{first}")
        assert (gone.status_code, "it is kept no more" in gone.text) == (404, True)
        never = await web.get("/console/runs/999999")
        assert (never.status_code, "it is kept no more" in never.text) == (404, False)
