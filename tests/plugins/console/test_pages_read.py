"""Pages that do not slow with history: ten times the runs, and none reads more of the database."""

import asyncio
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import asyncpg
import pytest

from sereno.store import search, trail
from sereno.store.pool import prepare_connection
from sereno_console.api import API
from sereno_console.pages import PAGES

from ...integration.scene import connected
from ...servers.pages_read import listening, pages_read
from .conftest import Serve
from .shop import JOBS, at_work

FEW = 2_000
LAST = 10_000_000
"""The number of the newest run: older ones have lower numbers, as they have come."""

HISTORY = """
CREATE TEMPORARY TABLE past ON COMMIT DROP AS
SELECT %(last)s - n AS id, now() - n * interval '30 min' AS at, n,
       (SELECT id FROM sereno.schedule WHERE name = 'shop.orders') AS schedule
  FROM generate_series(%(from)s::bigint, %(to)s) n;
INSERT INTO sereno.run (id, job, state, cause, schedule_id, slot, run_at, queued_at, started_at,
                        finished_at, attempt, term, params, result, error, requested_by)
       OVERRIDING SYSTEM VALUE
SELECT id, CASE WHEN n %% 3 = 0 THEN 'etl.sync' ELSE 'shop.orders' END,
       CASE WHEN n %% 7 = 0 THEN 'failed' ELSE 'succeeded' END, 'slot', schedule, at, at, at, at,
       at + interval '1 s', 1, 1, jsonb_build_object('site', 'lugo', 'number', n), '{}',
       CASE WHEN n %% 7 = 0 THEN 'no disk' END, 'ci@h' || n %% 50
  FROM past ORDER BY id;
INSERT INTO sereno.attempt (run_id, attempt, state, started_at, finished_at, error)
SELECT id, 0, 'failed', at, at, 'no disk' FROM past WHERE n %% 7 = 0;
INSERT INTO sereno.run_log (run_id, attempt, line, at, level, logger, message)
SELECT id, 1, 0, at, 'INFO', 'shop', 'said' FROM past ORDER BY id;
INSERT INTO sereno.slot (schedule_id, slot, verdict, run_id, term, decided_at)
SELECT schedule, at, 'ran', id, 1, at FROM past;
INSERT INTO sereno.change (id, at, by, subject, action) OVERRIDING SYSTEM VALUE
SELECT id, at, 'ci@h' || n %% 50, 'shop.orders' || CASE WHEN n %% 2 = 0 THEN '@x' || n ELSE '' END,
       'change'
  FROM past ORDER BY id;
INSERT INTO sereno.bulk (action, filter, reason, requested_by, place, state, finished_at)
SELECT 'retry', '{"job": "shop.bad"}', 'x', 'ana', n, 'done', at FROM past WHERE n %% 10 = 0;
INSERT INTO sereno.term (term, node, acquired_at, ended_at, reason)
SELECT 1000000 - n, gen_random_uuid(), at, at, 'x' FROM past WHERE n %% 10 = 0;
INSERT INTO sereno_console.trail (id, at, by, action, subject) OVERRIDING SYSTEM VALUE
SELECT id, at, 'ana@h', 'log-in', 'ana' FROM past;
UPDATE sereno.job_stat SET succeeded = succeeded + %(to)s - %(from)s;
"""

AT = f"{datetime.now(UTC) - timedelta(hours=3):%Y-%m-%dT%H:%M:00Z}"
ARGUMENTS = {
    "run": str(LAST - 7),
    "bulk": "1",
    "backfill": "1",
    "blackout": "1",
    "calendar": "days",
    "job": "shop.orders",
    "schedule": "shop.orders",
    "replica": "n",
}
WITHOUT = (
    "/static",
    "/events",
    "stream",
    "/stack",
    "/wait",
    "openapi",
    "/verify",
    "/export",
    "/log-in",
    "/count",
    "replicas/totals",
)
"""What reads no table, waits, gives or counts all that there is up to a limit, or walks a span."""

FILTERED = (
    "/console/runs?q=job:shop.*+state:failed",
    "/console/runs?q=error:nothing",
    "/console/runs?q=params.site:none+by:nobody",
    "/console/changes?subject=shop.orders",
    "/console/changes?subject=shop.orders%40x7&by=ci",
    "/console/changes?by=nobody",
    "/console/jobs/shop.orders/why?at={at}",
    "/console/logs?q=none",
    "/console/search?q=disk",
    "/console/runs-to-change?action=cancel&q=job:shop.orders",
    "/console/proof",
    "/api/v1/changes?since=1d&by=nobody",
    "/api/v1/jobs/shop.orders/why?at={at}",
    "/console/rehearsal?days=1",
)


def addresses() -> list[str]:
    """Return every address that is read, and some of them with filters."""
    found = []
    for table, root in ((API, "/api/v1"), (PAGES, "/console")):
        for route in table:
            path = route.path
            if route.method != "GET" or any(part in path for part in WITHOUT):
                continue
            for name, value in ARGUMENTS.items():
                path = path.replace(f"{{{name}}}", quote(value))
            if "{" not in path:
                found.append(f"{root}{path}")
    return [*found, *(path.replace("{at}", AT) for path in FILTERED)]


UNSEEN = """
SELECT count(*) FROM pg_class
 WHERE relnamespace = 'sereno'::regnamespace AND relkind = 'r' AND relallvisible < relpages"""
"""Tables with pages of which the index alone does not tell whether all may see them."""


async def grow(connection: asyncpg.Connection, first: int, last: int) -> None:
    async with connection.transaction():
        await connection.execute(HISTORY % {"from": first, "to": last, "last": LAST})
    async with asyncio.timeout(60):
        while True:  # a snapshot of autovacuum's holds it back, and a page is read for each row
            await connection.execute("VACUUM ANALYZE")
            if not await connection.fetchval(UNSEEN):
                return


async def test_no_page_and_no_list_reads_more_of_ten_times_the_runs(
    serve: Serve, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "STEPS", (500, 1_500))  # so few are looked at for a filter's page
    monkeypatch.setattr(trail, "LOOKED_AT", 1_000)
    async with at_work(database):
        pass
    with listening() as statements:
        async with serve(*JOBS, console={"local": "admin"}) as web, connected(database) as eye:
            await prepare_connection(eye)
            for way in ("seqscan", "hashjoin", "mergejoin"):  # the ways of small tables
                await eye.execute(f"SET enable_{way} = off")
            found: list[dict[str, int]] = []
            for first, last in ((1, FEW), (FEW + 1, 10 * FEW)):
                await grow(eye, first, last)
                read = {}
                for at in addresses():
                    statements.taken()
                    answer = await web.get(at)
                    assert answer.status_code < 500, (at, answer.text[-500:])
                    read[at] = await pages_read(eye, statements.taken())
                found.append(read)
    few, many = found
    assert len(few) > 60
    # An index that is ten times as large may be a level deeper, for each of a page's runs.
    grown = {at: (few[at], many[at]) for at in few if many[at] > 1.6 * few[at] + 60}
    assert grown == {}
