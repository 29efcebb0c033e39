"""Whatever ends a leader, another goes on at the next slot: none is lost, none runs twice.

Each fault on its own, on real processes; ``make chaos`` draws them at random and measures.
"""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sereno.engine.verification import Account, verify
from sereno.store.pool import Database

from ..servers.lines import whole_lines
from ..servers.postgres import PostgresServer, installed_programs
from ..servers.waiting import wait_until
from .asking import enqueue, state, value
from .chaos.account import of_deposed
from .chaos.eye import Eye
from .chaos.trust import overlaps, trust_spans
from .process import Process, process

pytestmark = pytest.mark.fault

LEADER = (
    "SELECT n.pid FROM sereno.leadership l JOIN sereno.node n ON n.id = l.node"
    " JOIN sereno.term t ON t.term = l.term WHERE t.ended_at IS NULL"
)
TERM = "SELECT term FROM sereno.leadership"
STEP = timedelta(milliseconds=200)


@dataclass
class Cluster:
    """Replicas on one database, and the file to which their jobs append."""

    dsn: str
    notes: Path
    replicas: list[Process] = field(default_factory=list)

    def leader(self) -> Process:
        """Return the replica that leads."""
        pid = wait_until(lambda: value(self.dsn, LEADER), "a leader")
        return next(r for r in self.replicas if r.popen.pid == pid)

    def led_on(self, term: int) -> None:
        """Wait until a later term than this has settled some slots of its own."""
        since = "SELECT count(*) >= 5 FROM sereno.slot WHERE term > %s"
        wait_until(lambda: value(self.dsn, since, term), f"slots of a term after {term}")

    def noted(self) -> list[dict[str, Any]]:
        """Return what the jobs have said."""
        return [json.loads(line) for line in whole_lines(self.notes)]

    def account(self) -> None:
        """Check the database and the file: every slot until now once, and every attempt once."""
        now = value(self.dsn, "SELECT clock_timestamp()")
        reached = "SELECT settled_to >= %s FROM sereno.watermark"
        wait_until(lambda: value(self.dsn, reached, now), "every slot until now to be settled")
        behind = "SELECT count(*) FROM sereno.run WHERE state IN ('queued', 'running')"
        behind += " AND job = 'noting.tick' AND slot <= %s"
        wait_until(lambda: value(self.dsn, behind, now) == 0, "what was due until now to have run")
        settled = asyncio.run(_verify(self.dsn))
        assert settled.holds, settled.faults
        assert value(self.dsn, "SELECT count(*) FROM sereno.slot_range") == 0
        begun = Counter((n["run"], n["attempt"]) for n in self.noted())
        assert [key for key, times in begun.items() if times > 1] == []
        ran = {datetime.fromisoformat(n["slot"]) for n in self.noted() if n["slot"] is not None}
        slots = sorted(slot for slot in ran if slot <= now)
        due = round((slots[-1] - slots[0]) / STEP) + 1
        assert len(slots) == due, f"{due} slots were due, {len(slots)} ran"


async def _verify(dsn: str) -> Account:
    db = Database(dsn)
    await db.open()
    try:
        return await verify(db, timedelta(days=1))
    finally:
        await db.close()


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """Give a server whose commits are durable, as they are in life."""
    programs = next(iter(installed_programs().values()))
    found = PostgresServer(programs, {"synchronous_commit": "on"})
    try:
        found.start()
        yield found
    finally:
        found.remove()


@pytest.fixture
def cluster(server: PostgresServer, tmp_path: Path) -> Iterator[Cluster]:
    """Three replicas, of which one leads and has fired some slots."""
    found = Cluster(server.dsn(), tmp_path / "notes")
    with ExitStack() as stack:
        for _ in range(3):
            replica = process(
                found.dsn,
                tmp_path,
                "tests.faults.noting",
                NOTES=str(found.notes),
                SERENO_HTTP__ENABLED="false",
                SERENO_DRAIN_TIMEOUT="5s",
                SERENO_LOG__LEVEL="debug",
            )
            found.replicas.append(stack.enter_context(replica))
        for replica in found.replicas:
            replica.said("ready")
        found.led_on(0)
        yield found


