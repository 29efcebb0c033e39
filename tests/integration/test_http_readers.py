"""Who may read the pages: whoever has the token, or else whoever asks this machine by its name."""

import os
from http.cookies import SimpleCookie

import pytest

from .http_scene import served

TOKEN = "s3cret-token"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8765",
        "localhost.",
        "a.localhost:1",
        "127.0.0.1:8765",
        "10.1.2.3",
        "[::1]:8765",
        "[fe80::1]",
        os.uname().nodename,
        "jobs.example.com",
        "Jobs.Example.com.:8765",
    ],
)
async def test_without_a_token_the_names_of_this_machine_and_listed_ones_are_answered_to(
    host: str, database: str
) -> None:
    async with served(database, hosts=("jobs.example.com",)) as (client, _):
        assert (await client.get("/health/tasks", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8765",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evillocalhost",
        "jobs.example.com.evil.example",
        "[evil.example]",
        "localhost, evil.example",
        "127.0.0.1@evil.example",
    ],
)
async def test_another_name_gets_no_page_but_the_probes_and_hears_what_to_set(
    host: str, database: str
) -> None:
    async with served(database, hosts=("jobs.example.com",)) as (client, _):
        for page in ("/", "/metrics", "/health", "/health/tasks", "/nothing", "/runs/1"):
            answer = await client.get(page, headers={"Host": host})
            assert answer.status_code == 421, page
            assert "http.hosts" in answer.json()["error"]
            assert "http.token" in answer.json()["error"]
        assert (await client.get("/health/liveness", headers={"Host": host})).status_code == 200


async def test_any_name_is_answered_to_where_that_is_said_or_a_token_is_wanted(
    database: str,
) -> None:
    evil = {"Host": "evil.example"}
    async with served(database, hosts=("*",)) as (client, _):
        assert (await client.get("/health/tasks", headers=evil)).status_code == 200
    async with served(database, token=TOKEN) as (client, _):
        bearer = {"Authorization": f"Bearer {TOKEN}", **evil}
        assert (await client.get("/health/tasks", headers=bearer)).status_code == 200
        assert (await client.get("/health/tasks", headers=evil)).status_code == 401


async def test_a_browser_gets_a_form_for_the_token_and_then_reads(database: str) -> None:
    async with served(database, token=TOKEN) as (client, _):
        form = await client.get("/", headers=BROWSER)
        assert form.status_code == 401
        assert form.headers["content-type"].startswith("text/html")
        assert 'method="post" action="login"' in form.text
        let_in = await client.post("/login", data={"token": TOKEN})
        assert (let_in.status_code, let_in.headers["location"]) == (303, "./")
        cookie = SimpleCookie(let_in.headers["set-cookie"])["sereno"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert not cookie["secure"]
        assert TOKEN not in cookie.value
        page = await client.get("/", headers=BROWSER)  # the client keeps the cookie
        assert page.status_code == 200
        assert "<title>Sereno: " in page.text
        assert (await client.get("/health/tasks")).status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"token=", b"token=s3cret-toke", b"token=%ff%00", b"token", b"a=1&b=2&c=3&token=x"],
)
async def test_a_wrong_token_gets_the_form_again_and_no_cookie(body: bytes, database: str) -> None:
    async with served(database, token=TOKEN) as (client, _):
        answer = await client.post("/login", content=body)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert TOKEN not in answer.text


@pytest.mark.parametrize(
    "cookie", ["sereno=", "sereno=x", f"sereno={TOKEN}", "=;;=\u00e9", "sereno"]
)
async def test_a_cookie_that_is_not_ours_opens_nothing(cookie: str, database: str) -> None:
    async with served(database, token=TOKEN) as (client, _):
        headers = {"Cookie": cookie.encode("latin-1")}
        assert (await client.get("/health", headers=headers)).status_code == 401


async def test_the_cookie_reads_and_does_nothing_else(database: str) -> None:
    async with served(database, token=TOKEN) as (client, _):
        https = {"X-Forwarded-Proto": "https"}
        let_in = await client.post("/login", data={"token": TOKEN}, headers=https)
        cookie = SimpleCookie(let_in.headers["set-cookie"])["sereno"]
        assert cookie["secure"]
        headers = {"Cookie": f"a=b; sereno={cookie.value}"}
        assert (await client.get("/health/tasks", headers=headers)).status_code == 200
        queued = await client.post("/jobs/etl.sync/runs", json={}, headers=headers)
        assert queued.status_code == 401
