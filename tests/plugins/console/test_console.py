import json
import subprocess
import sys

import pytest

from .conftest import Serve


async def test_the_console_is_below_its_mount_and_the_api_at_its_own_address(serve: Serve) -> None:
    async with serve() as web:
        page = await web.get("/console/")
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "No replica leads" in page.text
        for base in ("/api/v1", "/console/api/v1"):
            answer = await web.get(f"{base}/nothing")
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["detail"].startswith("there is nothing at /")


async def test_every_answer_forbids_a_browser_what_it_does_not_need(serve: Serve) -> None:
    async with serve() as web:
        for path in ("/console/", "/console/nothing", "/api/v1/nothing"):
            headers = (await web.get(path)).headers
            assert headers["content-security-policy"].startswith("default-src 'none';")
            assert "unsafe" not in headers["content-security-policy"]
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"


async def test_static_files_are_kept_for_ever_by_a_name_of_their_content(serve: Serve) -> None:
    async with serve() as web:
        page = (await web.get("/console/")).text
        name = "console." + page.partition("/console/static/console.")[2].partition('"')[0]
        found = await web.get(f"/console/static/{name}")
        assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert found.headers["content-type"].startswith("text/css")
        of_another_version = await web.get("/console/static/console.0000000000.css")
        assert of_another_version.content == found.content
        assert of_another_version.headers["cache-control"] == "no-store"
        for bad in ("none.css", "..%2f..%2fsettings.py", "console.css", "%00.css"):
            assert (await web.get(f"/console/static/{bad}")).status_code == 404


@pytest.mark.parametrize(
    ("headers", "apps"),
    [
        ({"x-forwarded-for": "127.0.0.1"}, {}),
        ({"forwarded": "for=127.0.0.1"}, {}),
        ({}, {"host": "0.0.0.0"}),
        ({}, {"host": "::"}),
    ],
)
async def test_only_who_comes_from_this_machine_itself_needs_no_name(
    headers: dict[str, str], apps: dict[str, str], serve: Serve
) -> None:
    async with serve(apps=apps) as web:
        for path in ("/console/", "/api/v1/runs"):
            answer = await web.get(path, headers=headers)
            assert answer.status_code == 503
            assert "sereno console user add NAME" in answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 404),
        ({"sec-fetch-site": "same-origin"}, 404),
        ({"sec-fetch-site": "none"}, 404),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "nonsense"}, 403),
        ({"origin": "http://evil.example.com"}, 403),
        ({"origin": "null"}, 403),
    ],
)
async def test_a_page_of_another_site_changes_nothing(
    headers: dict[str, str], status: int, serve: Serve
) -> None:
    async with serve() as web:
        assert (await web.post("/api/v1/nothing", headers=headers)).status_code == status


def test_a_replica_that_loads_the_plugin_loads_no_web_framework() -> None:
    asked = "import json, sys, sereno_console.plugin; print(json.dumps(sorted(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True)
    loaded = {name.partition(".")[0] for name in json.loads(found.stdout)}
    assert not {"starlette", "anyio", "jinja2", "argon2", "uvicorn", "asyncpg"} & loaded
