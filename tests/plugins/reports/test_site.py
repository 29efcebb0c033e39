"""The reports as an app: what is listed, shown and given out, and to whom."""

from collections.abc import Callable
from typing import Any

import httpx

from sereno import Client
from sereno_reports.settings import Settings
from sereno_reports.site import ReportSite

HERE = {"host": "127.0.0.1", "peer": "127.0.0.1"}


class Known:
    """Somebody whom the app at the door knows."""

    def __init__(self, *jobs: str) -> None:
        self.jobs = jobs

    def can(self, action: str, job: str) -> bool:
        return action == "read" and job in self.jobs


def asking(site: ReportSite, **told: Any) -> httpx.AsyncClient:
    """Return a client of `site`, which is told so of its surroundings."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        path = "/p/reports" + scope["path"]
        extensions = {"sereno.apps": {**HERE, **told}}
        await site(
            {**scope, "path": path, "root_path": "/p/reports", "extensions": extensions},
            receive,
            send,
        )

    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=("127.0.0.1", 9)),
        base_url="http://127.0.0.1:8766",
    )


async def test_reports_are_listed_shown_and_given_out_as_files(
    figures: Callable[..., Any], database: str
) -> None:
    await figures()
    async with Client.open(database) as client, asking(ReportSite(client, Settings())) as web:
        listed = await web.get("/", headers={"accept-language": "en"})
        assert listed.status_code == 200
        assert "2024-11-19" in listed.text
        number = listed.text.partition('href="/p/reports/')[2]
        assert "site." in number.partition('"')[0]  # the style
        at = listed.text.split('<td data-label="First day"><a href="/p/reports')[1].partition('"')[
            0
        ]
        page = await web.get(at)
        assert "script" not in page.headers["content-security-policy"]
        assert f'src="/p/reports{at}/page.html"' in page.text
        shown = await web.get(f"{at}/page.html")
        assert shown.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        for form, kind in (("csv", "text/csv"), ("json", "application/json"), ("xlsx", "openxml")):
            file = await web.get(f"{at}/x.{form}")
            assert kind in file.headers["content-type"]
            assert f"x.{form}" in file.headers["content-disposition"]
        for path in ("/0", "/x", f"{at}/x.exe", f"{at}/a/b", "/9999999999999999999"):
            assert (await web.get(path)).status_code == 404, path
        assert (await web.post("/")).status_code == 405
        assert (await web.get("/?name=none&before=x")).status_code == 200
        odd = await web.get("/?name=%3Cscript%3E%00")
        assert "<script>" not in odd.text


async def test_who_may_read_a_reports_job_may_read_it_and_nobody_else(
    figures: Callable[..., Any], database: str
) -> None:
    await figures()

    async def nobody(scope: Any) -> None:
        return None

    async def reader(scope: Any) -> Known:
        return Known("reports.daily")

    async def other(scope: Any) -> Known:
        return Known("reports.weekly")

    async with Client.open(database) as client:
        site = ReportSite(client, Settings())
        async with asking(site, visitor=reader, door="/console/") as web:
            assert "2024-11-19" in (await web.get("/")).text
            assert 'href="/console/"' in (await web.get("/")).text
            assert (await web.get("/1")).status_code == 200
        async with asking(site, visitor=other, door="/console/") as web:
            assert "2024-11-19" not in (await web.get("/")).text
            assert (await web.get("/1")).status_code == 404
            assert (await web.get("/1/x.csv")).status_code == 404
        async with asking(site, visitor=nobody, door="/console/") as web:
            assert (await web.get("/")).headers["location"] == "/console/"


async def test_without_a_door_only_this_machine_itself_comes_in(database: str) -> None:
    async with Client.open(database) as client:
        site = ReportSite(client, Settings())
        async with asking(site) as web:
            assert "No hay" not in (await web.get("/")).text
            assert (await web.get("/")).status_code == 200
            for headers in ({"x-forwarded-for": "127.0.0.1"}, {"host": "reports.example.com"}):
                closed = await web.get("/", headers=headers)
                assert closed.status_code == 503
                assert "install sereno-console" in closed.text
        for told in ({"host": "0.0.0.0"}, {"peer": "10.0.0.7"}, {"host": ""}):
            async with asking(site, **told) as web:
                assert (await web.get("/")).status_code == 503
