"""A node on a database that went back, or whose sequences did, works on and says so."""

import asyncio
import logging
from typing import Any

import pytest

from sereno import RunContext, every, job
from sereno.store import nodes
from sereno.testing import Signals

from .node import LONG_LEASE, Eye, running

Run = RunContext[dict[str, Any]]
FAR = 1_000_000_000
LED = "SELECT count(*) >= $1 FROM sereno.run WHERE state = 'succeeded'"


@job("t.tick", schedule=every("100ms"), overlap="allow")
async def tick(run: Run) -> None:
    """Do nothing, ten times a second."""


def logged(caplog: pytest.LogCaptureFixture, text: str) -> list[logging.LogRecord]:
    return [r for r in caplog.records if text in r.getMessage()]


async def test_a_node_starts_on_a_database_whose_sequences_are_all_behind_their_rows(
    database: str, eye: Eye, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(database, tick, lease=LONG_LEASE) as first:
        await eye.until(LED, 5)
        assert first.status.term == 1
    last = await eye.value("SELECT max(id) FROM sereno.run")
    behind = (
        "SELECT count(setval(format('sereno.%I', sequencename)::regclass, 1, false))"
        " FROM pg_sequences WHERE schemaname = 'sereno'"
    )
    assert await eye.value(behind) > 3
    async with running(database, tick, lease=LONG_LEASE) as second:
        await second.leads()
        assert await eye.enqueue("t.tick") > last
        await eye.until(LED, last + 3)
        assert second.fault is None
    (told,) = logged(caplog, "sequences were behind their rows")
    assert vars(told)["numbers"]["run.id"] == last
    keys = await eye.rows("SELECT key FROM sereno.node ORDER BY key")
    assert len(keys) == 2


async def test_a_leader_says_that_the_database_went_back_and_its_numbers_go_on_far_ahead(
    database: str, eye: Eye, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(database, tick):
        await eye.until(LED, 3)
    await eye.value("UPDATE sereno.timeline SET system = 'restored' RETURNING id")
    async with running(database, tick, lease=LONG_LEASE) as node:
        await node.leads()
        assert node.status.term == 1_000_002
        await eye.until("SELECT count(*) > 2 FROM sereno.run WHERE id > $1", FAR)
        assert await eye.enqueue("t.tick") > FAR
    assert len(logged(caplog, "goes on from another state")) == 1


class Held:
    """The job `t.once`, which holds its only place, and may not run twice."""

    def __init__(self) -> None:
        self.began = Signals()
        self.job = job("t.once", schedule=every("200ms"), overlap="queue", on_lost="fail")(
            self._work
        )

    async def _work(self, run: Run) -> None:
        self.began.say("began", slot=run.slot)
        await asyncio.Event().wait()


async def test_a_slot_that_waited_for_its_run_is_missed_when_that_may_have_run(
    database: str, eye: Eye
) -> None:
    held = Held()
    waiting = "SELECT count(*) >= $1 FROM sereno.slot WHERE verdict = 'waiting'"
    async with running(database, held.job) as node:
        await held.began.wait("began")
        await eye.until(waiting, 3)
        await node.die()
    waited = [s for (s,) in await eye.rows("SELECT slot FROM sereno.slot WHERE verdict='waiting'")]
    missed = await eye.value("SELECT missed FROM sereno.job_stat")
    await eye.value("UPDATE sereno.timeline SET system = 'restored' RETURNING id")
    async with running(database, held.job) as node:
        await node.leads()
        await eye.until(
            "SELECT count(*) > 0 FROM sereno.timeline WHERE settled_at IS NOT NULL"
            " AND doubtful_until IS NOT NULL"
        )
        found = await eye.rows(
            "SELECT s.verdict, s.reason LIKE 'it may have run%', r.state, r.attempt"
            " FROM sereno.slot s JOIN sereno.run r ON r.id = s.run_id WHERE s.slot = ANY($1)",
            waited,
        )
        assert set(found) == {("missed", True, "lost", 0)}
        assert await eye.value("SELECT missed FROM sereno.job_stat") >= missed + len(waited)
        skipped = await eye.value("SELECT skipped FROM sereno.job_stat")
        assert skipped == 0


async def test_a_node_whose_row_and_key_are_gone_comes_back_with_another(
    database: str, eye: Eye
) -> None:
    async with running(database, tick, lease=LONG_LEASE) as node:
        await eye.until(LED, 2)
        key = await eye.value("SELECT key FROM sereno.node")
        await eye.value("DELETE FROM sereno.node RETURNING key")
        await eye.value("SELECT setval('sereno.node_key_seq', $1, false)", key)
        stranger = nodes.NodeFacts(
            await eye.value("SELECT gen_random_uuid()"), "x", 1, "1", None, 1
        )
        assert (await nodes.join(node.kernel.db, stranger)).key == key
        await eye.value(
            "SELECT bool_or(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory'"
            " AND objsubid = 2 AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        await eye.until("SELECT key <> $2 FROM sereno.node WHERE id = $1", node.id, key)
        await eye.until("SELECT term = 2 FROM sereno.leadership")
        assert node.fault is None
