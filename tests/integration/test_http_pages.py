"""The pages over HTTP, from the server that the kernel runs."""

import asyncio
import signal
import socket

import httpx
import pytest

from sereno.http.answer import Answer
from sereno.http.request import Request
from sereno.http.server import HttpServer
from sereno.model.errors import ConfigurationError

from .http_scene import fresh_status, served
from .metrics_scene import add_job, add_schedule

PAGES = (
    "/",
    "/metrics",
    "/health",
    "/health/tasks",
    "/health/liveness",
    "/health/readiness",
)


@pytest.mark.every_loop
async def test_every_page_answers(database: str) -> None:
    async with served(database) as (client, db):
        await add_job(db)
        await add_schedule(db)
        answers = {page: await client.get(page) for page in PAGES}

    codes = {page: answer.status_code for page, answer in answers.items()}
    assert codes == {**dict.fromkeys(PAGES, 200), "/health": 503}  # nobody leads
    assert answers["/metrics"].headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answers["/health"].json()["tasks"][0]["name"] == "etl.sync"
    assert answers["/health/tasks"].json()["tasks"][0]["state"] == "waiting"
    assert all(answer.headers["cache-control"] == "no-store" for answer in answers.values())


async def test_the_front_page_leads_to_the_others_and_shows_the_tasks(database: str) -> None:
    async with served(database) as (client, db):
        await add_job(db, last_state="'succeeded'", last_run="3", last_end_at="now()")
        await add_schedule(db)
        page = (await client.get("/")).text

    for link in ("metrics", "health", "health/tasks", "health/readiness", "health/liveness"):
        assert f'href="{link}"' in page
    assert "etl.sync" in page
    assert "&lt;blue&gt;" in page
    assert "$" not in page


async def test_without_its_database_tasks_are_told_as_they_were_and_why(database: str) -> None:
    waiting = "it waits for the database (postgresql://ana:hunter2@db/app)"
    async with served(database, fresh_status(store_error=waiting)) as (client, db):
        await add_job(db)
        assert (await client.get("/health/tasks")).status_code == 200
        await db.close()
        tasks = await client.get("/health/tasks")
        health = await client.get("/health")
    told = waiting.replace("hunter2", "***")
    assert (tasks.status_code, tasks.json()["error"]) == (503, told)
    assert [task["name"] for task in tasks.json()["tasks"]] == ["etl.sync"]
    assert health.json()["problems"] == [told]
    assert health.json()["store"]["error"] == told


async def test_readiness_says_why_not(database: str) -> None:
    async with served(database, fresh_status(leaving=True)) as (client, _):
        answer = await client.get("/health/readiness")

    assert answer.status_code == 503
    assert answer.json()["reason"].startswith("this node is leaving")


async def test_liveness_follows_the_firing_loop(database: str) -> None:
    reasons = [None, "the firing loop has not beaten for 9 s"]
    async with served(database, alive=lambda: reasons.pop(0)) as (client, _):
        first = await client.get("/health/liveness")
        second = await client.get("/health/liveness")

    assert (first.status_code, first.json()) == (200, {"status": "alive"})
    assert second.status_code == 503
    assert second.json()["reason"] == "the firing loop has not beaten for 9 s"


async def test_with_a_token_only_the_probes_are_open(database: str) -> None:
    async with served(database, token="s3cret-token") as (client, _):
        codes = {page: (await client.get(page)).status_code for page in PAGES}
        refused = await client.get("/metrics")
        wrong = await client.get("/metrics", headers={"Authorization": "Bearer s3cret-toke"})
        basic = await client.get("/metrics", headers={"Authorization": "Basic s3cret-token"})
        right = await client.get("/metrics", headers={"Authorization": "bearer s3cret-token"})

    assert {page for page, code in codes.items() if code == 200} == {
        "/health/liveness",
        "/health/readiness",
    }
    assert {code for code in codes.values() if code != 200} == {401}
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert "http.token" in refused.json()["error"]
    assert "s3cret" not in refused.text
    assert (wrong.status_code, basic.status_code, right.status_code) == (401, 401, 200)


async def test_an_unknown_page_names_those_there_are(database: str) -> None:
    async with served(database) as (client, _):
        answer = await client.get("/nothing")
        post = await client.post("/metrics")

    assert answer.status_code == 404
    assert "/health/readiness" in answer.json()["error"]
    assert (post.status_code, post.headers["allow"]) == (405, "GET, HEAD")
    assert post.json()["error"] == "/metrics knows no POST, only GET, HEAD"


async def test_a_slash_at_the_end_changes_nothing(database: str) -> None:
    async with served(database, token="s3cret-token") as (client, _):
        probe = await client.get("/health/readiness/")
        page = await client.get("/health/")

    assert (probe.status_code, page.status_code) == (200, 401)


async def hello(request: Request) -> Answer:
    return Answer(body=b"hello")


async def get(url: str) -> str:
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        return (await client.get(url)).text


async def test_a_free_port_is_taken_and_told() -> None:
    async with HttpServer(hello, "127.0.0.1", 0) as server:
        assert server.port > 0
        assert await get(server.url) == "hello"


async def test_a_port_that_is_taken_is_a_sentence() -> None:
    async with HttpServer(hello, "127.0.0.1", 0) as first:
        second = HttpServer(hello, "127.0.0.1", first.port)
        with pytest.raises(ConfigurationError) as raised:
            await second.__aenter__()

    assert str(raised.value) == (
        f"the pages cannot be served on 127.0.0.1 port {first.port}: another program listens there;"
        " stop it, or set another port (SERENO_HTTP__PORT, 0 takes a free one)"
    )


async def test_the_next_ports_are_tried_where_that_is_wanted() -> None:
    async with (
        HttpServer(hello, "127.0.0.1", 0) as first,
        HttpServer(hello, "127.0.0.1", first.port, next_ports=20) as second,
    ):
        assert first.port < second.port <= first.port + 20
        assert await get(second.url) == "hello"


@pytest.mark.parametrize(
    ("host", "words"),
    [("203.0.113.9", "this machine has no such address"), ("no.such.host.invalid", "no address")],
)
async def test_an_address_that_is_not_ours_is_a_sentence(host: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        await HttpServer(hello, host, 0).__aenter__()


async def test_signals_stay_with_the_kernel() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with HttpServer(hello, "127.0.0.1", 0):
        within = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    assert within == before


async def test_when_it_closes_the_port_is_free_again() -> None:
    async with HttpServer(hello, "127.0.0.1", 0) as server:
        await get(server.url)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.port)) != 0
    assert await reader.read() == b""
    writer.close()


async def test_a_request_under_way_is_answered_before_the_server_closes() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(request: Request) -> Answer:
        begun.set()
        await go.wait()
        return await hello(request)

    server = HttpServer(slow, "127.0.0.1", 0)
    await server.__aenter__()
    answer = asyncio.create_task(get(server.url))
    await begun.wait()
    leaving = asyncio.create_task(server.__aexit__(None, None, None))
    go.set()

    assert await answer == "hello"
    await leaving
