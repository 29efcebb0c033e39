"""The service of metadata does what its own documents say of the jobs of its cache."""

import ast
import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest
from metadatos.app import create_app
from metadatos.cache import Cache
from metadatos.jobs import Figures, cleanup_expired_cache
from metadatos.stand_ins import World, outside

from sereno import ConfigurationError
from sereno.testing import run_job

from ..integration.asgi_client import alive, ask
from ..prometheus.programs import ROOT
from ..servers.waiting import wait_until
from .by_file import loaded

EXAMPLE = ROOT / "examples" / "cache"
ORDER = (
    *("timestamp", "entries_before", "entries_after", "entries_removed", "memory_freed_kb"),
    *("duration_ms", "hit_rate", "evictions"),
)

pytestmark = pytest.mark.timeout(150)


@asynccontextmanager
async def processes(
    database: str, many: int, world: World, monkeypatch: pytest.MonkeyPatch, **environ: str
) -> AsyncIterator[list[Any]]:
    """Give the applications of so many processes, each with a node and a cache of its own."""
    async with AsyncExitStack() as stack:
        variables = stack.enter_context(outside(world))
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        found = []
        for _ in range(many):
            app = create_app({"POSTGRES_DSN": database, **variables, **environ})
            await stack.enter_async_context(alive(app))
            found.append(app)
        yield found


