"""A run may stand in line at a node whose places are all taken, and is still nobody's."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from sereno import Client, RunContext, job
from sereno.engine import completer, hand_overs
from sereno.engine.turnover import Turnover
from sereno.model.job import Job
from sereno.store import runs as stored_runs
from sereno.store.pool import Database

from .live_cluster import LiveCluster

Run = RunContext[dict[str, Any]]

LEASE = timedelta(seconds=6)
"""Long enough for a machine that has other work: no lead is lost but where a test says so."""

IN_LINE = (
    "SELECT count(*) = $2 FROM sereno.run WHERE node = $1 AND state = 'queued' AND attempt = 0"
)
WORKS_ON = "SELECT node FROM sereno.run WHERE id = $1 AND state = 'running'"


@pytest.fixture
async def cluster(database: str) -> AsyncIterator[LiveCluster]:
    async with LiveCluster.on(database) as found:
        yield found


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have four stand in line wherever something has ended."""
    monkeypatch.setattr(Turnover, "line", lambda self: 4)


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have outcomes wait for others, and runs in line, for longer than any test lasts."""
    monkeypatch.setattr(completer, "TOGETHER", 600.0)
    monkeypatch.setattr(hand_overs, "CLAIM_WITHIN", 600.0)


def staying(cluster: LiveCluster, **policies: Any) -> Job:
    """Return a job that stays until the gate opens, unless it is told to pass."""

    @job("t.far", runs_on=["far"], **policies)
    def far(run: Run) -> int:
        assert run.params.get("pass") or cluster.gate.wait(90)
        return run.attempt

    return far


async def lined(cluster: LiveCluster, far: Job, **settings: Any) -> tuple[Any, list[int]]:
    """Return a node that is at work on the first of four runs, while the others stand in line."""
    node = await cluster.join(far, node_labels=("far",), lease=LEASE, **settings)
    placement = cluster.nodes[0].kernel.leader.placement  # type: ignore[union-attr]
    for _ in range(9):  # a word may come late, and nothing be known of how soon a place is free
        passed = await cluster.eye.value("SELECT sereno.enqueue('t.far', '{\"pass\": true}')")
        await cluster.eye.over(passed)
        if placement._turnovers:
            break
    first = await cluster.eye.enqueue("t.far")
    await cluster.eye.until(WORKS_ON, first)
    rest = [await cluster.eye.enqueue("t.far") for _ in range(3)]
    await cluster.eye.until(IN_LINE, node.id, 3)
    return node, [first, *rest]


async def heard(node: Any, count: int) -> None:
    """Return once a node knows that so many stand in line there."""
    async with asyncio.timeout(20):
        while sum(map(len, node.kernel.leader.assignments._lines.values())) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def ends_well(cluster: LiveCluster, run: int) -> Any:
    """Return the node that a run ended well on, in its first attempt."""
    row = await cluster.eye.over(run)
    assert (row["state"], row["attempt"], row["losses"]) == ("succeeded", 1, 0)
    return row["node"]


async def test_places_that_are_soon_free_are_filled_without_the_leader(
    cluster: LiveCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    most, at_work, lock = 0, 0, threading.Lock()

    @job("t.far", runs_on=["far"])
    def far(run: Run) -> None:
        nonlocal most, at_work
        with lock:
            at_work += 1
            most = max(most, at_work)
        with lock:
            at_work -= 1

    asked, ways = 0, ("connection", "connection_for")
    leader = await cluster.join(far, lease=LEASE)
    for _ in range(2):
        await cluster.join(far, node_labels=("far",), lease=LEASE, leads=False, threads=2)

    def counted(way: Any) -> Any:
        def connected(self: Database, *given: Any) -> Any:
            nonlocal asked
            asked += self is leader.kernel.db
            return way(self, *given)

        return connected

    for name in ways:
        monkeypatch.setattr(Database, name, counted(getattr(Database, name)))
    count = 1_000
    await cluster.eye.value(
        "SELECT count(sereno.enqueue('t.far')) FROM generate_series(1, $1)", count
    )
    done = "SELECT count(*) = $1 FROM sereno.run WHERE state = 'succeeded' AND attempt = 1"
    await cluster.eye.until(done, count)
    assert most <= 4
    assert asked < count, asked


@pytest.mark.usefixtures("always")
async def test_what_stands_in_line_at_a_node_that_dies_has_had_no_attempt(
    cluster: LiveCluster,
) -> None:
    far = staying(cluster)
    await cluster.join(far, lease=LEASE)
    node, (first, *rest) = await lined(cluster, far, leads=False)
    cluster.nodes.remove(node)
    await node.die()
    other = await cluster.join(far, node_labels=("far",), lease=LEASE, leads=False, threads=5)
    cluster.gate.set()
    for run in rest:
        assert await ends_well(cluster, run) == other.id
    row = await cluster.eye.over(first)
    assert (row["state"], row["attempt"], row["losses"]) == ("succeeded", 2, 1)


@pytest.mark.usefixtures("always")
async def test_what_stands_in_line_goes_where_a_place_is_free(cluster: LiveCluster) -> None:
    far = staying(cluster)
    await cluster.join(far, lease=LEASE)
    node, (first, *rest) = await lined(cluster, far, leads=False)
    other = await cluster.join(far, node_labels=("far",), lease=LEASE, leads=False, threads=3)
    for run in rest:
        assert await cluster.eye.until(WORKS_ON, run) == other.id
    assert await cluster.eye.until(WORKS_ON, first) == node.id
    cluster.gate.set()
    for run in (first, *rest):
        await ends_well(cluster, run)


@pytest.mark.usefixtures("always")
async def test_who_is_cancelled_in_line_never_begins_and_holds_nobody_up(
    cluster: LiveCluster,
) -> None:
    far = staying(cluster)
    leader = await cluster.join(far, lease=LEASE)
    _, (first, second, *rest) = await lined(cluster, far, leads=False)
    assert await stored_runs.request_cancel(leader.kernel.db, second, "ana") == "cancelled"
    cluster.gate.set()
    for run in (first, *rest):
        await ends_well(cluster, run)
    row = await cluster.eye.over(second)
    assert (row["state"], row["attempt"]) == ("cancelled", 0)


@pytest.mark.usefixtures("always")
async def test_a_line_that_does_not_move_is_taken_back_and_the_node_is_not_shunned(
    cluster: LiveCluster,
) -> None:
    far = staying(cluster)
    leader = await cluster.join(far, lease=LEASE)
    node, (first, *rest) = await lined(cluster, far, leads=False)
    placement = leader.kernel.leader.placement  # type: ignore[union-attr]
    placement.choose_line = lambda job, policies: None  # type: ignore[method-assign]
    await cluster.eye.until(
        "SELECT bool_and(node IS NULL) FROM sereno.run WHERE id = ANY($1)", rest
    )
    cluster.gate.set()
    for run in (first, *rest):
        assert await ends_well(cluster, run) == node.id


@pytest.mark.usefixtures("always")
async def test_a_line_is_void_under_the_next_leader(cluster: LiveCluster) -> None:
    far = staying(cluster)
    leader = await cluster.join(far, lease=LEASE)
    node, (first, *rest) = await lined(cluster, far)
    term = leader.status.term
    cluster.nodes.remove(leader)
    await leader.die()
    await node.leads()
    assert await cluster.eye.until(WORKS_ON, first) == node.id
    cluster.gate.set()
    await ends_well(cluster, first)
    for run in rest:
        await ends_well(cluster, run)
        assert await cluster.eye.value("SELECT term FROM sereno.run WHERE id = $1", run) > term


@pytest.mark.usefixtures("always")
async def test_a_node_that_leaves_gives_back_who_stands_in_line(cluster: LiveCluster) -> None:
    far = staying(cluster)
    await cluster.join(far, lease=LEASE)
    node, (first, *rest) = await lined(cluster, far, leads=False)
    other = await cluster.join(far, node_labels=("far",), lease=LEASE, leads=False, threads=1)
    leaving = asyncio.ensure_future(node.stop())
    cluster.nodes.remove(node)
    await cluster.eye.until(
        "SELECT left_at IS NOT NULL OR places IS NULL FROM sereno.node WHERE id = $1", node.id
    )
    cluster.gate.set()
    await leaving
    for run in rest:
        assert await ends_well(cluster, run) == other.id
    await ends_well(cluster, first)


@pytest.mark.usefixtures("always")
async def test_an_executor_that_closes_its_places_is_handed_nothing_until_it_opens_them(
    cluster: LiveCluster,
) -> None:
    far = staying(cluster)
    await cluster.join(far, lease=LEASE)
    node, (first, *rest) = await lined(cluster, far, leads=False, offers=("thread",))
    executor = node.status.executors["thread"]
    executor.capacity = 0
    closed = "SELECT places = '{\"thread\": 0}' FROM sereno.node WHERE id = $1"
    await cluster.eye.until(closed, node.id)
    await cluster.eye.until(
        "SELECT bool_and(node IS NULL) FROM sereno.run WHERE id = ANY($1)", rest
    )
    async with Client.open(cluster.dsn) as client:
        why = (await client.run(rest[0])).waits_for_node
        assert why is not None
        assert "all their places are taken or closed" in why
    other = await cluster.join(far, node_labels=("far",), lease=LEASE, leads=False, threads=1)
    assert await cluster.eye.until(WORKS_ON, rest[0]) == other.id
    assert await cluster.eye.until(WORKS_ON, first) == node.id
    cluster.gate.set()
    for run in rest:
        assert await ends_well(cluster, run) == other.id
    assert await ends_well(cluster, first) == node.id
    await cluster.part(other)
    waiting = await cluster.eye.enqueue("t.far")
    executor.capacity = 2
    assert await ends_well(cluster, waiting) == node.id


async def test_a_leader_whose_executor_closes_its_places_begins_nothing_there(
    cluster: LiveCluster,
) -> None:
    @job("t.near")
    def near(run: Run) -> int:
        return run.attempt

    leader = await cluster.join(near, lease=LEASE)
    leader.status.executors["thread"].capacity = 0
    await cluster.eye.until(
        "SELECT NOT places ? 'thread' FROM sereno.node WHERE id = $1", leader.id
    )
    run = await cluster.eye.enqueue("t.near")
    other = await cluster.join(near, lease=LEASE)
    assert await ends_well(cluster, run) == other.id


async def test_outcomes_of_short_runs_are_written_together(
    cluster: LiveCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    @job("t.far", runs_on=["far"])
    def far(run: Run) -> None: ...

    written, groups = stored_runs.write_outcomes, [0]

    async def write(db: Database, node: Any, outcomes: Any, *rest: Any) -> Any:
        groups.append(len(outcomes))
        return await written(db, node, outcomes, *rest)

    await cluster.join(far, lease=LEASE)
    await cluster.join(far, node_labels=("far",), lease=LEASE, leads=False)
    monkeypatch.setattr(stored_runs, "write_outcomes", write)
    monkeypatch.setattr(Turnover, "line", lambda self: 32)
    monkeypatch.setattr(completer, "TOGETHER", 0.5)
    count = 300
    await cluster.eye.value(
        "SELECT count(sereno.enqueue('t.far')) FROM generate_series(1, $1)", count
    )
    done = "SELECT count(*) = $1 FROM sereno.run WHERE state = 'succeeded' AND attempt = 1"
    await cluster.eye.until(done, count)
    assert sum(groups) == count
    assert max(groups) >= 4, groups  # how many together, the machine's other work decides


@dataclass
class Halting:
    """Functions that return once the gate opens, all but the third to begin, which waits for `go`.
    `ended`: the runs whose functions have returned; none of those that pass counts."""

    cluster: LiveCluster
    go: threading.Event = field(default_factory=threading.Event)
    begun: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)

    def job(self, **policies: Any) -> Job:
        """Return the job."""

        @job("t.far", runs_on=["far"], **policies)
        def far(run: Run) -> int:
            if run.params.get("pass"):
                return 0
            self.begun.append(run.run_id)
            assert self.cluster.gate.wait(90)
            assert len(self.begun) != 3 or self.go.wait(20)
            self.ended.append(run.run_id)
            return run.attempt

        return far

    async def halted(self, node: Any, runs: list[int]) -> None:
        """Open the gate; returns when the third of `runs` is at work and two outcomes wait."""
        await heard(node, 3)
        self.cluster.gate.set()
        async with asyncio.timeout(20):
            while runs[2] not in self.begun:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for run in runs[:2]:
            assert await self.cluster.eye.until(WORKS_ON, run) == node.id
            assert run in self.ended


@pytest.mark.usefixtures("always", "together")
@pytest.mark.parametrize(("on_lost", "state"), [("retry", "succeeded"), ("fail", "lost")])
async def test_whose_outcome_waits_at_a_node_that_dies_has_had_its_attempt(
    cluster: LiveCluster, on_lost: str, state: str
) -> None:
    halting = Halting(cluster)
    far = halting.job(on_lost=on_lost)
    await cluster.join(far, lease=LEASE)
    node, found = await lined(cluster, far, leads=False)
    await halting.halted(node, found)
    cluster.nodes.remove(node)
    await node.die()
    halting.go.set()
    other = await cluster.join(far, node_labels=("far",), lease=LEASE, leads=False, threads=5)
    for run in found[:2]:
        row = await cluster.eye.over(run)
        assert (row["state"], row["losses"]) == (state, 1)
        assert halting.ended.count(run) == row["attempt"] == (2 if on_lost == "retry" else 1)
    assert await ends_well(cluster, found[3]) == other.id


@pytest.mark.usefixtures("always", "together")
async def test_an_outcome_that_has_waited_is_not_kept_where_its_run_is_another_s(
    cluster: LiveCluster,
) -> None:
    halting = Halting(cluster)
    far = halting.job()
    await cluster.join(far, lease=LEASE)
    node, (first, *others) = await lined(cluster, far, leads=False)
    await halting.halted(node, [first, *others])
    taken = "UPDATE sereno.run SET token = gen_random_uuid() WHERE id = $1 RETURNING true"
    assert await cluster.eye.value(taken, first)
    halting.go.set()
    for run in others:
        assert await ends_well(cluster, run) == node.id
    assert await cluster.eye.until(WORKS_ON, first) == node.id
    await cluster.part(node)
    other = await cluster.join(far, node_labels=("far",), lease=LEASE, leads=False)
    row = await cluster.eye.over(first)
    assert (row["state"], row["attempt"], row["node"]) == ("succeeded", 2, other.id)


@pytest.mark.usefixtures("always", "together")
async def test_outcomes_that_wait_are_written_before_a_node_leaves(cluster: LiveCluster) -> None:
    halting = Halting(cluster)
    far = halting.job()
    await cluster.join(far, lease=LEASE)
    node, found = await lined(cluster, far, leads=False)
    await halting.halted(node, found)
    cluster.nodes.remove(node)
    leaving = asyncio.ensure_future(node.stop())
    await cluster.eye.until(
        "SELECT left_at IS NOT NULL OR places IS NULL FROM sereno.node WHERE id = $1", node.id
    )
    halting.go.set()
    await leaving
    for run in found[:3]:
        assert await ends_well(cluster, run) == node.id


@pytest.mark.usefixtures("always", "together")
@pytest.mark.parametrize(
    "policies", [{"max_running": 9}, {"concurrency_key": "k", "concurrency_limit": 9}]
)
async def test_what_others_may_wait_for_is_written_at_once(
    cluster: LiveCluster, policies: dict[str, Any]
) -> None:
    far = staying(cluster, **policies)
    await cluster.join(far, lease=LEASE)
    node, found = await lined(cluster, far, leads=False)
    cluster.gate.set()
    for run in found:
        assert await ends_well(cluster, run) == node.id


@pytest.mark.usefixtures("always", "together")
async def test_what_fails_is_written_at_once_and_with_it_what_waits(cluster: LiveCluster) -> None:
    ended: list[int] = []

    @job("t.far", runs_on=["far"])
    def far(run: Run) -> None:
        if not run.params.get("pass"):
            assert cluster.gate.wait(90)
            ended.append(run.run_id)
            assert len(ended) != 2  # the second one

    await cluster.join(far, lease=LEASE)
    node, (first, second, *_) = await lined(cluster, far, leads=False)
    await heard(node, 3)
    cluster.gate.set()
    assert (await cluster.eye.over(second))["state"] == "failed"
    assert await ends_well(cluster, first) == node.id
