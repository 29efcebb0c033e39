"""Who may read some jobs learns of no others: by no page, no operation, and no sentence."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from sereno import Client, job
from sereno.client.declarations import Declarations
from sereno.store.pool import Database
from sereno_console.api import API
from sereno_console.pages import PAGES

from ...integration.node import looking
from .conftest import Serve
from .shop import JOBS, at_work, bearer, done

SECRET = "hidden.tax_audit"
NUMBERS = {"run": "2", "bulk": "1", "backfill": "1", "blackout": "1", "calendar": "days"}
DRIFT = """
INSERT INTO sereno.change (by, subject, action, reason, before, after)
VALUES ('a leader', $1, 'drift', 'its code', '[]', '[]')
"""


@job(SECRET, after="shop.orders", schedule=None)
async def audit(run: Any) -> None:
    """Do what nobody is to know of."""


ALL = (*JOBS, audit)


@asynccontextmanager
async def asking(database: str) -> AsyncIterator[Client]:
    """Give a client beside which the jobs are declared."""
    db = Database(database, size=1)
    await db.open()
    try:
        yield Client(db, Declarations({j.name: j for j in ALL}))
    finally:
        await db.close()


async def history(web: httpx.AsyncClient, database: str) -> None:
    """Have the hidden job in all that can name one."""
    await done(web, SECRET)
    await done(web, "shop.orders")
    async with asking(database) as client:
        added = await client.add_schedule(SECRET, "every 1h", label="x")
        await client.pause(added.schedule, reason="secret")
        await client.resume(added.schedule)
        await client.set_calendar("days", ["12-25"])
        await client.add_schedule(SECRET, "cron 0 4 * * *", label="y", except_on="days")
        await client.add_blackout("hidden.*", reason="audit", end=datetime(2099, 1, 1, tzinfo=UTC))
    bulk = {"action": "retry", "filter": {"job": SECRET, "states": ["failed"]}, "reason": "again"}
    assert (await web.post("/api/v1/bulks", json=bulk)).status_code == 201
    async with looking(database) as eye:
        await eye.value(DRIFT, f"{SECRET}@x")


def reads() -> list[str]:
    """Return every address that is read and takes no job of its own."""
    found = []
    for table, root in ((API, "/api/v1"), (PAGES, "/console")):
        for route in table:
            path = route.path
            if route.method != "GET" or "{job}" in path or "{schedule}" in path:
                continue
            if "stream" in path or path in ("/events", "/static/{name}"):
                continue
            for name, value in NUMBERS.items():
                path = path.replace(f"{{{name}}}", value)
            if "{" not in path:
                found.append(f"{root}{path}")
    return found


async def test_no_address_names_a_job_of_another_pattern(serve: Serve, database: str) -> None:
    async with serve(*ALL, console={"local": "admin"}) as web, at_work(database, audit):
        await history(web, database)
        names = "".join(
            [(await web.get(at)).text for at in ("/console/changes", "/console/cluster")]
        )
        assert SECRET in names  # who may read all does see it
        headers = await bearer(database, "viewer:shop.*", "bulk:shop.*", "retry:shop.*")
        told: dict[str, str] = {}
        for at in reads():
            answer = await web.get(at, headers=headers)
            assert answer.status_code < 500, (at, answer.text[-300:])
            told[at] = answer.text
        for at in ("/api/v1/runs?job=hidden.tax", "/console/runs?q=job:hidden.tax_audi"):
            told[at] = (await web.get(at, headers=headers)).text
        assert len(told) > 40
        given = {"span": "2d", "change": {"threads": 1}}
        rehearsed = await web.post("/api/v1/rehearsal", json=given, headers=headers)
        assert rehearsed.status_code == 200, rehearsed.text
        told["rehearsal"] = rehearsed.text
        assert sorted(at for at, text in told.items() if "tax_audit" in text) == []
        other = {"change": {"schedules": {f"{SECRET}@x": {"paused": True}}}}
        refused = await web.post("/api/v1/rehearsal", json=other, headers=headers)
        assert refused.status_code == 403
        stopped = await web.post("/console/runs-changed/1/cancel", headers=headers)
        assert stopped.status_code == 403


async def test_a_run_is_stopped_and_repeated_by_the_buttons_of_its_page(
    serve: Serve, database: str
) -> None:
    async with serve(*JOBS) as web, at_work(database):
        run = (await done(web, "shop.bad"))["id"]
        again = await web.post(f"/console/runs/{run}/retry")
        assert again.status_code == 303, again.text
        assert (await web.post(f"/console/runs/{run}/cancel")).status_code == 303
        assert (await web.get(f"/console/runs/{run}/stack")).status_code == 409


@pytest.mark.parametrize(
    "path", ["/console/rehearsal?days=1", "/console/rehearsal?threads=1&pace=slow"]
)
async def test_the_coming_days_are_rehearsed_on_a_page(
    serve: Serve, database: str, path: str
) -> None:
    async with serve(*JOBS) as web, at_work(database):
        async with asking(database) as client:
            await client.change_schedule("etl.sync", trigger="every 1h")
        answer = await web.get(path)
        assert answer.status_code == 200, answer.text
        assert "would go as they should" in answer.text
        change = (
            '{"schedules":{"etl.sync":{"trigger":"every 2h"}},"jobs":{"etl.sync":{"usual":"3h"}}}'
        )
        told = await web.get("/console/rehearsal", params={"days": "1", "change": change})
        assert "is skipped: an earlier run is not over" in told.text
        assert 'href="/console/schedules/etl.sync"' in told.text
        for odd in (
            "[]",
            "{",
            '{"threads": 0}',
            '{"schedules": {"no.job": {"trigger": "every 1h"}}}',
        ):
            refused = await web.get("/console/rehearsal", params={"change": odd})
            assert refused.status_code == 400
            assert 'role="alert"' in refused.text
