"""What stands around the pages: the search over all, other plugins' apps, plugins, exports."""

import csv
import io
import json
import re
from html import unescape
from types import SimpleNamespace
from typing import Any

from sereno import App, Client, RunContext, every, hookimpl, job
from sereno_console.pages import PAGES

from ...integration.node import looking, running
from .conftest import Serve
from .shop import JOBS, at_work, bearer

HOSTILE = "<script>alert(1)</script>"
OUTSIDE: dict[str, Any] = {"host": "0.0.0.0"}


async def test_a_search_finds_what_its_reader_may_see_of_every_kind(
    serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web, Client.open(database) as sereno:
        bad = await sereno.enqueue("shop.bad")
        await sereno.wait(bad)
        at = "/console/search"
        assert (await web.get(at)).status_code == 200
        lead = await web.get(at, params={"q": f"#{bad}"})
        assert lead.headers["location"] == f"/console/runs/{bad}"
        assert f'href="/console/runs/{bad}"' in (await web.get(at, params={"q": str(bad)})).text
        for asked, found in (
            ("shop", "/console/jobs/shop.orders"),
            ("orders", "/console/schedules/shop.orders"),
            ("state:failed", f"/console/runs/{bad}"),
            ("alert(1)", f"/console/runs/{bad}"),  # of the error's text
            ("changes", "/console/changes"),
        ):
            assert f'href="{found}"' in (await web.get(at, params={"q": asked})).text, asked
        for odd in (HOSTILE, "\0", "a:b:c", '"', "9" * 40, "#", "\N{PILE OF POO}", "%", "x" * 5000):
            answer = await web.get(at, params={"q": odd})
            assert answer.status_code == 200, odd
            assert HOSTILE not in answer.text

        one = await bearer(database, "viewer:etl.*")
        hidden = await web.get(at, params={"q": f"#{bad}"}, headers=one)
        assert hidden.status_code == 200
        for asked in ("shop", "alert(1)", str(bad), "state:failed"):
            shown = (await web.get(at, params={"q": asked}, headers=one)).text
            assert f"/console/runs/{bad}" not in shown
            assert "/console/jobs/shop" not in shown


def other_app() -> Any:
    """Return a plugin whose app tells who asks, as the app that keeps the door knows it."""

    def made(client: Client) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                told = scope["extensions"]["sereno.apps"]
                known = await told["visitor"](scope)
                may = None if known is None else [known.by, known.can("read", "shop.orders")]
                body = json.dumps([told["door"], may]).encode()
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": body})

        return app

    @hookimpl
    def sereno_register_apps() -> dict[str, App]:
        return {"/other": App(f"Other {HOSTILE}", made)}

    return SimpleNamespace(__name__="tests_other", sereno_register_apps=sereno_register_apps)


async def test_apps_of_others_stand_in_the_navigation_and_hear_who_asks(
    serve: Serve, database: str
) -> None:
    async with serve(*JOBS, beside=[("other", other_app())], apps=OUTSIDE) as web:
        admin = await bearer(database, "admin", name="boss")
        one = await bearer(database, "viewer:etl.*", name="one")
        page = (await web.get("/console/", headers=admin)).text
        assert 'href="/other/"' in page
        assert 'href="/api/v1/"' not in page
        assert HOSTILE not in page
        plugins = (await web.get("/console/plugins", headers=admin)).text
        assert "<code>/other</code>" in plugins
        assert (await web.get("/other/", headers=admin)).json() == [
            *("/console/", ["boss@127.0.0.1", True])
        ]
        assert (await web.get("/other/", headers=one)).json()[1] == ["one@127.0.0.1", False]
        assert (await web.get("/other/")).json()[1] is None
        wrong = {"authorization": "Bearer no"}
        assert (await web.get("/other/", headers=wrong)).json()[1] is None


async def test_what_is_known_of_plugins_is_shown_to_who_may_read_their_jobs(
    serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web:
        page = (await web.get("/console/plugins")).text
        assert "/console/jobs/shop.orders" in page
        one = await bearer(database, "viewer:etl.*")
        page = (await web.get("/console/plugins", headers=one)).text
        assert "/console/jobs/etl.sync" in page
        assert "/console/jobs/shop.orders" not in page


async def test_changes_are_given_as_files_that_run_nothing(serve: Serve, database: str) -> None:
    async with at_work(database), serve(*JOBS) as web, Client.open(database) as sereno:
        for reason in ("=1+1", "+a", "-a", "@a", "x;=1", " =1", 'with "quotes", and\nlines'):
            await sereno.pause("etl.sync", reason=reason, requested_by=HOSTILE)
            await sereno.resume("etl.sync")
        found = await web.get("/console/changes/export")
        assert found.headers["content-type"].startswith("text/csv")
        assert "attachment" in found.headers["content-disposition"]
        rows = list(csv.DictReader(io.StringIO(found.text)))
        reasons = {row["reason"] for row in rows}
        assert {"'=1+1", "'+a", "'-a", "'@a", "x;'=1", "' =1"} <= reasons
        assert 'with "quotes", and\nlines' in reasons
        lines = (await web.get("/console/changes/export?format=json")).text.splitlines()
        assert len(lines) == len(rows)
        assert {"=1+1", "+a"} <= {json.loads(line)["reason"] for line in lines}
        assert (await web.get("/console/changes/export?subject=none.such")).status_code == 404
        assert (await web.get("/console/changes/export?format=exe")).status_code == 400
        one = await bearer(database, "viewer:etl.*")
        assert (await web.get("/console/changes/export", headers=one)).status_code == 403


async def test_a_run_is_run_again_with_other_params_and_its_secrets_are_noted(
    serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web, Client.open(database) as sereno:
        run = await sereno.enqueue("shop.orders", {"number": 7})
        await sereno.wait(run)
        form = {"param.site": "vigo", "param.number": "8"}
        again = await web.post(f"/console/runs/{run}/again", data=form)
        assert again.status_code == 303, again.text
        found = await sereno.run(int(again.headers["location"].rpartition("/")[2]))
        assert (found.params["number"], found.params["site"]) == (8, "vigo")
        assert found.requested_by == f"local@127.0.0.1, run {run} again"

        warned = await web.get(f"/console/runs/{run}?level=WARNING")
        assert "taking" not in warned.text
        assert "No line is of this level." in warned.text
        assert "taking" in (await web.get(f"/console/runs/{run}?level=nonsense")).text

        shown = await web.get(f"/console/runs/{run}?reveal=yes")
        assert "data-events" not in shown.text  # else each renewal would be noted
        trail = (await web.get("/api/v1/trail")).json()
        assert [e["action"] for e in trail].count("secrets shown") == 1
        operator = await bearer(database, "operator")
        refused = await web.get(f"/console/runs/{run}?reveal=yes", headers=operator)
        assert refused.status_code == 403
        assert [e["action"] for e in (await web.get("/api/v1/trail")).json()] == [
            e["action"] for e in trail
        ]


async def test_a_run_is_looked_into_cancelled_and_queued_again_from_its_page(
    serve: Serve, database: str
) -> None:
    async with at_work(database), serve(*JOBS) as web, Client.open(database) as sereno:
        slow = await sereno.enqueue("shop.slow")
        async with looking(database) as eye:
            await eye.until("SELECT state = 'running' FROM sereno.run WHERE id = $1", slow)
        at = f"/console/runs/{slow}"
        stack = await web.get(f"{at}/stack")
        assert "asyncio.Event().wait()" in unescape(stack.text)
        assert "memory" in stack.text  # of its process
        assert (await web.get("/api/v1/trail")).json()[0]["action"] == "stack shown"
        viewer = await bearer(database, "viewer", "cancel:etl.*", "retry:etl.*", "stack:etl.*")
        for refused in (
            await web.get(f"{at}/stack", headers=viewer),
            await web.post(f"{at}/cancel", headers=viewer),
            await web.post(f"{at}/retry", headers=viewer),
            await web.post(f"{at}/again", headers=viewer),
        ):
            assert refused.status_code == 403
        cancelled = await web.post(f"{at}/cancel", data={"reason": HOSTILE})
        assert cancelled.headers["location"] == at
        assert (await sereno.wait(slow)).state == "cancelled"
        assert HOSTILE not in (await web.get(at)).text
        again = await web.post(f"{at}/retry")
        assert again.headers["location"].startswith("/console/runs/")
        await sereno.cancel(int(again.headers["location"].rpartition("/")[2]))


def test_only_the_log_in_and_static_files_are_open_to_all() -> None:
    is_open = {(route.method, route.path) for route in PAGES if route.needs is None}
    assert is_open == {("GET", "/log-in"), ("POST", "/log-in"), ("GET", "/static/{name}")}


async def test_all_addresses_stand_below_what_a_proxy_has_the_apps_below(
    serve: Serve, database: str
) -> None:
    prefixed = {"path_prefix": "/ops/jobs"}
    async with at_work(database), serve(*JOBS, apps=prefixed) as web:
        for taken_away in ("", "/ops/jobs"):  # a proxy takes it away, or does not
            for path in ("", "jobs/shop.orders", "schedules", "people", "search?q=shop"):
                page = await web.get(f"{taken_away}/console/{path}")
                assert page.status_code == 200, path
                links = re.findall(r'(?:href|src|action|data-events)="([^"]*)"', page.text)
                own = [link for link in links if not link.startswith(("#", "http"))]
                assert len(own) > 10
                assert [link for link in own if not link.startswith("/ops/jobs/")] == []


async def test_hostile_words_are_words_on_every_page(serve: Serve, database: str) -> None:
    async def hostile(run: RunContext[Any]) -> Any:
        run.log.warning(HOSTILE)
        run.progress(1, 2, HOSTILE)
        return {HOSTILE: HOSTILE}

    declared = job(
        "shop.hostile",
        title=HOSTILE,
        description=HOSTILE,
        owner=HOSTILE,
        runbook="https://example.com/?a=<script>alert(1)</script>",
        tags=(HOSTILE,),
        schedule=every("1h"),
    )(hostile)
    node = running(database, declared, node_name=HOSTILE)
    async with node, serve(declared) as web, Client.open(database) as sereno:
        async with looking(database) as eye:
            await eye.known("shop.hostile")
        run = await sereno.enqueue("shop.hostile", {HOSTILE: [HOSTILE]}, requested_by=HOSTILE)
        await sereno.wait(run)
        held = await sereno.enqueue("shop.hostile", {"a": 1}, delay="1h")
        await sereno.cancel(held, reason=HOSTILE, requested_by=HOSTILE)
        await sereno.pause("shop.hostile", reason=HOSTILE, requested_by=HOSTILE)
        asked = ["/console/", "/console/people", "/console/proof?span=1d"]
        asked += [f"/console/{path}?q={HOSTILE}" for path in ("search", "runs")]
        seen = set(asked)
        while asked:
            path = asked.pop()
            answer = await web.get(path)
            assert answer.status_code == 200, path
            if not answer.headers["content-type"].startswith("text/html"):
                assert "attachment" in answer.headers["content-disposition"], path
                continue
            assert HOSTILE not in answer.text, path
            found = re.findall(r'href="(/console/[^"#?]*)', answer.text)
            new = {unescape(link) for link in found if "/static/" not in link} - seen
            asked += sorted(new)
            seen |= new
    shown = " ".join(sorted(seen))
    for part in (f"/runs/{run}", "/jobs/shop.hostile", "/cluster", "/changes", "/logs", "/plugins"):
        assert f"/console{part}" in shown
