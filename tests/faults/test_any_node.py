"""Nodes that only work: what is theirs outlives the leader, and what they leave is taken."""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..servers.lines import whole_lines
from ..servers.waiting import wait_until
from .asking import enqueue, state, value
from .process import Process, process

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]

FAR = '["far"]'


def begun(notes: Path) -> dict[int, int]:
    """Return the process in which each run last began, by its number."""
    return {line["run"]: line["pid"] for line in map(json.loads, whole_lines(notes))}


@dataclass
class Cluster:
    """A leader that has no label, and two nodes that work for it."""

    dsn: str
    notes: Path
    leader: Process
    workers: list[Process]

    def worker(self, run: int) -> Process:
        """Return the node that works on a run, once its function is called: "running" is claimed,
        and who is frozen then gives the run back without a word."""
        wait_until(lambda: run in begun(self.notes), f"a node that works on run {run}")
        return next(w for w in self.workers if w.popen.pid == begun(self.notes)[run])

    def over(self, run: int) -> tuple[str, int]:
        """Return how a run ended, and after how many attempts."""
        wait_until(lambda: state(self.dsn, run) not in ("queued", "running"), f"run {run}")
        attempts = value(self.dsn, "SELECT attempt FROM sereno.run WHERE id = %s", run)
        return state(self.dsn, run), attempts

    def let_go(self) -> None:
        """Let the jobs end."""
        Path(f"{self.notes}.go").touch()

    def begun_once(self) -> None:
        """Check that no attempt has begun twice."""
        lines = map(json.loads, whole_lines(self.notes))
        begun = Counter((line["run"], line["attempt"]) for line in lines)
        assert [which for which, times in begun.items() if times > 1] == []


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Iterator[Cluster]:
    notes = tmp_path / "notes"
    common = {
        "NOTES": str(notes),
        "SERENO_HTTP__ENABLED": "false",
        "SERENO_DRAIN_TIMEOUT": "90s",
        "SERENO_JOBS__NOTING__AGAIN__RUNS_ON": FAR,
        "SERENO_JOBS__NOTING__GONE__RUNS_ON": FAR,
    }
    with ExitStack() as stack:

        def started(**more: str) -> Process:
            found = process(database, tmp_path, "tests.faults.noting", **common, **more)
            return stack.enter_context(found)

        leader = started()
        leader.said("leading")
        workers = [started(SERENO_NODE_LABELS=FAR) for _ in range(2)]
        for worker in workers:
            worker.said("ready")
        yield Cluster(database, notes, leader, workers)


def test_a_leaders_death_leaves_what_works_elsewhere_alone(cluster: Cluster) -> None:
    run = enqueue(cluster.dsn, "noting.gone")
    cluster.worker(run)
    cluster.leader.signal(signal.SIGKILL)
    ended = "SELECT count(*) FROM sereno.term WHERE term > 1"
    wait_until(lambda: value(cluster.dsn, ended), "another leader")
    settled = "SELECT count(*) >= 5 FROM sereno.slot WHERE term > 1"
    wait_until(lambda: value(cluster.dsn, settled), "slots of its term")
    cluster.let_go()
    assert cluster.over(run) == ("succeeded", 1)
    cluster.begun_once()


def test_what_a_killed_node_worked_on_is_taken_as_its_job_says(cluster: Cluster) -> None:
    again = enqueue(cluster.dsn, "noting.again")
    cluster.worker(again).signal(signal.SIGKILL)
    assert cluster.over(again) == ("succeeded", 2)
    gone = enqueue(cluster.dsn, "noting.gone")
    cluster.worker(gone).signal(signal.SIGKILL)
    assert cluster.over(gone) == ("lost", 1)
    assert not cluster.leader.lines("no longer leading")
    cluster.begun_once()


