"""Scripts start, stop and run tasks over HTTP by the token, and nobody does by a link."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from .http_scene import served
from .scene import Scene, declared_job, named, opened

TOKEN = "s3cret-token"
PATHS = ("/health/tasks/start", "/health/tasks/stop", "/health/tasks/run/shop.orders")


@asynccontextmanager
async def shop(
    dsn: str, *, token: str | None = TOKEN
) -> AsyncIterator[tuple[httpx.AsyncClient, Scene]]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with opened(dsn) as scene:
        await scene.declare(
            declared_job("shop.orders"),
            declared_job("shop.notification_checks"),
            declared_job("crm.mail"),
            declared_job("shop.mail"),
            named("shop.orders"),
            named("crm.mail"),
        )
        options = {"token": token} if token else {}
        async with served(dsn, headers=headers, **options) as (client, _):
            yield client, scene


async def test_everything_is_stopped_and_started_and_the_trail_says_by_whom(database: str) -> None:
    async with shop(database) as (client, scene):
        stopped = await client.post("/health/tasks/stop")
        paused = await scene.rows("SELECT name FROM sereno.schedule WHERE state = 'paused'")
        again = await client.post("/health/tasks/stop/")
        started = await client.post("/health/tasks/start")
        active = await scene.value("SELECT count(*) FROM sereno.schedule WHERE state = 'active'")
        trail = await scene.rows(
            "SELECT DISTINCT changed_by, reason FROM sereno.schedule_version WHERE version > 1"
        )

    assert stopped.status_code == started.status_code == 200
    assert sorted(stopped.json()["paused"]) == ["crm.mail", "shop.orders"]
    assert sorted(started.json()["resumed"]) == ["crm.mail", "shop.orders"]
    assert len(paused) == active == 2
    assert again.json() == {"paused": []}
    assert set(trail) == {
        ("http 127.0.0.1", "POST /health/tasks/stop"),
        ("http 127.0.0.1", "POST /health/tasks/start"),
    }


@pytest.mark.parametrize(
    ("name", "job"),
    [
        ("shop.orders", "shop.orders"),
        ("orders", "shop.orders"),
        ("notification-checks", "shop.notification_checks"),
        ("crm.mail", "crm.mail"),
    ],
)
async def test_a_task_is_run_by_the_name_that_a_script_knows(
    name: str, job: str, database: str
) -> None:
    async with shop(database) as (client, scene):
        answer = await client.post(f"/health/tasks/run/{name}")
        run = await scene.rows("SELECT id, job, cause, requested_by FROM sereno.run")

    assert answer.status_code == 202
    assert answer.json()["job"] == job
    assert run == [(answer.json()["run"], job, "program", "http 127.0.0.1")]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mail", "may be any of these jobs, name one: crm.mail shop.mail"),
        ("nothing", "there is no job 'nothing'; the jobs are crm.mail"),
        ("%00", "there is no"),
        ("a" * 5_000, "there is no job"),
        ("shop.*", "there is no job 'shop.*'"),
        ("\u2028", "there is no job"),
    ],
)
async def test_a_name_that_is_no_task_is_said_and_nothing_runs(
    name: str, words: str, database: str
) -> None:
    async with shop(database) as (client, scene):
        answer = await client.post(f"/health/tasks/run/{name}")
        assert await scene.value("SELECT count(*) FROM sereno.run") == 0

    assert answer.status_code == 404
    assert words in answer.json()["error"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_link_changes_nothing_and_is_told_so(path: str, database: str) -> None:
    async with shop(database) as (client, scene):
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            answer = await client.request(method, path)
            assert answer.status_code == 405
            assert answer.headers["allow"] == "POST"
        told = (await client.get(path)).json()["error"]
        assert "knows no GET, only POST" in told
        assert await scene.value("SELECT count(*) FROM sereno.schedule_version") == 2
        assert await scene.value("SELECT count(*) FROM sereno.run") == 0


@pytest.mark.parametrize("path", PATHS)
async def test_without_the_token_they_are_closed(path: str, database: str) -> None:
    async with shop(database) as (client, scene):
        bare = await client.post(path, headers={"Authorization": ""})
        assert bare.status_code == 401
    async with shop(database, token=None) as (client, scene):
        answer = await client.post(path)
        assert answer.status_code == 403
        assert "http.token" in answer.json()["error"]
        assert await scene.value("SELECT count(*) FROM sereno.schedule_version") == 2


async def test_a_browser_opens_the_front_page_where_a_token_is_set(database: str) -> None:
    async with shop(database) as (client, _):
        bare = {"Authorization": "", "Accept": "text/html"}
        form = await client.get("/", headers=bare)
        assert "<form" in form.text
        let_in = await client.post("/login", data={"token": TOKEN}, headers=bare)
        assert let_in.status_code == 303
        page = await client.get("/", headers=bare)
        assert page.status_code == 200
        assert "<h1>Sereno" in page.text
        # and the cookie reads alone
        assert (await client.post("/health/tasks/stop", headers=bare)).status_code == 401
