"""Web workers with a node in each: one is killed, their server is stopped, an endpoint blocks."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from sereno import NodeView, SyncClient

from ..servers.supervised import free_port, listens
from ..servers.waiting import wait_until
from .hosted import LEASE
from .process import ROOT

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120)]


class Site:
    """An application under uvicorn."""

    def __init__(self, dsn: str, place: Path, loop: str, workers: int) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = place / "uvicorn.log"
        words = ["--port", str(self.port), "--loop", loop, "--workers", str(workers)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", "tests.faults.hosted:app", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, "HOSTED_DATABASE": dsn, "PYTHONPATH": str(ROOT / "kernel")},
                start_new_session=True,
            )

    def stop(self) -> int:
        """Tell the server to end, and return how it did."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def site(dsn: str, place: Path, loop: str, workers: int) -> Iterator[tuple[Site, SyncClient]]:
    """Give an application whose nodes are all there, and a client of their database."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE beat (slot timestamptz PRIMARY KEY, pid int NOT NULL)")
    started = Site(dsn, place, loop, workers)
    try:
        with SyncClient.open(dsn) as client:
            wait_until(
                lambda: len(present(client)) == workers and client.leader().term,
                f"{workers} nodes, of which one leads: {started.log}",
                60,
            )
            wait_until(
                lambda: listens(started.port), "the server to answer, which nodes come before"
            )
            yield started, client
    finally:
        if started.process.poll() is None:
            os.killpg(started.process.pid, signal.SIGKILL)
            started.process.wait()


def present(client: SyncClient) -> list[NodeView]:
    return [n for n in client.cluster().nodes if n.present and n.left_at is None]


def beats(dsn: str) -> list[int]:
    """Return the process of each slot that was noted, in their order."""
    with psycopg.connect(dsn) as connection:
        return [pid for (pid,) in connection.execute("SELECT pid FROM beat ORDER BY slot")]


def states(dsn: str) -> dict[str, int]:
    """Return how many runs there are in each state."""
    with psycopg.connect(dsn) as connection:
        return dict(connection.execute("SELECT state, count(*) FROM sereno.run GROUP BY 1"))


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_of_three_workers_one_is_killed_and_no_slot_is_lost_or_doubled(
    database: str, tmp_path: Path, loop: str
) -> None:
    with site(database, tmp_path, loop, 3) as (web, client):
        wait_until(lambda: beats(database), "a slot is noted")
        leader = client.leader()
        (victim,) = [n for n in present(client) if n.id == leader.node]
        os.kill(victim.pid, signal.SIGKILL)
        wait_until(lambda: client.leader().term > leader.term, "another worker leads")
        wait_until(lambda: beats(database)[-1] != victim.pid, "its slots are noted")
        code = web.stop()
        account = client.verify("1h")

    assert code in (0, -signal.SIGTERM), web.log.read_text()
    assert account.holds, account
    ended = states(database)
    assert 1 < ended["succeeded"] <= len(beats(database))
    assert ended.keys() <= {"succeeded", "queued"}, ended


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_server_that_is_told_to_end_ends_and_leaves_the_cluster(
    database: str, tmp_path: Path, loop: str
) -> None:
    with site(database, tmp_path, loop, 1) as (web, client):
        (only,) = present(client)
        wait_until(lambda: beats(database), "a slot is noted")
        code = web.stop()
        (after,) = client.cluster().nodes

    assert code in (0, -signal.SIGTERM), web.log.read_text()
    assert "Application shutdown complete" in web.log.read_text()
    assert after.id == only.id
    assert after.left_at is not None


def test_an_endpoint_that_blocks_costs_no_lead_and_no_slot(database: str, tmp_path: Path) -> None:
    with site(database, tmp_path, "asyncio", 1) as (web, client):
        term = client.leader().term
        before = len(beats(database))
        answer = httpx.get(f"{web.url}/block", params={"seconds": 2 * LEASE}, timeout=30).json()
        noted = len(beats(database)) - before
        ready = httpx.get(f"{web.url}/health/readiness", timeout=30)
        led = client.leader()
        web.stop()

    assert answer["leading"]
    assert noted >= 2
    assert ready.json() == {"status": "ready"}
    assert (led.term, led.held) == (term, True)