def test_a_frozen_nodes_run_is_taken_and_what_it_says_on_waking_counts_nothing(
    cluster: Cluster,
) -> None:
    run = enqueue(cluster.dsn, "noting.again")
    frozen = cluster.worker(run)
    frozen.signal(signal.SIGSTOP)
    assert cluster.over(run) == ("succeeded", 2)
    frozen.signal(signal.SIGCONT)
    frozen.said(
        "a run is not this node's any more: another has taken it over, or the database has"
        " lost its claim"
    )
    assert cluster.over(run) == ("succeeded", 2)
    cluster.let_go()
    next_run = enqueue(cluster.dsn, "noting.again")
    assert cluster.over(next_run) == ("succeeded", 1)
    cluster.begun_once()


def test_a_node_that_only_works_ends_what_it_has_begun_before_it_leaves(cluster: Cluster) -> None:
    run = enqueue(cluster.dsn, "noting.gone")
    leaving = cluster.worker(run)
    leaving.signal(signal.SIGTERM)
    withdrawn = "SELECT places IS NULL FROM sereno.node WHERE pid = %s"
    wait_until(lambda: value(cluster.dsn, withdrawn, leaving.popen.pid), "it to take no more")
    other = enqueue(cluster.dsn, "noting.again")
    assert cluster.worker(other) is not leaving
    cluster.let_go()
    assert cluster.over(run) == ("succeeded", 1)
    assert cluster.over(other) == ("succeeded", 1)
    assert leaving.end() == 0
    cluster.begun_once()


def test_parts_of_a_killed_process_are_taken_at_its_host_and_lost_with_its_memory(
    database: str, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    common = {"NOTES": str(notes), "SERENO_HTTP__ENABLED": "false"}
    ours = "SELECT array_agg(id) FROM sereno.run WHERE part_of = ANY (%s)"
    of = "SELECT state FROM sereno.run WHERE part_of = %s AND node = %s"
    with ExitStack() as stack:
        nodes = []
        for host in ("one", "two", "two"):
            environment = common | {"SERENO_HOST_ID": host}
            node = stack.enter_context(
                process(database, tmp_path, "tests.faults.noting", **environment)
            )
            node.said("ready")
            nodes.append(node)
        offering = "SELECT count(*) FROM sereno.node WHERE places IS NOT NULL"
        wait_until(lambda: value(database, offering) == 3, "three nodes that take part")
        made = "SELECT count(*) FROM sereno.run WHERE part_of = %s"
        parts = 0
        while parts < 3:  # until the leader has read of the last that came
            at_nodes = enqueue(database, "noting.nodes")
            wait_until(lambda run=at_nodes: value(database, made, run) > 0, "its parts")
            parts = value(database, made, at_nodes)
        at_hosts = enqueue(database, "noting.hosts")
        both = [at_hosts, at_nodes]
        wait_until(
            lambda: len(begun(notes).keys() & set(value(database, ours, both) or [])) == 2 + 3,
            "a part at each host and at each node",
        )
        at_two = "SELECT node::text FROM sereno.run WHERE part_of = %s AND place_name = 'two'"
        dead = value(database, at_two, at_hosts)
        pid = value(database, "SELECT pid FROM sereno.node WHERE id = %s::uuid", dead)
        killed = next(n for n in nodes if n.popen.pid == pid)
        killed.signal(signal.SIGKILL)
        killed.end()
        wait_until(lambda: value(database, of, at_nodes, dead) == "lost", "its own part is lost")
        again = f"SELECT attempt = 2 AND node <> '{dead}' FROM sereno.run WHERE part_of = %s"
        again += " AND place_name = 'two'"  # which ends at once
        wait_until(lambda: value(database, again, at_hosts), "its host's part to begin again")
        Path(f"{notes}.go").touch()
        ended = {at_hosts: "succeeded", at_nodes: "failed"}
        for run, wanted in ended.items():
            wait_until(lambda run=run: state(database, run) not in ("queued", "running"), f"{run}")
            assert state(database, run) == wanted
        lines = map(json.loads, whole_lines(notes))
        times = Counter((line["run"], line["attempt"]) for line in lines)
        assert set(times.values()) == {1}
        mine = value(database, ours, both)
        assert sum(run in mine for run, _ in times) == 2 + 1 + 3  # one at a host began twice
