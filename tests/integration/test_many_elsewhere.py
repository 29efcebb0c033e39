"""What the leader asks does not grow with the runs that work on other nodes."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from sereno import RunContext, job
from sereno.engine import hand_overs
from sereno.store import runs
from sereno.store.pool import Database

from .live_cluster import LiveCluster

FEW, MANY = 10, 1_000
LOOKS = 4
QUEUED = "SELECT count(sereno.enqueue('t.far')) FROM generate_series(1, $1)"
RUNNING = "SELECT count(*) = $1 FROM sereno.run WHERE state = 'running'"


async def test_a_thousand_runs_elsewhere_are_looked_after_with_as_many_statements_as_ten(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = asyncio.Event()

    @job("t.far", runs_on=["far"])
    async def far(run: RunContext[dict[str, Any]]) -> None:
        await go.wait()

    asked: Counter[str] = Counter()
    looked = asyncio.Event()
    monkeypatch.setattr(hand_overs, "_LOOK_EVERY", 0.5)
    states, connection = runs.states, Database.connection

    async def look(db: Database, run_ids: Any) -> Any:
        found = await states(db, run_ids)
        asked["looks"] += 1
        looked.set()
        return found

    monkeypatch.setattr(runs, "states", look)
    async with LiveCluster.on(database) as cluster:
        leader = await cluster.join(far, max_running=2 * MANY)
        await cluster.join(far, node_labels=("far",), max_running=2 * MANY)

        def connected(self: Database) -> Any:
            asked["statements"] += self is leader.kernel.db
            return connection(self)

        monkeypatch.setattr(Database, "connection", connected)

        async def between_looks() -> int:
            """Return the leader's statements from one look at all that works elsewhere on."""
            asked.clear()
            while asked["looks"] < LOOKS + 1:
                looked.clear()
                await looked.wait()
                if asked["looks"] == 1:
                    asked["statements"] = 0
            return asked["statements"]

        await cluster.eye.value(QUEUED, FEW)
        await cluster.eye.until(RUNNING, FEW)
        few = await between_looks()
        await cluster.eye.value(QUEUED, MANY - FEW)
        await cluster.eye.until(RUNNING, MANY)
        many = await between_looks()
        assert 0 < many < 1.5 * few, (few, many)
        asked.clear()
        go.set()
        await cluster.eye.until(
            "SELECT count(*) = $1 FROM sereno.run WHERE state = 'succeeded'", MANY
        )
        assert asked["statements"] < MANY / 4