def test_a_leader_that_is_killed_is_followed_by_another(cluster: Cluster) -> None:
    for _ in range(2):
        term = value(cluster.dsn, TERM)
        cluster.leader().signal(signal.SIGKILL)
        cluster.led_on(term)
    cluster.account()


def test_a_leader_that_is_told_to_stop_hands_over(cluster: Cluster) -> None:
    terms = []
    for _ in range(2):
        term, leader = value(cluster.dsn, TERM), cluster.leader()
        leader.signal(signal.SIGTERM)
        cluster.led_on(term)
        assert leader.end() == 0
        terms.append(term)
    cluster.account()
    reasons = "SELECT array_agg(reason) FROM sereno.term WHERE term = ANY (%s)"
    assert value(cluster.dsn, reasons, terms) == ["handed over"] * 2


def test_a_leader_that_was_frozen_for_longer_than_its_lease_comes_back_as_a_follower(
    cluster: Cluster,
) -> None:
    term, leader = value(cluster.dsn, TERM), cluster.leader()
    leader.signal(signal.SIGSTOP)
    cluster.led_on(term)
    leader.signal(signal.SIGCONT)
    leader.said("no longer leading")
    cluster.led_on(term + 1 if value(cluster.dsn, TERM) > term + 1 else term)
    present = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid > 0"
    wait_until(lambda: value(cluster.dsn, present) == 3, "all replicas to be present again")
    assert leader.popen.poll() is None
    cluster.account()


def test_a_leader_that_has_not_heard_that_its_session_was_ended_does_nothing_any_more(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Its lease is not over: it trusts itself, has slots to settle, and another leads."""
    held = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 0 AND granted"
    eye = Eye(cluster.dsn)
    try:
        for _ in range(5):
            term, leader = value(cluster.dsn, TERM), cluster.leader()
            leader.signal(signal.SIGSTOP)
            assert value(cluster.dsn, f"SELECT pg_terminate_backend(({held}))")
            wait_until(lambda term=term: value(cluster.dsn, TERM) > term, "the next term")
            leader.signal(signal.SIGCONT)
            cluster.led_on(term)
        assert list(of_deposed(eye)) == []
    finally:
        eye.close()
    cluster.account()
    assert overlaps(trust_spans(tmp_path, {})), "none trusted itself while the next one led"


def test_a_run_of_a_replica_that_was_killed_is_tried_again_or_lost_as_its_job_says(
    cluster: Cluster,
) -> None:
    again, gone = [enqueue(cluster.dsn, f"noting.{name}") for name in ("again", "gone")]
    wait_until(
        lambda: {n["run"] for n in cluster.noted()} >= {again, gone}, "both runs to be under way"
    )
    cluster.leader().signal(signal.SIGKILL)
    wait_until(lambda: state(cluster.dsn, again) == "succeeded", "the second attempt")
    wait_until(lambda: state(cluster.dsn, gone) == "lost", "the loss to be recorded")
    result = "SELECT (result, attempt, losses)::text FROM sereno.run WHERE id = %s"
    assert value(cluster.dsn, result, again) == "(2,2,1)"
    assert [n["attempt"] for n in cluster.noted() if n["run"] == gone] == [1]
    cluster.account()


def test_a_server_that_is_restarted_at_once_costs_no_slot_and_no_run(
    cluster: Cluster, server: PostgresServer
) -> None:
    run = enqueue(cluster.dsn, "noting.again")
    wait_until(lambda: run in {n["run"] for n in cluster.noted()}, "the run to be under way")
    term = value(cluster.dsn, TERM)
    server.kill()
    server.start()
    cluster.led_on(term)
    cluster.notes.with_name("notes.go").touch()
    wait_until(lambda: state(cluster.dsn, run) == "succeeded", "the run's outcome")
    assert value(cluster.dsn, "SELECT attempt FROM sereno.run WHERE id = %s", run) == 1
    assert all(r.popen.poll() is None for r in cluster.replicas)
    cluster.account()