async def test_each_process_cleans_its_own_cache_and_its_figures_stand_in_their_order(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with processes(database, 2, World(), monkeypatch, CACHE_TTL_SECONDS="0.001") as apps:
        first, second = apps
        client = first.state.node.client
        await client.pause("cache.cleanup", reason="the run is the test's own")
        assert (await ask(first, "/metadata/a")).status == 200
        for name in ("a", "b", "c"):
            assert (await ask(second, f"/metadata/{name}")).status == 200
        assert (len(first.state.cache), len(second.state.cache)) == (1, 3)
        run = await client.enqueue("cache.cleanup")
        done = await client.wait(run, timeout="1m")
        assert done.state == "succeeded", done.error
        assert (len(first.state.cache), len(second.state.cache)) == (0, 0)
        told = (await ask(second, "/jobs/cache.cleanup")).json
        assert sorted(one["entries_removed"] for one in told["figures"]) == [1, 3]
        assert [tuple(one) for one in told["figures"]] == [ORDER, ORDER]
        parts = (await client.run(run)).parts
        assert len(parts) == 2, "one for each process"
        lines = [line.message for part in parts for line in await client.log(part.run)]
        assert any(line.startswith("Limpieza completada: ") for line in lines), lines


async def test_three_warnings_reach_people(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    async with processes(database, 1, world, monkeypatch, CACHE_MAX_SIZE="10") as (app,):
        for number in range(12):
            await ask(app, f"/metadata/m{number}")
        client = app.state.node.client
        done = await client.wait(await client.enqueue("cache.cleanup"), timeout="1m")
        assert done.state == "succeeded"
        app.state.cache.clean = lambda: 1 / 0
        failed = await client.wait(await client.enqueue("cache.cleanup"), timeout="1m")
        assert failed.state == "failed"

        def kinds() -> set[str]:
            titles = (str(one.get("title", "")) for one in world.told)
            return {one.rpartition(": ")[2] for one in titles if one.startswith("Caché")}

        await asyncio.to_thread(
            wait_until, lambda: kinds() == {"capacidad", "aciertos", "errores"}, "three warnings"
        )
    texts = json.dumps(world.told, ensure_ascii=False)
    assert "Caché al 100.0% de capacidad (10/10)" in texts
    assert "ZeroDivisionError" in texts


async def test_jobs_are_listed_added_to_and_removed_from_python(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    async with processes(database, 1, world, monkeypatch) as (app,):
        listed = (await ask(app, "/jobs")).json
        (found,) = [job for job in listed if job["id"] == "cache.cleanup"]
        assert found["title"] == "cache_cleanup_hourly"
        assert found["next_run"]
        assert found["triggers"] == ["cron 0 * * * * UTC"]
        for label, trigger in (("often", "every 1h30m15s"), ("night", "cron 0 3 * * *")):
            path = f"/jobs/cache.cleanup/schedules/{label}?trigger={quote(trigger)}"
            added = await ask(app, path, method="POST")
            assert added.json == {"schedule": f"cache.cleanup@{label}"}
        status = (await ask(app, "/jobs/cache.cleanup")).json
        assert len(status["triggers"]) == 3
        assert (await ask(app, "/jobs/none")).status == 404
        removed = (await ask(app, "/jobs/cache.cleanup", method="DELETE")).json
        assert len(removed["removed"]) == 2
        assert removed["paused"] == ["cache.cleanup"]
        assert (await ask(app, "/jobs/cache.cleanup")).json["next_run"] is None


async def test_the_service_s_people_come_into_the_console_by_their_browser_s_question(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = "ana:cláve:admin, bruno:b:viewer"
    async with processes(database, 1, World(), monkeypatch, CONSOLE_USERS=users) as (app,):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://cache.example") as web:
            for known in (None, ("ana", "b"), ("", ""), ("eve", "b"), ("ana", "")):
                answer = await web.get("/sereno/", auth=known)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"].startswith('Basic realm="Metadatos"')
            for broken in ("Basic", "Basic ñ".encode(), "Basic YQ", "Bearer YTpi", "Basic /w=="):
                assert (
                    await web.get("/sereno/", headers={"authorization": broken})
                ).status_code == 401
            page = await web.get("/sereno/jobs/cache.cleanup", auth=("ana", "cláve"))
            assert (page.status_code, "cache_cleanup_hourly" in page.text) == (200, True)
            at = "/sereno/api/v1/jobs/cache.cleanup/runs"
            assert (await web.post(at, json={}, auth=("bruno", "b"))).status_code == 403
            asked = await web.post(at, json={}, auth=("ana", "cláve"))
            assert asked.status_code == 201, asked.text
            done = await app.state.node.client.wait(asked.json()["run_id"], timeout="1m")
            assert (done.state, done.requested_by) == ("succeeded", "ana@127.0.0.1")


@pytest.mark.parametrize("name", ["CACHE_MAX_SIZE", "CACHE_TTL_SECONDS"])
@pytest.mark.parametrize("text", ["0", "-1", "many", "nan", "inf", "٣"])
def test_a_size_of_nothing_ends_the_start_with_a_sentence(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is '{text}', it must be"):
        create_app({name: text})


async def test_who_restarts_and_routes_finds_its_probes(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with processes(database, 1, World(), monkeypatch) as (app,):
        for path in ("/health", "/health/liveness", "/health/readiness", "/health/tasks"):
            assert (await ask(app, path)).status == 200, path


async def test_what_is_refused_is_answered_with_a_sentence(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with processes(database, 1, World(), monkeypatch) as (app,):
        at = "/jobs/cache.cleanup/schedules"
        for path, status in (
            (f"{at}/a%20b?trigger=every%201h", 400),
            (f"{at}/{quote('🕐')}?trigger=every%201h", 400),
            (f"{at}/often?trigger=sometimes", 400),
            ("/jobs/none/schedules/often?trigger=every%201h", 404),
        ):
            answer = await ask(app, unquote(path), method="POST")
            assert answer.status == status, path
            assert answer.json["error"]


def test_users_that_cannot_be_read_are_a_sentence_without_their_password() -> None:
    with pytest.raises(ConfigurationError, match="NAME:PASSWORD:ROLE") as fault:
        create_app({"CONSOLE_USERS": "ana:geheim"})
    assert "geheim" not in str(fault.value)


async def test_the_catalogue_is_asked_once_and_its_refusals_are_handed_on(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    async with processes(database, 1, world, monkeypatch) as (app,):
        for _ in range(2):
            answer = await ask(app, f"/metadata/{quote('ñandú')}")
            assert answer.json["fields"] == ["id", "título"]
        assert world.calls == 1
        world.throttled = 1
        assert (await ask(app, "/metadata/b")).status == 429
        assert (await ask(app, "/metadata/b")).status == 200
        assert (await ask(app, "/metadata/missing")).status == 404
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://cache.example"
        ) as web:
            for odd in ("a/b", "🦉", "x?y=1#z", "..%/told", "%2F"):
                answer = await web.get(f"/metadata/{quote(odd, safe='')}")
                assert answer.json()["name"] == odd
        assert world.told == []


async def test_a_test_of_a_job_has_six_lines() -> None:
    (own,) = loaded(EXAMPLE, "test_jobs")
    await own.test_cleanup_expired_cache()
    tree = ast.parse((EXAMPLE / "test_jobs.py").read_text())
    (test,) = [node for node in tree.body if isinstance(node, ast.AsyncFunctionDef)]
    assert (test.end_lineno or 0) - test.lineno + 1 == 6


async def test_a_cache_without_questions_has_no_rate_and_warns_of_nothing() -> None:
    cache = Cache(max_size=2, ttl=60)
    cache.put("a", b"x")
    done = await run_job(cleanup_expired_cache, state=cache)
    assert (done.result["hit_rate"], done.warnings) == (None, [])
    assert list(Figures.__struct_fields__) == list(ORDER)
