"""REST over a real node: what the client has, with what HTTP adds."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sereno import Client
from sereno_console.api import API
from sereno_console.tables import accounts

from ...servers.waiting import wait_until
from .conftest import Serve
from .shop import EXACT, JOBS, at_work, bearer, done

OUTSIDE = {"host": "0.0.0.0"}


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = dict(answer.json())
    assert found["status"] == status
    return found


async def test_a_run_is_asked_for_and_its_numbers_come_back_exact(
    serve: Serve, database: str
) -> None:
    async with serve(*JOBS) as web, at_work(database):
        number = 2**53 + 1
        run = await done(web, "shop.orders", {"number": number})
        assert (run["state"], run["requested_by"]) == ("succeeded", "local@127.0.0.1")
        text = (await web.get(f"/api/v1/runs/{run['id']}")).text
        result = text.partition('"result":{')[2].partition("}")[0]
        assert set(result.split(",")) == {f'"number":{number}', f'"exact":{EXACT}'}
        assert run["lines"][0]["message"] == "taking <b>orders</b>"
        log = (await web.get(f"/api/v1/runs/{run['id']}/log")).json()
        assert [line["message"] for line in log] == ["taking <b>orders</b>"]
        place = f"attempt={log[0]['attempt']}&line={log[0]['line']}"
        assert (await web.get(f"/api/v1/runs/{run['id']}/log?{place}")).json() == []
        again = await web.post(f"/api/v1/runs/{run['id']}/retry", json={"params": {"key": "k"}})
        assert again.status_code == 201, again.text
        assert (await web.get(f"/api/v1/runs/{again.json()['run_id']}/chain")).status_code == 200

        held = {"params": {}, "unique_key": "a", "delay": "1h"}
        first = await web.post("/api/v1/jobs/shop.orders/runs", json=held)
        second = await web.post("/api/v1/jobs/shop.orders/runs", json=held)
        assert (first.status_code, second.status_code) == (201, 200)
        waiting = first.json()["run_id"]
        ended = await web.post(f"/api/v1/runs/{waiting}/cancel", json={"reason": "enough"})
        assert ended.json() == {"run_id": waiting, "state": "cancelled"}
        assert (await web.get(f"/api/v1/runs/{waiting}")).json()["cancel_reason"] == "enough"


async def test_a_running_run_shows_its_stack(serve: Serve, database: str) -> None:
    async with serve(*JOBS) as web, at_work(database):
        asked = await web.post("/api/v1/jobs/shop.slow/runs")
        at = f"/api/v1/runs/{asked.json()['run_id']}"

        def runs() -> bool:
            return bool(httpx.get(f"{web.base_url}{at}", timeout=20).json()["state"] == "running")

        await asyncio.to_thread(wait_until, runs, "the run to begin")
        assert "asyncio.Event().wait()" in (await web.post(f"{at}/stack")).json()["stack"]
        assert (await web.post(f"{at}/cancel")).json()["state"] == "running"
        assert (await web.get(f"{at}/wait")).json()["state"] == "cancelled"
        assert "no node works on it" in problem(await web.post(f"{at}/stack"), 409)["detail"]


async def test_pages_go_both_ways_and_a_cursor_belongs_to_its_filter(
    serve: Serve, database: str
) -> None:
    async with serve(*JOBS) as web, at_work(database):
        many = {"params": [{"number": n} for n in range(25)], "delay": "1h"}
        ids = (await web.post("/api/v1/jobs/shop.orders/runs/batch", json=many)).json()
        seen, cursors, at = [], [], "/api/v1/runs?job=shop.*&limit=10"
        page = (await web.get(at)).json()
        while True:
            seen += [run["id"] for run in page["items"]]
            if page["older"] is None:
                break
            cursors.append(page["older"])
            page = (await web.get(f"{at}&cursor={page['older']}")).json()
        assert seen == sorted(ids, reverse=True)
        back = (await web.get(f"{at}&cursor={page['newer']}")).json()
        assert [run["id"] for run in back["items"]] == seen[10:20]
        count = (await web.get("/api/v1/runs/count?job=shop.*&states=queued&states=running")).json()
        assert count == {"found": 25, "more": False}
        other = await web.get(f"/api/v1/runs?job=etl.*&cursor={cursors[0]}")
        assert "belongs to a page of another filter" in problem(other, 400)["detail"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/runs?state=failed", "unknown field `state`"),
        ("/runs?states=failing", "Invalid enum value 'failing'"),
        ("/runs?limit=0", "Expected `int` >= 1"),
        ("/runs?limit=1&limit=2", "'limit' is there twice"),
        ("/runs?since=yesterday", "Invalid RFC3339 encoded datetime"),
        ("/runs?since=2026-03-01T08:00:00", "timezone"),
        ("/runs?params=[1]", "params is no JSON object"),
        ("/runs?cursor=zzz", "is none of a page"),
        ("/runs/12x", "must be a whole number"),
        ("/runs/99999999999999999999", "must be a whole number"),
        ("/jobs/shop.orders/why?at=2026-03-01T08:00:00Z&until=x", "datetime"),
        ("/logs?level=LOUD", "it must be DEBUG"),
    ],
)
async def test_what_does_not_parse_is_a_sentence(path: str, sentence: str, serve: Serve) -> None:
    async with serve(*JOBS) as web:
        assert sentence in problem(await web.get(f"/api/v1{path}"), 400)["detail"]


async def test_a_body_that_does_not_fit_is_a_sentence(serve: Serve, database: str) -> None:
    async with serve(*JOBS) as web:
        at = "/api/v1/bulks/preview"
        as_json = {"content-type": "application/json"}
        for body, words in (
            (b"", "missing required field `action`"),
            (b"{", "Input data was truncated"),
            (b"[" * 100_000, ""),
            (b'{"action": "cancel", "filter": {"jop": "a"}}', ""),
            (b'{"action": "cancel", "filter": {}}', "the filter is empty"),
            (b'{"action":"cancel","filter":{"params":{"a":1e999}}}', ""),
            (b'{"action":"cancel","filter":{"job":"\\u0000"}}', ""),
        ):
            answer = await web.post(at, content=body, headers=as_json)
            assert answer.status_code in (400, 404), answer.text
            assert words in problem(answer, answer.status_code)["detail"]
        problem(await web.post(at, content=b"a=b"), 415)
        problem(await web.post(f"{at}?a=b", json={}), 400)
        long = await web.post(at, content=b" " * 1_100_000, headers=as_json)
        assert "longer than 1,048,576 bytes" in problem(long, 400)["detail"]
        assert problem(await web.put(at, json={}), 405)["detail"].endswith("takes POST")
        assert (await web.put(at)).headers["allow"] == "POST"


async def test_a_schedule_is_added_changed_as_it_was_seen_paused_and_removed(
    serve: Serve, database: str
) -> None:
    async with serve(*JOBS) as web, at_work(database):
        given = {"trigger": "0 6 * * *", "label": "early", "params": {"site": "vigo"}}
        added = await web.post("/api/v1/jobs/shop.orders/schedules", json=given)
        assert added.status_code == 201, added.text
        name = added.json()["schedule"]
        at = f"/api/v1/schedules/{name.replace('@', '%40')}"
        seen = await web.get(at)
        assert seen.json()["definition"]["params"]["site"] == "vigo"
        tag = {"if-match": seen.headers["etag"]}
        change = {"trigger": "0 7 * * *", "reason": "too early"}
        foreseen = (await web.post(f"{at}/preview", json={"trigger": "0 7 * * *"})).json()
        assert foreseen["before"]["trigger"].startswith("cron 0 6")
        changed = await web.patch(at, json=change, headers=tag)
        assert changed.status_code == 200, changed.text
        assert changed.headers["etag"] == (await web.get(at)).headers["etag"] != tag["if-match"]

        late = problem(await web.patch(at, json={"trigger": "0 8 * * *"}, headers=tag), 412)
        assert late["current"]["definition"]["trigger"].startswith("cron 0 7")
        assert late["wanted"]["trigger"] == "0 8 * * *"
        problem(await web.patch(at, json=change, headers={"if-match": "W/x"}), 400)

        assert (await web.post(f"{at}/pause", json={"reason": "strike"})).json()["paused"] == [name]
        assert (await web.get(at)).json()["paused_by"] == "local@127.0.0.1"
        assert (await web.post(f"{at}/resume")).json()["resumed"] == [name]
        assert len((await web.get(f"{at}/next?count=3")).json()) == 3
        assert (await web.post("/api/v1/pause", json={"name": "shop.*"})).json()["paused"]
        problem(await web.post("/api/v1/pause", json={}), 400)
        assert (await web.delete(f"{at}?reason=done")).json()["schedule"] == name
        trail = (await web.get(f"/api/v1/changes?subject={name.replace('@', '%40')}")).json()
        assert trail["items"][0]["action"] == "remove"
        assert {c["by"] for c in trail["items"]} == {"local@127.0.0.1"}
        assert "done" in [c["reason"] for c in trail["items"]]


async def test_a_bulk_is_seen_before_begun_and_followed(serve: Serve, database: str) -> None:
    async with serve(*JOBS) as web, at_work(database):
        many = {"params": [{}] * 30, "delay": "1h"}
        await web.post("/api/v1/jobs/shop.orders/runs/batch", json=many)
        wanted = {"action": "cancel", "filter": {"job": "shop.*"}}
        preview = (await web.post("/api/v1/bulks/preview", json=wanted)).json()
        assert preview["found"] == 30
        problem(await web.post("/api/v1/bulks", json={**wanted, "reason": "x", "expect": 3}), 409)
        begun = await web.post("/api/v1/bulks", json={**wanted, "reason": "x", "expect": 30})
        at = f"/api/v1/bulks/{begun.json()['id']}"

        def over() -> bool:
            return bool(httpx.get(f"{web.base_url}{at}", timeout=20).json()["state"] == "done")

        await asyncio.to_thread(wait_until, over, "the bulk to be done")
        assert (await web.get(at)).json()["done"] == 30
        assert [bulk["id"] for bulk in (await web.get("/api/v1/bulks")).json()] == [1]


async def test_a_request_that_is_made_again_is_answered_as_the_first_time(
    serve: Serve, database: str
) -> None:
    async with serve(*JOBS) as web, at_work(database):
        at, key = "/api/v1/jobs/shop.orders/runs", {"idempotency-key": "order 12"}
        asked = [web.post(at, json={"delay": "1h"}, headers=key) for _ in range(8)]
        answers = await asyncio.gather(*asked)
        kinds = {answer.status_code for answer in answers}
        assert kinds <= {201, 409}
        assert (await web.get("/api/v1/runs/count?job=shop.orders")).json()["found"] == 1
        again = await web.post(at, json={"delay": "1h"}, headers=key)
        assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
        problem(await web.post(at, json={"delay": "2h"}, headers=key), 422)
        bad = await web.post(at, json={"delay": "?"}, headers={"idempotency-key": "two"})
        problem(bad, 400)  # nothing came of it: the key may be used again
        good = await web.post(at, json={"delay": "1h"}, headers={"idempotency-key": "two"})
        assert good.status_code == 201
        problem(await web.post(at, json={}, headers={"idempotency-key": "x" * 201}), 400)


async def test_each_operation_is_refused_to_who_may_not(serve: Serve, database: str) -> None:
    async with serve(*JOBS, apps=OUTSIDE) as web:
        viewer = await bearer(database, "viewer")
        nobody = await bearer(database, "access:none.such", name="none")
        tried = 0
        for route in API:
            path = f"/api/v1{route.path}".replace("{job}", "etl.sync").replace("{run}", "1")
            path = path.replace("{schedule}", "etl.sync").replace("{bulk}", "1")
            path = path.replace("{backfill}", "1")
            path = path.replace("{blackout}", "1").replace("{calendar}", "c")
            asked = (route.method, path)
            problem(await web.request(*asked), 401)
            if route.needs != "known":
                problem(await web.request(*asked, headers=nobody, json={}), 403)
            if route.needs not in ("known", "read"):
                problem(await web.request(*asked, headers=viewer, json={}), 403)
                tried += 1
        assert tried > 15


async def test_who_may_see_some_jobs_sees_no_others(serve: Serve, database: str) -> None:
    async with serve(*JOBS, apps=OUTSIDE) as web, at_work(database):
        admin = await bearer(database, "admin")
        web.headers.update(admin)
        hidden = (await done(web, "etl.sync"))["id"]
        seen = (await done(web, "shop.orders"))["id"]
        one = await bearer(database, "operator:shop.*", name="shop")
        two = await bearer(database, "viewer:shop.*", "viewer:news.*", name="two")
        for headers in (one, two):
            web.headers.update(headers)
            jobs = {job["name"] for job in (await web.get("/api/v1/jobs")).json()}
            assert jobs == {"shop.orders", "shop.slow", "shop.bad"}
            assert {s["job"] for s in (await web.get("/api/v1/schedules")).json()} == {
                "shop.orders"
            }
            runs = (await web.get("/api/v1/runs?job=shop.*")).json()["items"]
            assert [run["id"] for run in runs] == [seen]
            for path in (
                *(f"/runs/{hidden}", f"/runs/{hidden}/log", f"/runs/{hidden}/chain"),
                *("/jobs/etl.sync", "/schedules/etl.sync", "/jobs/etl.sync/slots", "/verify"),
                *("/runs?job=*", "/runs?job=etl.*", "/runs?job=e*", "/runs?schedule=etl.sync"),
                *("/logs?job=*", "/tokens"),
            ):
                problem(await web.get(f"/api/v1{path}"), 403)
        changed = (await web.get("/api/v1/changes")).json()["items"]
        assert [c for c in changed if not c["subject"].startswith(("shop.", "none."))] == []
        problem(await web.get("/api/v1/runs"), 403)  # of two patterns one is to be named
        web.headers.update(one)
        assert [r["id"] for r in (await web.get("/api/v1/runs")).json()["items"]] == [seen]
        problem(await web.post("/api/v1/jobs/etl.sync/runs"), 403)
        problem(await web.post(f"/api/v1/runs/{hidden}/retry"), 403)
        for reach in ({"everything": True}, {"plugin": "t"}, {"name": "*"}, {"name": "etl.sync"}):
            problem(await web.post("/api/v1/pause", json=reach), 403)
            problem(await web.post("/api/v1/resume", json=reach), 403)
        for reach in ({"job": "*"}, {"job": "etl.*"}, {"schedule": "etl.sync"}):
            wanted = {"action": "retry", "filter": reach, "reason": "x"}
            problem(await web.post("/api/v1/bulks", json=wanted), 403)
        assert (await web.post("/api/v1/pause", json={"name": "shop.*"})).status_code == 200


async def test_secrets_are_masked_and_who_sees_them_is_noted(serve: Serve, database: str) -> None:
    async with serve(*JOBS, apps=OUTSIDE) as web, at_work(database):
        web.headers.update(await bearer(database, "operator"))
        asked = await web.post(
            "/api/v1/jobs/etl.sync/runs", json={"params": {"password": "hunter2"}}
        )
        at = f"/api/v1/runs/{asked.json()['run_id']}"
        assert "hunter2" not in (await web.get(at)).text
        problem(await web.get(f"{at}?reveal=true"), 403)
        web.headers.update(await bearer(database, "admin", name="boss"))
        assert "hunter2" in (await web.get(f"{at}?reveal=true")).text
        (noted, *_) = (await web.get("/api/v1/trail")).json()
        assert (noted["by"], noted["action"]) == ("boss@127.0.0.1", "secrets shown")
        assert noted["subject"] == f"run {asked.json()['run_id']} of etl.sync"


async def test_the_document_names_each_operation_once(serve: Serve) -> None:
    async with serve(*JOBS) as web:
        found = json.loads((await web.get("/api/v1/openapi.json")).text)
        names = [
            told["operationId"] for methods in found["paths"].values() for told in methods.values()
        ]
        assert len(names) == len(set(names)) > 40
        assert found["openapi"] == "3.1.0"
        assert "Client" not in json.dumps(found["paths"])


@pytest.mark.parametrize(
    ("at", "name", "all_of"),
    [
        ("/api/v1/jobs?limit=1", "name", ["etl.sync", "shop.bad", "shop.orders", "shop.slow"]),
        ("/api/v1/jobs?limit=2&text=SHOP", "name", ["shop.bad", "shop.orders", "shop.slow"]),
        (
            "/api/v1/schedules?limit=1&text=SHOP.o",
            "name",
            ["shop.orders", "shop.orders@b", "shop.orders@a-1"],
        ),
        ("/api/v1/blackouts?limit=1", "reason", ["c", "b", "a"]),
        ("/api/v1/users?limit=2", "name", ["ana", "bo", "cy"]),
        ("/api/v1/tokens?limit=1", "name", ["t3", "t2", "t1"]),
    ],
)
async def test_lists_are_given_page_by_page(
    serve: Serve, database: str, at: str, name: str, all_of: list[str]
) -> None:
    async with at_work(database), serve(*JOBS) as web, Client.open(database) as sereno:
        for label in ("a-1", "b"):
            body = {"trigger": "every 1h", "label": label}
            assert (
                await web.post("/api/v1/jobs/shop.orders/schedules", json=body)
            ).status_code == 201
        for days, reason in enumerate("abc"):
            end = datetime(2099, 1, 9 - days, tzinfo=UTC)
            start = end - timedelta(days=2)
            await sereno.add_blackout("none.*", reason=reason, start=start, end=end)
        for user in ("bo", "cy", "ana"):
            await accounts.add(sereno, user, "x", ["viewer"], "test")
        web.headers.update(await bearer(database, "admin", name="t1"))
        for token in ("t2", "t3"):
            await bearer(database, "viewer", name=token)
        found, pages, asked = [], 0, at
        while asked:
            answer = await web.get(asked)
            assert answer.status_code == 200, answer.text
            found += [one[name] for one in answer.json()]
            asked, pages = answer.links.get("next", {}).get("url", ""), pages + 1
        assert sorted(found) == sorted(all_of)
        assert found == all_of or "schedules" in at
        assert pages > 1
        whole = await web.get(at.partition("?")[0])
        assert "link" not in whole.headers
        odd = await web.get(f"{at}&cursor=%00x")
        assert odd.status_code in (200, 400)
        assert (await web.get("/api/v1/jobs?cursor=nonsense")).status_code == 400
        assert (await web.get("/api/v1/schedules?name=x&limit=1")).status_code == 400
