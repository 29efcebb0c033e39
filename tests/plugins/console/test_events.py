"""What is new reaches who waits: by a stream, by a stream that is taken up again, by polling."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from sereno import Client
from sereno.client import news_verbs
from sereno_console.web.hub import Hub

from ...integration.node import looking
from .conftest import Serve
from .shop import JOBS, at_work, bearer, done

OUTSIDE = {"host": "0.0.0.0"}


class Events:
    """The events of a stream."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def next(self) -> dict[str, Any]:
        """Return the next event: `id`, `event`, `data`."""
        found: dict[str, Any] = {}
        async with asyncio.timeout(30):
            while True:
                line = await anext(self._lines)
                name, _, value = line.partition(": ")
                if not line and "event" in found:
                    return found
                if name in ("id", "event", "data"):
                    found[name] = json.loads(value) if name == "data" else value

    async def until(self, topic: str) -> dict[str, Any]:
        """Return the next event about `topic`."""
        while topic not in (found := await self.next())["data"].get("topics", ()):
            pass
        return found


@asynccontextmanager
async def events(
    web: httpx.AsyncClient, path: str = "/api/v1/events", last: str | None = None
) -> AsyncIterator[Events]:
    headers = {} if last is None else {"last-event-id": last}
    async with web.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Events(answer.aiter_lines())


async def test_a_stream_tells_what_has_changed_and_is_taken_up_again(
    serve: Serve, database: str
) -> None:
    async with serve(*JOBS) as web, at_work(database):
        async with events(web) as stream:
            hello = await stream.next()
            assert hello["event"] == "hello"
            await done(web, "shop.orders")
            while "shop.orders" not in (found := await stream.until("runs"))["data"]["jobs"]:
                pass
        await web.post("/api/v1/schedules/etl.sync/pause", json={"reason": "x"})
        async with events(web, last=found["id"]) as stream:
            missed = await stream.until("schedules")
            assert "etl.sync" in missed["data"]["jobs"]
        async with events(web, last="0badc0de-7") as stream:
            assert (await stream.next())["event"] == "hello"


async def test_who_polls_is_told_the_same(serve: Serve, database: str) -> None:
    async with serve(*JOBS) as web, at_work(database):
        first = (await web.get("/api/v1/events/poll?seconds=1")).json()
        assert (first["known"], first["news"]) == (False, [])
        at = (await web.get("/api/v1/events/poll?seconds=1")).json()["id"]
        await done(web, "shop.orders")
        topics: set[str] = set()
        async with asyncio.timeout(30):
            while "runs" not in topics:
                found = await web.get(f"/api/v1/events/poll?after={at}&seconds=20")
                assert found.json()["known"]
                at = found.json()["id"]
                topics |= {topic for news in found.json()["news"] for topic in news["topics"]}


async def test_what_changes_after_the_greeting_is_told_however_long_the_first_look_takes(
    serve: Serve, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = news_verbs.pulse

    async def slow(db: Any, before: Any) -> Any:
        if before is None:
            await asyncio.sleep(1)
        return await looked(db, before)

    monkeypatch.setattr(news_verbs, "pulse", slow)
    async with serve(*JOBS) as web, at_work(database), events(web) as stream:
        assert (await stream.next())["event"] == "hello"
        await done(web, "shop.orders")
        await stream.until("runs")


async def test_nobody_hears_of_jobs_that_are_not_theirs_to_see(serve: Serve, database: str) -> None:
    async with serve(*JOBS, apps=OUTSIDE) as web, at_work(database):
        web.headers.update(await bearer(database, "admin"))
        mine = await bearer(database, "viewer:shop.*", name="mine")
        async with web.stream("GET", "/api/v1/events", headers=mine) as answer:
            stream = Events(answer.aiter_lines())
            assert (await stream.next())["event"] == "hello"
            await done(web, "etl.sync")
            await done(web, "shop.orders")
            while (found := await stream.until("runs"))["data"]["jobs"] != ["shop.orders"]:
                assert "etl.sync" not in found["data"]["jobs"]


async def test_a_log_is_given_as_it_grows_to_its_end(serve: Serve, database: str) -> None:
    async with serve(*JOBS) as web, at_work(database):
        asked = await web.post("/api/v1/jobs/shop.orders/runs", json={"params": {}})
        path = f"/api/v1/runs/{asked.json()['run_id']}/log/stream"
        async with events(web, path) as stream:
            line = await stream.next()
            assert line["data"]["message"] == "taking <b>orders</b>"
            assert (await stream.next())["data"] == {"state": "succeeded"}
        async with events(web, path, last=line["id"]) as stream:
            assert (await stream.next())["event"] == "end"


async def test_the_hub_ends_in_the_middle_of_a_look_without_a_word_and_for_good(
    serve: Serve, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    listens = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sereno news'"
    async with serve(*JOBS), Client.open(database) as client, looking(database) as eye:
        hub = Hub()
        await hub.wait(client, hub.last, 0.01)  # it has begun to look, and goes on
        await eye.until(
            f"{listens} AND query LIKE 'LISTEN%' AND state = 'idle' HAVING count(*) = 1"
        )
        await hub.close()
        await hub.wait(client, hub.last, 0.01)  # of a request that is still at work
        await eye.until(f"SELECT ({listens}) = 0")
    assert [r.message for r in caplog.records if r.name == "sereno.console"] == []


async def test_who_leaves_a_log_that_goes_on_leaves_no_fault_behind(
    serve: Serve, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(*JOBS) as web, at_work(database), Client.open(database) as client:
        run = await client.enqueue("shop.slow")
        async with looking(database) as eye:
            await eye.until("SELECT state = 'running' FROM sereno.run WHERE id = $1", run)
        path = f"/api/v1/runs/{run}/log/stream"
        async with web.stream("GET", path) as answer:
            await anext(answer.aiter_lines())
        async with asyncio.timeout(45):
            while any("Console.__call__" in repr(t) for t in asyncio.all_tasks()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await client.cancel(run)
    assert [r.message for r in caplog.records if r.name == "sereno.apps"] == []
