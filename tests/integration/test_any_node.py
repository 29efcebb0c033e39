"""The leader decides, and any node works: what is handed over, to whom, and what becomes of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from sereno import Client, Executor, RunContext, every, hookimpl, job
from sereno.app.placement_watch import watch_placement
from sereno.engine import hand_overs
from sereno.engine.executors.in_thread import InThread
from sereno.model.job import Job
from sereno.store import runs as stored_runs

from .live_cluster import LiveCluster
from .node import LiveNode

Run = RunContext[dict[str, Any]]


class Cluster(LiveCluster):
    """Nodes that work for the first of them."""

    async def works_on(self, run_id: int) -> Any:
        """Return the node that works on a run."""
        return await self.eye.until(
            "SELECT node FROM sereno.run WHERE id = $1 AND state = 'running'", run_id
        )


@pytest.fixture
async def cluster(database: str) -> AsyncIterator[Cluster]:
    async with Cluster.on(database) as found:
        yield found


def gated(cluster: Cluster, name: str = "t.work", **policies: Any) -> Job:
    """Return a job that works on a thread until the gate opens."""

    @job(name, **policies)
    def work(run: Run) -> int:
        assert cluster.gate.wait(90)
        return run.attempt

    return work


async def test_runs_work_on_all_nodes_at_once(cluster: Cluster) -> None:
    work = gated(cluster)
    nodes = [await cluster.join(work) for _ in range(3)]
    runs = [await cluster.eye.enqueue("t.work") for _ in range(4)]
    await cluster.eye.until("SELECT count(*) = 3 FROM sereno.run WHERE state = 'running'")
    at_work = {await cluster.works_on(run) for run in runs[:3]}
    assert at_work == {node.id for node in nodes}
    assert await cluster.eye.value("SELECT state FROM sereno.run WHERE id = $1", runs[3]) == (
        "queued"
    )
    cluster.gate.set()
    for run in runs:
        row = await cluster.eye.over(run)
        assert (row["state"], row["attempt"]) == ("succeeded", 1)


async def test_the_first_place_is_the_leaders(cluster: Cluster) -> None:
    work = gated(cluster)
    leader = await cluster.join(work)
    await cluster.join(work)
    assert await cluster.works_on(await cluster.eye.enqueue("t.work")) == leader.id


async def test_a_job_of_the_leader_alone_waits_for_its_place(cluster: Cluster) -> None:
    work = gated(cluster, runs_on="leader")
    leader = await cluster.join(work)
    await cluster.join(work)
    first, second = [await cluster.eye.enqueue("t.work") for _ in range(2)]
    assert await cluster.works_on(first) == leader.id
    assert await cluster.eye.value("SELECT state FROM sereno.run WHERE id = $1", second) == "queued"
    cluster.gate.set()
    assert (await cluster.eye.over(second))["node"] == leader.id


async def test_a_job_waits_for_a_node_with_its_labels(cluster: Cluster) -> None:
    @job("t.gpu", runs_on=["gpu", "madrid"])
    async def gpu(run: Run) -> None:
        """Nothing."""

    await cluster.join(gpu)
    await cluster.join(gpu, node_labels=("gpu",))
    run = await cluster.eye.enqueue("t.gpu")
    other = await cluster.eye.enqueue("t.gpu")
    assert await cluster.eye.value("SELECT count(*) FROM sereno.run WHERE state = 'queued'") == 2
    async with Client.open(cluster.dsn) as client:
        whom = "of job 't.gpu' {} for a replica with the labels gpu, madrid: none is there"
        assert (await client.run(run)).waits_for_node.startswith("1 run " + whom.format("waits"))
        found = await client.cluster()
        assert found.waiting[0].startswith("2 runs " + whom.format("wait"))
        assert [(n.places["thread"], n.labels) for n in found.nodes] == [(1, []), (1, ["gpu"])]
    both = await cluster.join(gpu, node_labels=("madrid", "cold", "gpu"))
    assert (await cluster.eye.over(run))["node"] == both.id
    assert (await cluster.eye.over(other))["node"] == both.id


async def test_the_one_that_leads_counts_the_runs_that_no_node_may_take(cluster: Cluster) -> None:
    @job("t.gpu", runs_on=["gpu"])
    async def gpu(run: Run) -> None:
        """Nothing."""

    node = await cluster.join(gpu)
    await cluster.eye.enqueue("t.gpu")
    run = await cluster.eye.enqueue("t.gpu")
    watch = asyncio.ensure_future(watch_placement(node.kernel.db, node.status, every=0.02))
    while node.status.without_node != {"t.gpu": 2}:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await cluster.join(gpu, node_labels=("gpu",))
    await cluster.eye.over(run)
    while node.status.without_node:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    watch.cancel()


async def test_a_jobs_own_limits_hold_over_all_nodes(cluster: Cluster) -> None:
    work = gated(cluster, max_running=2)
    keyed = gated(cluster, "t.keyed", concurrency_key="k")
    for _ in range(3):
        await cluster.join(work, keyed, threads=5)
    for name in ("t.work", "t.keyed"):
        for _ in range(5):
            await cluster.eye.enqueue(name)
    await cluster.eye.until("SELECT count(*) = 3 FROM sereno.run WHERE state = 'running'")
    await cluster.eye.enqueue("t.work")
    count = "SELECT count(*) FROM sereno.run WHERE state = 'running' AND job = $1"
    assert await cluster.eye.value(count, "t.work") == 2
    assert await cluster.eye.value(count, "t.keyed") == 1
    cluster.gate.set()
    await cluster.eye.until("SELECT count(*) = 11 FROM sereno.run WHERE state = 'succeeded'")


async def test_a_run_that_fails_elsewhere_is_tried_again(cluster: Cluster) -> None:
    @job("t.flaky", runs_on=["far"], retry={"attempts": 3, "delay": 0})
    def flaky(run: Run) -> int:
        if run.attempt < 3:
            raise ValueError("not yet")
        return run.attempt

    await cluster.join(flaky)
    far = await cluster.join(flaky, node_labels=("far",))
    row = await cluster.eye.ran("t.flaky")
    assert (row["state"], row["attempt"], row["node"]) == ("succeeded", 3, far.id)


async def test_slots_are_handed_ahead_and_say_that_they_ran(cluster: Cluster) -> None:
    @job("t.tick", schedule=every("1s"), runs_on=["far"])
    async def tick(run: Run) -> None:
        """Nothing."""

    await cluster.join(tick)
    far = await cluster.join(tick, node_labels=("far",))
    done = "SELECT count(*) >= 3 FROM sereno.run WHERE state = 'succeeded' AND node = $1"
    await cluster.eye.until(done, far.id)
    rows = await cluster.eye.rows(
        "SELECT DISTINCT s.verdict, r.attempt FROM sereno.slot s"
        " JOIN sereno.run r ON r.id = s.run_id WHERE r.state = 'succeeded' AND r.node = $1",
        far.id,
    )
    assert rows == [("ran", 1)]
    early = "SELECT count(*) FROM sereno.run WHERE started_at < slot"
    assert await cluster.eye.value(early) == 0


async def test_a_leaders_death_leaves_the_runs_of_others_alone(cluster: Cluster) -> None:
    work = gated(cluster, runs_on=["far"])
    leader = await cluster.join(work)
    far = await cluster.join(work, node_labels=("far",))
    run = await cluster.eye.enqueue("t.work")
    assert await cluster.works_on(run) == far.id
    cluster.nodes.remove(leader)
    await leader.die()
    await far.leads()
    cluster.gate.set()
    row = await cluster.eye.over(run)
    assert (row["state"], row["attempt"], row["losses"]) == ("succeeded", 1, 0)


async def test_a_hand_over_of_an_earlier_term_is_void(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_overs, "CLAIM_WITHIN", 600.0)  # the first leader takes nothing back
    work = gated(cluster)
    leader = await cluster.join(work)
    far = await cluster.join(work)
    term = leader.status.term
    first = await cluster.eye.enqueue("t.work")
    assert await cluster.works_on(first) == leader.id
    assert far.kernel.leader is not None
    far.kernel.leader.assignments.put = lambda message: message.startswith("handed")  # type: ignore[method-assign]
    run = await cluster.eye.enqueue("t.work")
    handed = "SELECT node = $2 AND state = 'queued' FROM sereno.run WHERE id = $1"
    await cluster.eye.until(handed, run, far.id)
    cluster.gate.set()
    await cluster.part(leader)
    await far.leads()
    row = await cluster.eye.over(run)
    assert (row["state"], row["attempt"]) == ("succeeded", 1)
    assert row["term"] > term


async def test_what_a_node_does_not_claim_is_taken_back_and_costs_no_attempt(
    cluster: Cluster,
) -> None:
    work = gated(cluster)
    leader = await cluster.join(work)
    deaf = await cluster.join(work)
    assert deaf.kernel.leader is not None
    deaf.kernel.leader.assignments.put = lambda message: message.startswith("handed")  # type: ignore[method-assign]
    first, second = [await cluster.eye.enqueue("t.work") for _ in range(2)]
    handed = "SELECT node = $2 AND state = 'queued' AND attempt = 0 FROM sereno.run WHERE id = $1"
    await cluster.eye.until(handed, second, deaf.id)
    await cluster.eye.until("SELECT node IS NULL FROM sereno.run WHERE id = $1", second)
    cluster.gate.set()
    row = await cluster.eye.over(second)
    assert (row["node"], row["attempt"], row["losses"]) == (leader.id, 1, 0)
    assert (await cluster.eye.over(first))["attempt"] == 1


async def test_a_run_that_is_cancelled_while_it_is_handed_over_never_begins(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_overs, "CLAIM_WITHIN", 600.0)
    work = gated(cluster)
    await cluster.join(work)
    deaf = await cluster.join(work)
    assert deaf.kernel.leader is not None
    deaf.kernel.leader.assignments.put = lambda message: message.startswith("handed")  # type: ignore[method-assign]
    _, second = [await cluster.eye.enqueue("t.work") for _ in range(2)]
    await cluster.eye.until(
        "SELECT node = $2 AND state = 'queued' FROM sereno.run WHERE id = $1", second, deaf.id
    )
    assert await stored_runs.request_cancel(deaf.kernel.db, second, "ana") == "cancelled"
    row = await cluster.eye.over(second)
    assert (row["state"], row["attempt"]) == ("cancelled", 0)


async def test_a_node_that_only_works_is_stopped_and_gives_back(cluster: Cluster) -> None:
    @job("t.long", runs_on=["far"])
    async def long(run: Run) -> None:
        if run.attempt == 1:
            await asyncio.Event().wait()

    await cluster.join(long)
    far = await cluster.join(long, node_labels=("far",), drain_timeout=timedelta(0))
    run = await cluster.eye.enqueue("t.long")
    assert await cluster.works_on(run) == far.id
    other = await cluster.join(long, node_labels=("far",))
    await cluster.part(far)
    row = await cluster.eye.over(run)
    assert (row["state"], row["node"], row["losses"]) == ("succeeded", other.id, 0)


async def test_a_dead_nodes_runs_are_taken(cluster: Cluster) -> None:
    work = gated(cluster, runs_on=["far"])
    await cluster.join(work)
    far = await cluster.join(work, node_labels=("far",))
    run = await cluster.eye.enqueue("t.work")
    assert await cluster.works_on(run) == far.id
    cluster.nodes.remove(far)
    await far.die()
    other = await cluster.join(work, node_labels=("far",))
    await cluster.eye.until("SELECT losses = 1 FROM sereno.run WHERE id = $1", run)
    cluster.gate.set()
    row = await cluster.eye.over(run)
    assert (row["state"], row["attempt"], row["node"]) == ("succeeded", 2, other.id)


async def test_a_node_is_given_no_job_that_it_declares_otherwise(cluster: Cluster) -> None:
    leader = await cluster.join(gated(cluster), gated(cluster, "t.same"))
    older = await cluster.join(gated(cluster, timeout="1h"), gated(cluster, "t.same"))
    first, second = [await cluster.eye.enqueue("t.work") for _ in range(2)]
    assert await cluster.works_on(first) == leader.id
    same = await cluster.eye.enqueue("t.same")
    assert await cluster.works_on(same) == older.id
    assert await cluster.eye.value("SELECT state FROM sereno.run WHERE id = $1", second) == "queued"


async def test_a_job_that_changes_waits_for_a_node_that_has_it_and_says_so(
    cluster: Cluster,
) -> None:
    await cluster.join(gated(cluster, runs_on=["far"]))
    await cluster.join(gated(cluster, runs_on=["far"], timeout="1h"), node_labels=("far",))
    await cluster.eye.known("t.work")
    async with Client.open(cluster.dsn) as client:
        run = await client.enqueue("t.work", start_by="1h")
        limit = await cluster.eye.value("SELECT start_by FROM sereno.run WHERE id = $1", run)
        why = (await client.run(run)).waits_for_node
        assert why is not None
        assert "declare the job otherwise than the leader does" in why
        assert why.endswith(f"; by {limit:%Y-%m-%d %H:%M:%S} UTC it begins, or ends unbegun")
        late = await client.enqueue("t.work", start_by=0.05)
        row = await cluster.eye.over(late)
        assert (row["state"], row["attempt"]) == ("cancelled", 0)
        assert row["error"].startswith("it was to begin by ")
    newer = await cluster.join(gated(cluster, runs_on=["far"]), node_labels=("far",))
    assert await cluster.works_on(run) == newer.id


def bringing(executor: Executor) -> list[tuple[str, Any]]:
    """Return the plugin that brings the executor ``far``."""

    @hookimpl
    def sereno_register_executors() -> dict[str, Executor]:
        return {"far": executor}

    return [("farmer", SimpleNamespace(sereno_register_executors=sereno_register_executors))]


class Far(InThread):
    """Threads, under a name of a plugin; with no place: on other nodes alone."""


async def test_an_executor_without_places_works_on_nodes_that_have_some(cluster: Cluster) -> None:
    work = gated(cluster, executor="far")
    leader = await cluster.join(work, plugins=bringing(Far(0)))
    run = await cluster.eye.enqueue("t.work")
    async with Client.open(cluster.dsn) as client:
        assert (await client.run(run)).waits_for_node == (
            "1 run of job 't.work' waits for a replica with a place in the executor 'far':"
            " none is there that works in it; it has no start_by, so there is no limit to that"
        )
    worker = await cluster.join(work, plugins=bringing(Far(1)), leads=False, offers=("far",))
    assert await cluster.works_on(run) == worker.id
    places = await cluster.eye.value("SELECT places FROM sereno.node WHERE id = $1", worker.id)
    assert json.loads(places) == {"far": 1}
    second = await cluster.eye.enqueue("t.work")
    await leader.stop()
    cluster.nodes.remove(leader)
    next_leader = LiveNode(cluster.dsn, work, plugins=bringing(Far(0)))
    await next_leader.start()
    cluster.stack.push_async_callback(next_leader.stop)
    await next_leader.leads()
    assert not worker.status.leading
    cluster.gate.set()
    for one in (run, second):
        row = await cluster.eye.over(one)
        assert (row["state"], row["attempt"], row["node"]) == ("succeeded", 1, worker.id)
    assert next_leader.status.leading
