"""A replica never has more connections than the formula says, whatever its jobs do."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from sereno.app.connections import most_connections
from sereno.model.job import job
from sereno.settings import Settings

from .node import looking, running

PAGE = (Path(__file__).parents[2] / "docs" / "rights.md").read_text()
COUNT = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> $1"


def test_the_page_has_the_formula() -> None:
    found = re.search(r"(\d+) \+ job_connections \+ (\d+) \* processes +\+ (\d+)", PAGE)
    assert found is not None
    bare, processes, apps = map(int, found.groups())
    for settings in (Settings(), Settings(job_connections=50, processes=2)):
        rest = bare + settings.job_connections + processes * settings.processes
        assert most_connections(settings, apps=False) == rest
        assert most_connections(settings, apps=True) == rest + apps
    assert f"which is {most_connections(Settings(), apps=False)} by default" in PAGE
    assert f"{most_connections(Settings(), apps=True)} with the console" in PAGE


@job("tests.greedy", overlap="allow")
async def greedy(run: Any) -> int:
    """Take all that may be had at once, and count while it is had."""

    async def mine() -> int:
        async with run.database() as connection:
            await connection.fetchval("SELECT pg_sleep(0.05)")
            return int(await connection.fetchval(COUNT, -1))

    async def clients() -> int:
        await asyncio.gather(*(run.client.now() for _ in range(20)))
        return 0

    return max(await asyncio.gather(*(mine() for _ in range(20)), *(clients() for _ in range(5))))


@pytest.mark.timeout(240)
async def test_jobs_that_take_all_they_can_do_not_exceed_it(database: str) -> None:
    async with running(database, greedy, job_connections=6) as node, looking(database) as eye:
        await node.leads()
        queued = [await eye.enqueue("tests.greedy") for _ in range(12)]
        rows = [await eye.over(run) for run in queued]
        most = most_connections(node.settings, apps=False) - 6 * node.settings.processes
        counted = [json.loads(row["result"]) for row in rows]
        assert max(counted) <= most + 1  # the test's own one beside it
        assert max(counted) >= 10
