"""Runs are queued and followed over HTTP by whoever has the token, and by nobody else."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import httpx
import msgspec
import pytest

from sereno.model.job import Job, job

from ..servers.postgres import PostgresServer
from .http_scene import served
from .scene import Scene, declared_job, opened

TOKEN = "s3cret-token"
JSON = {"Content-Type": "application/json"}


class Params(msgspec.Struct):
    """What `shop.orders` takes."""

    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    site: str = "madrid"


async def nothing(run: Any) -> None: ...


ORDERS = job("shop.orders", params=Params, priority=4)(nothing)


@asynccontextmanager
async def shop(
    dsn: str, *jobs: Job, token: str | None = TOKEN
) -> AsyncIterator[tuple[httpx.AsyncClient, Scene]]:
    """Serve the pages over a database whose leader knows two jobs of a shop; the replica that
    answers declares `jobs` itself."""
    options = {"token": token} if token else {}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with opened(dsn) as scene:
        await scene.declare(
            declared_job("shop.orders", params=Params, priority=4), declared_job("shop.mail")
        )
        async with served(dsn, headers=headers, jobs=jobs, **options) as (client, _):
            yield client, scene


async def queued(scene: Scene) -> int:
    return int(await scene.value("SELECT count(*) FROM sereno.run"))


@pytest.mark.every_postgres
@pytest.mark.every_loop
async def test_a_run_is_queued_with_all_that_the_body_says(database: str) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    at = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
    async with shop(database, ORDERS) as (client, scene):
        answer = await client.post(
            "/jobs/shop.orders/runs",
            json={
                "params": {"count": 3},
                "run_at": at.isoformat(),
                "priority": -7,
                "unique_key": "order 12",
                "requested_by": "the till",
            },
            headers={"traceparent": trace},
        )
        row = await scene.rows(
            "SELECT id, job, state, cause, params::text, run_at, priority, unique_key,"
            " requested_by, trace_context FROM sereno.run"
        )

    assert answer.status_code == 202
    found = answer.json()
    assert answer.headers["location"] == f"/runs/{found['run']}"
    assert (found["job"], found["state"], found["new"]) == ("shop.orders", "queued", True)
    assert datetime.fromisoformat(found["run_at"]) == at
    assert row == [
        (found["run"], "shop.orders", "queued", "program", '{"site": "madrid", "count": 3}', at,
         -7, "order 12", "the till", trace)
    ]  # fmt: skip


async def test_an_empty_object_is_enough_and_the_rest_follows_the_job(database: str) -> None:
    async with shop(database, ORDERS) as (client, scene):
        answer = await client.post("/jobs/shop.orders/runs", json={})
        (row,) = await scene.rows(
            "SELECT params::text, priority, requested_by, trace_context,"
            " run_at <= clock_timestamp() FROM sereno.run"
        )

    assert answer.status_code == 202
    assert row == ('{"site": "madrid", "count": 1}', 4, "http 127.0.0.1", None, True)


@pytest.mark.parametrize(("delay", "seconds"), [("90m", 5400), (2.5, 2.5), (0, 0)])
async def test_a_delay_counts_from_the_databases_now(
    delay: Any, seconds: float, database: str
) -> None:
    async with shop(database) as (client, scene):
        answer = await client.post("/jobs/shop.mail/runs", json={"delay": delay})
        lag = await scene.value(
            "SELECT extract(epoch FROM run_at - queued_at)::float8 FROM sereno.run"
        )

    assert answer.status_code == 202
    assert seconds - 1 < lag <= seconds


async def test_a_job_that_this_replica_does_not_declare_is_held_to_the_leaders_rule(
    database: str,
) -> None:
    async with shop(database) as (client, scene):
        fine = await client.post("/jobs/shop.orders/runs", json={"params": {"count": 2}})
        unfit = await client.post("/jobs/shop.orders/runs", json={"params": {"count": "2"}})
        assert await queued(scene) == 1

    assert fine.status_code == 202
    assert unfit.status_code == 422
    assert "param 'count' is a JSON string, it must be a number" in unfit.json()["error"]


UNFIT: list[tuple[Any, int, str]] = [
    ({"params": {"cuont": 1}}, 422, "unknown param 'cuont', did you mean 'count'?"),
    ({"params": {"count": 0}}, 422, "job 'shop.orders': params do not fit: Expected `int` >= 1"),
    ({"params": [1]}, 422, "the body does not fit: Expected `object`, got `array` - at `$.params`"),
    ({"parms": {}}, 422, "unknown key 'parms', did you mean 'params'?"),
    ({"zebra": {}}, 422, "unknown key 'zebra'; known are params, run_at, delay"),
    ({"run_at": "2020-01-01T00:00:00Z"}, 422, "2020-01-01 00:00:00 UTC is in the past, it is"),
    ({"run_at": "2030-01-01T00:00:00"}, 422, "Expected `datetime` with a timezone component"),
    ({"run_at": "tomorrow"}, 422, "Invalid RFC3339 encoded datetime - at `$.run_at`"),
    ({"run_at": "2030-01-01T00:00:00Z", "delay": 1}, 422, "run_at and delay are both given"),
    ({"delay": "soon"}, 422, "duration 'soon': it cannot be read; write it like 90s"),
    ({"delay": -1}, 422, "duration -1.0: it is negative"),
    ({"delay": "900000000d"}, 422, "ends after the year 9999"),
    ({"priority": 40000}, 422, "Expected `int` <= 32767 - at `$.priority`"),
    ({"unique_key": "x" * 2001}, 422, "the unique_key is of 2001 bytes"),
    ({"unique_key": ""}, 422, "Expected `str` of length >= 1 - at `$.unique_key`"),
    ({"params": {"site": "a\0b"}}, 422, "the body holds U+0000, which PostgreSQL cannot keep"),
    ([], 400, "the body is no JSON object, as {}: Expected `object`, got `array`"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code", "sentence"), UNFIT)
async def test_what_does_not_fit_gets_a_sentence_and_nothing_is_queued(
    body: Any, code: int, sentence: str, database: str
) -> None:
    async with shop(database, ORDERS) as (client, scene):
        answer = await client.post("/jobs/shop.orders/runs", json=body)
        assert await queued(scene) == 0

    assert answer.status_code == code
    assert sentence in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "headers", "code", "sentence"),
    [
        (b"{", JSON, 400, "the body is no JSON object, as {}: Input data was truncated"),
        (b"", JSON, 400, "the body is no JSON object"),
        (b'{"params": {"a": "\xff"}}', JSON, 400, "the body is no JSON object"),
        (b'{"params": {"a": "\\ud800"}}', JSON, 400, "the body is no JSON object"),
        (b'{"params": ' + b'{"a": ' * 100_000, JSON, 400, "the body is no JSON object"),
        (b"{}", {}, 415, "send it with Content-Type application/json"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "application/json"),
        (b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "application/json"),
        (b" " * 1_048_577, JSON, 413, "the body is longer than 1,048,576 bytes"),
    ],
)
async def test_a_body_that_is_no_json_is_refused(
    body: bytes, headers: dict[str, str], code: int, sentence: str, database: str
) -> None:
    async with shop(database) as (client, scene):
        answer = await client.post("/jobs/shop.mail/runs", content=body, headers=headers)
        assert await queued(scene) == 0

    assert answer.status_code == code
    assert sentence in answer.json()["error"]


async def test_an_unknown_job_is_not_found_and_the_nearest_is_named(database: str) -> None:
    new = job("shop.new")(nothing)
    async with shop(database, ORDERS, new) as (client, scene):
        typo = await client.post("/jobs/shop.mial/runs", json={})
        odd = await client.post("/jobs/%00/runs", json={})
        unregistered = await client.post("/jobs/shop.new/runs", json={})
        await scene.declare("shop.mail")
        gone = await client.post("/jobs/shop.orders/runs", json={})
        assert await queued(scene) == 0

    codes = [a.status_code for a in (typo, odd, unregistered, gone)]
    assert codes == [404, 404, 404, 404]
    assert "there is no job 'shop.mial' in this database, did you mean" in typo.json()["error"]
    assert "no replica has brought it to this database yet" in unregistered.json()["error"]
    assert "unknown job 'shop.orders'" in gone.json()["error"]


async def test_while_a_run_with_that_unique_key_is_not_over_it_is_the_answer(
    database: str,
) -> None:
    body = {"unique_key": "day"}
    async with shop(database) as (client, scene):
        first = await client.post("/jobs/shop.mail/runs", json=body)
        again = await client.post("/jobs/shop.mail/runs", json=body)
        await scene.eye.execute("UPDATE sereno.run SET state = 'running'")
        under_way = await client.post("/jobs/shop.mail/runs", json=body)
        await scene.eye.execute("UPDATE sereno.run SET state = 'succeeded'")
        later = await client.post("/jobs/shop.mail/runs", json=body)

    assert [a.status_code for a in (first, again, under_way, later)] == [202, 200, 200, 202]
    assert [a.json()["new"] for a in (first, again, under_way, later)] == [True, False, False, True]
    assert under_way.json()["state"] == "running"
    assert first.json()["run"] == again.json()["run"] == under_way.json()["run"]
    assert later.json()["run"] != first.json()["run"]
    assert again.headers["location"] == first.headers["location"]


@pytest.mark.every_postgres
async def test_of_fifty_posts_at_once_with_one_unique_key_one_makes_a_run(database: str) -> None:
    async with shop(database) as (client, scene):
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(
            base_url=client.base_url,
            headers=client.headers,
            limits=limits,
            timeout=30,
            trust_env=False,
        ) as many:
            posts = [many.post("/jobs/shop.mail/runs", json={"unique_key": "k"}) for _ in range(50)]
            answers = await asyncio.gather(*posts)
        assert await queued(scene) == 1

    assert sorted(a.status_code for a in answers) == [200] * 49 + [202]
    assert len({a.json()["run"] for a in answers}) == 1


async def test_without_the_token_nothing_is_queued_and_nothing_shown(database: str) -> None:
    async with shop(database) as (client, scene):
        for headers in ({"Authorization": ""}, {"Authorization": "Bearer s3cret"}):
            refused = await client.post("/jobs/shop.mail/runs", json={}, headers=headers)
            hidden = await client.get("/runs/1", headers=headers)
            assert (refused.status_code, hidden.status_code) == (401, 401)
        assert await queued(scene) == 0


async def test_while_no_token_is_set_the_pages_are_shut_and_say_what_opens_them(
    database: str,
) -> None:
    async with shop(database, token=None) as (client, scene):
        refused = await client.post("/jobs/shop.mail/runs", json={})
        hidden = await client.get("/runs/1")
        assert await queued(scene) == 0

    assert (refused.status_code, hidden.status_code) == (403, 403)
    assert "set http.token (SERENO_HTTP__TOKEN)" in refused.json()["error"]


async def test_a_run_can_be_followed(database: str) -> None:
    async with shop(database) as (client, scene):
        post = await client.post("/jobs/shop.mail/runs", json={"params": {"password": "hunter2"}})
        page = post.headers["location"]
        waiting = (await client.get(page)).json()
        await scene.eye.execute(
            "UPDATE sereno.run SET state = 'failed', attempt = 2, error = 'E: token=abc123',"
            " started_at = '2026-03-01T08:00:00Z', finished_at = '2026-03-01T08:00:02.5Z'"
        )
        await scene.eye.execute(
            "INSERT INTO sereno.run_progress (run_id, done, total, note) VALUES ($1, 3, 4, 'x')",
            waiting["run"],
        )
        failed = (await client.get(page)).json()
        await scene.eye.execute(
            "UPDATE sereno.run SET state = 'succeeded', error = NULL, result = $1",
            json.dumps({"sent": 3}),
        )
        over = (await client.get(page)).json()

    assert (waiting["state"], waiting["attempts"], waiting["result"]) == ("queued", 0, None)
    assert waiting["params"] == {"password": "***"}
    assert (failed["state"], failed["attempts"], failed["duration"]) == ("failed", 2, 2.5)
    assert failed["error"] == "E: token=***"
    assert failed["progress"] == {"done": 3.0, "total": 4.0, "note": "x"}
    assert (over["state"], over["result"]) == ("succeeded", {"sent": 3})


@pytest.mark.parametrize("number", ["77", "9" * 30])
async def test_a_run_that_is_not_there_is_not_found(number: str, database: str) -> None:
    async with shop(database) as (client, _):
        answer = await client.get(f"/runs/{number}")

    assert answer.status_code == 404
    assert f"there is no run {number}" in answer.json()["error"]


async def test_other_methods_are_not_allowed_and_other_pages_are_named(database: str) -> None:
    async with shop(database) as (client, _):
        get = await client.get("/jobs/shop.mail/runs")
        delete = await client.delete("/runs/1")
        missing = await client.get("/runs/x")

    assert (get.status_code, delete.status_code, missing.status_code) == (405, 405, 404)
    assert "/jobs/{job}/runs /runs/{run}" in missing.json()["error"]


async def test_while_the_database_is_away_the_answer_is_503_and_why(
    private_postgres: PostgresServer,
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with served(private_postgres.dsn(), headers=headers, token=TOKEN) as (client, _):
        private_postgres.stop()
        post = await client.post("/jobs/shop.mail/runs", json={})
        get = await client.get("/runs/1")

    assert (post.status_code, get.status_code) == (503, 503)
    assert "the database did not do it" in post.json()["error"]
