"""The console in applications of others, with their users; and while the database is away."""

import asyncio
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import FastAPI

import sereno_console
from sereno.store.migrator import migrate

from ...integration.node import looking
from ...servers.postgres import PostgresServer
from ...servers.waiting import wait_until
from .conftest import Serve, answering, serving
from .shop import JOBS, at_work


class People:
    """The users of an application: a name in a header, as its own log-in would leave it."""

    def resolve_user(self, request: Any) -> Any:
        name = request.headers.get("x-user")
        return None if name is None else {"username": name}

    async def resolve_access(self, user: Any) -> list[str]:
        scopes = {"ana": ["admin"], "bob": ["viewer", "run:shop.*"]}
        return scopes.get(user["username"], [])


async def test_it_is_mounted_in_fastapi_with_that_ones_users(serve: Serve, database: str) -> None:
    async with serve(*JOBS), at_work(database):
        mounted = sereno_console.app(database, resolver=People())
        api = FastAPI()
        api.mount("/inside/sereno", mounted)

        @api.get("/own")
        async def own() -> str:
            return "own"

        async with answering(api) as url, httpx.AsyncClient(base_url=url, timeout=20) as web:
            assert (await web.get("/own")).json() == "own"
            at = "/inside/sereno"
            assert (await web.get(f"{at}/")).status_code == 401  # that application logs people in
            assert (await web.get(f"{at}/log-in")).status_code == 404
            ana, bob, eve = ({"x-user": name} for name in ("ana", "bob", "eve"))
            page = await web.get(f"{at}/", headers=ana)
            assert page.status_code == 200
            assert f'href="{at}/static/console.' in page.text
            asset = page.text.partition(f'href="{at}/static/')[2].partition('"')[0]
            assert (await web.get(f"{at}/static/{asset}")).status_code == 200
            me = (await web.get(f"{at}/api/v1/me", headers=bob)).json()
            assert (me["name"], me["via"], me["by"]) == ("bob", "host", "bob@127.0.0.1")
            assert (await web.get(f"{at}/api/v1/runs", headers=eve)).status_code == 403
            asked = await web.post(f"{at}/api/v1/jobs/shop.orders/runs", headers=bob, json={})
            assert asked.status_code == 201, asked.text
            refused = await web.post(f"{at}/api/v1/jobs/etl.sync/runs", headers=bob, json={})
            assert refused.status_code == 403
            run = f"{at}/api/v1/runs/{asked.json()['run_id']}"
            assert (await web.get(run, headers=bob)).json()["requested_by"] == "bob@127.0.0.1"
            forged = {**ana, "sec-fetch-site": "cross-site"}
            assert (await web.post(f"{at}/api/v1/pause", headers=forged)).status_code == 403
        await mounted.close()
        async with looking(database) as eye:
            await eye.until(
                "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'sereno client'"
                " AND datname = current_database()"
            )


async def test_strangers_are_sent_to_where_the_application_logs_people_in(database: str) -> None:
    mounted = sereno_console.app(
        database, resolver=People(), log_in="/login?next=", challenge='Basic realm="shop"'
    )
    api = FastAPI()
    api.mount("/inside/sereno", mounted)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(api), base_url="http://shop.example"
    ) as web:
        page = await web.get("/inside/sereno/jobs/a%2Fb?state=failed&q=%C3%B1")
        assert page.status_code == 303
        wanted = quote("/inside/sereno/jobs/a%2Fb?state=failed&q=%C3%B1", safe="")
        assert page.headers["location"] == f"/login?next={wanted}"
        refused = [
            await web.get("/inside/sereno/api/v1/jobs"),
            await web.post("/inside/sereno/jobs/etl.sync/pause"),
        ]
        for answer in refused:  # a program, and a change, are not led to a page
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == 'Basic realm="shop"'
        known = await web.get("/inside/sereno/jobs", headers={"x-user": "ana"})
        assert known.status_code == 200
        nothing = await web.get("/inside/sereno/jobs", headers={"x-user": "eve"})
        assert nothing.status_code == 403, "who may nothing is not sent round in a ring"
    await mounted.close()


async def test_it_is_mounted_beside_django(serve: Serve, database: str) -> None:
    # As docs/console.md has it for an asgi.py: whoever passes requests on says below what.
    mounted = sereno_console.app(database, resolver=People())

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/sereno/"):
            await mounted({**scope, "root_path": "/sereno"}, receive, send)
            return
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    ana = {"x-user": "ana"}
    async with (
        serve(),
        answering(application) as url,
        httpx.AsyncClient(base_url=url, headers=ana, timeout=20) as web,
    ):
        assert (await web.get("/")).status_code == 418
        assert "/sereno/static/" in (await web.get("/sereno/")).text
        assert (await web.get("/sereno/api/v1/jobs")).json() == []
    await mounted.close()


async def test_a_database_that_is_away_is_a_problem_that_passes(
    private_postgres: PostgresServer,
) -> None:
    with private_postgres.database("empty_template", lambda dsn: None) as dsn:
        await migrate(dsn)
        async with serving(dsn, *JOBS) as web:
            assert (await web.get("/api/v1/jobs")).status_code == 200
            private_postgres.stop()
            away = await web.get("/api/v1/jobs")
            assert (away.status_code, away.headers["retry-after"]) == (503, "5")
            assert away.headers["content-type"] == "application/problem+json"
            assert away.json()["detail"].startswith("the database is away or busy: ")
            page = await web.get("/console/")
            assert page.status_code == 503
            assert "database" in page.text
            assert (await web.post("/api/v1/jobs/etl.sync/runs", json={})).status_code == 503
            private_postgres.start()

            def back() -> bool:
                return httpx.get(f"{web.base_url}/api/v1/jobs", timeout=20).status_code == 200

            await asyncio.to_thread(wait_until, back, "the console to be back")
