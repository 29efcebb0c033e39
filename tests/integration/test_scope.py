"""A job of scope "host" or "node" works at each place: who has a part, and what becomes of it."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sereno import Client, RunContext, every, job, schedule
from sereno.engine.wakeup import Wakeup
from sereno.model.errors import DeclarationError, ParamsError
from sereno.model.job import Job
from sereno.store.pool import Database

from .live_cluster import LiveCluster
from .node import LiveNode

Run = RunContext[dict[str, Any]]

PARTS = (
    "SELECT place_name, state, attempt FROM sereno.run WHERE part_of = $1 ORDER BY place_name, id"
)


class Hosts(LiveCluster):
    """Nodes on one database, each on a host of a given name."""

    async def join_at(self, host: str, *jobs: Job, **settings: Any) -> LiveNode:
        """Add a node of `host`, and return once it may be handed runs."""
        return await self.join(*jobs, **{"threads": 5, "host_id": host, **settings})

    async def die(self, node: LiveNode) -> None:
        """Kill a node."""
        self.nodes.remove(node)
        await node.die()

    async def parts(self, run_id: int) -> list[tuple[Any, ...]]:
        """Return place, state and attempt of each part of a run."""
        return await self.eye.rows(PARTS, run_id)

    def gated(self, name: str, **policies: Any) -> Job:
        """Return a job that works on a thread until the gate opens."""
        gate = self.gate

        @job(name, **policies)
        def work(run: Run) -> int:
            assert gate.wait(90)
            return run.attempt

        return work


@pytest.fixture
async def hosts(database: str) -> AsyncIterator[Hosts]:
    async with Hosts.on(database) as found:
        yield found


async def test_a_run_works_once_at_each_host_and_once_at_each_node(hosts: Hosts) -> None:
    @job("t.logs", scope="host")
    async def logs(run: Run) -> dict[str, int]:
        return {"attempt": run.attempt}

    @job("t.cache", scope="node")
    def cache(run: Run) -> int:
        return 7

    nodes = [
        await hosts.join_at(host, logs, cache, node_name=f"n{n}") for n, host in enumerate("aab")
    ]
    logs_run = await hosts.eye.enqueue("t.logs")
    cache_run = await hosts.eye.enqueue("t.cache")
    row = await hosts.eye.over(logs_run)
    assert (row["state"], row["attempt"]) == ("succeeded", 1)
    assert await hosts.parts(logs_run) == [("a", "succeeded", 1), ("b", "succeeded", 1)]
    row = await hosts.eye.over(cache_run)
    assert row["state"] == "succeeded"
    assert await hosts.parts(cache_run) == [(f"n{n}", "succeeded", 1) for n in range(3)]
    at = "SELECT node FROM sereno.run WHERE part_of = $1 ORDER BY place_name"
    assert [r[0] for r in await hosts.eye.rows(at, cache_run)] == [n.id for n in nodes]
    (found,) = await hosts.eye.rows("SELECT result FROM sereno.run WHERE id = $1", cache_run)
    assert found[0] in ({"n0": 7, "n1": 7, "n2": 7}, '{"n0": 7, "n1": 7, "n2": 7}')


async def test_places_that_are_called_alike_have_a_result_each(hosts: Hosts) -> None:
    @job("t.cache", scope="node")
    async def cache(run: Run) -> int:
        return 7

    nodes = [await hosts.join_at("a", cache, node_name=name) for name in ("web", "web", "other")]
    run = await hosts.eye.enqueue("t.cache")
    await hosts.eye.over(run)
    (found,) = await hosts.eye.rows("SELECT result::text FROM sereno.run WHERE id = $1", run)
    twins = {f"web ({str(node.id)[:8]})": 7 for node in nodes[:2]}
    assert json.loads(found[0]) == {**twins, "other": 7}


async def test_slots_run_on_time_at_each_host_and_verify_holds_them(hosts: Hosts) -> None:
    @job("t.tick", scope="host", schedule=every("1s"))
    async def tick(run: Run) -> None:
        assert run.slot is not None

    nodes = [await hosts.join_at(host, tick) for host in ("a", "b", "b")]
    whole = "SELECT count(*) >= 3 FROM sereno.run WHERE place_id = '*' AND state = 'succeeded'"
    await hosts.eye.until(
        whole + " AND (SELECT count(*) FROM sereno.run p WHERE p.part_of = run.id) = 2"
    )
    rows = await hosts.eye.rows(
        "SELECT DISTINCT s.verdict, w.attempt, w.cause, p.cause, p.attempt FROM sereno.slot s"
        " JOIN sereno.run w ON w.id = s.run_id JOIN sereno.run p ON p.part_of = w.id"
        " WHERE w.state = 'succeeded'"
    )
    assert rows == [("ran", 1, "slot", "part", 1)]
    early = "SELECT count(*) FROM sereno.run WHERE started_at < slot"
    assert await hosts.eye.value(early) == 0
    async with Client.open(hosts.dsn) as client:
        account = await client.verify()
        assert account.holds, account.faults
        assert account.parts >= 6
        assert await hosts.eye.value("SELECT sereno.prune('1 day', 1000, 1000)") == 0
        shown = await client.run(
            await hosts.eye.value("SELECT min(id) FROM sereno.run WHERE place_id = '*'")
        )
        assert {p.place for p in shown.parts} <= {"a", "b"}
        part = await client.run(shown.parts[0].run)
        assert (part.part_of, part.place) == (shown.id, shown.parts[0].place)
    began = [s for node in nodes for name, s in node.heard.said if name == "RunStarted"]
    assert {(s["cause"], s["part_of_slot"]) for s in began} == {("part", True)}
    told = await nodes[0].heard.wait("RunFinished", parts=2, limit=45)
    assert (told["state"], told["attempt"]) == ("succeeded", 1)


async def test_a_whole_that_is_over_and_a_slot_that_is_late_are_told_once(hosts: Hosts) -> None:
    @job("t.mixed", scope="host")
    async def mixed(run: Run) -> str:
        if run.params["host"] == "b":
            raise ValueError("no")
        return "done"

    late = hosts.gated("t.late", scope="host", schedule=every("1s"), grace="1ms", overlap="queue")
    nodes = [await hosts.join_at(host, mixed, late) for host in "ab"]
    run = await hosts.eye.enqueue("t.mixed", '{"host": "b"}')
    told = await nodes[0].heard.wait("RunFinished", job="t.mixed", parts=2, limit=45)
    assert (told["run_id"], told["state"], told["attempt"]) == (run, "failed", 1)
    assert told["error"].startswith("2 of its 2 parts did not succeed")
    assert told["duration"].total_seconds() >= 0
    ok = await hosts.eye.enqueue("t.mixed", '{"host": "a"}')
    told = await nodes[0].heard.wait("RunFinished", job="t.mixed", parts=2, limit=45)
    assert (told["run_id"], told["state"]) == (ok, "succeeded")
    assert json.loads(told["result"]) == {"a": "done", "b": "done"}
    overdue = (
        "SELECT count(*) >= 2 FROM sereno.slot WHERE slot < clock_timestamp() - interval '0.1 s'"
    )
    await hosts.eye.until(overdue)
    hosts.gate.set()
    slot = await hosts.eye.until(
        "SELECT s.slot FROM sereno.slot s JOIN sereno.run w ON w.id = s.run_id"
        " WHERE s.verdict = 'late' AND w.state = 'succeeded' ORDER BY s.slot LIMIT 1"
    )
    heard = [e for n in nodes for name, e in n.heard.said if name == "SlotSettled"]
    assert [e["verdict"] for e in heard if e["slot"] == slot] == ["late"]


async def test_a_part_whose_node_died_is_taken_by_another_of_its_host(hosts: Hosts) -> None:
    work = hosts.gated("t.work", scope="host")
    cache = hosts.gated("t.cache", scope="node")
    await hosts.join_at("a", work, cache, node_name="lead")
    others = {n.id: n for n in [await hosts.join_at("b", work, cache) for _ in range(2)]}
    run, cached = [await hosts.eye.enqueue(name) for name in ("t.work", "t.cache")]
    at_work = "SELECT count(*) = 5 FROM sereno.run WHERE part_of IS NOT NULL AND state = 'running'"
    await hosts.eye.until(at_work)
    at = "SELECT node FROM sereno.run WHERE part_of = $1 AND place_name = 'b'"
    dead = await hosts.eye.value(at, run)
    await hosts.die(others[dead])
    of_node = "SELECT state = 'lost' FROM sereno.run WHERE part_of = $1 AND node = $2"
    await hosts.eye.until(of_node, cached, dead)
    again = (
        "SELECT state = 'running' AND attempt = 2 FROM sereno.run"
        " WHERE part_of = $1 AND node <> $2 AND place_name = 'b'"
    )
    await hosts.eye.until(again, run, dead)
    hosts.gate.set()
    assert (await hosts.eye.over(run))["state"] == "succeeded"
    assert await hosts.parts(run) == [("a", "succeeded", 1), ("b", "succeeded", 2)]
    row = await hosts.eye.over(cached)
    assert row["state"] == "failed"
    assert row["error"].startswith("1 of its 3 parts did not succeed: run "), row["error"]
    async with Client.open(hosts.dsn) as client:
        assert (await client.verify()).holds


async def test_a_place_that_goes_or_comes_before_its_part_begins_is_told(hosts: Hosts) -> None:
    hold = hosts.gated("t.hold", runs_on=["far"])
    work = hosts.gated("t.work", scope="node")
    await hosts.join_at("a", hold, work, node_name="lead")
    far = await hosts.join_at("b", hold, work, node_name="far", node_labels=("far",), threads=1)
    held = await hosts.eye.enqueue("t.hold")
    await hosts.eye.until("SELECT state = 'running' FROM sereno.run WHERE id = $1", held)
    run = await hosts.eye.enqueue("t.work")
    waits = "SELECT count(*) = 1 FROM sereno.run WHERE part_of = $1 AND state = 'running'"
    await hosts.eye.until(waits, run)
    assert await hosts.parts(run) == [("far", "queued", 0), ("lead", "running", 1)]
    await hosts.join_at("c", hold, work, node_name="late")
    await hosts.die(far)
    gone = "SELECT error FROM sereno.run WHERE part_of = $1 AND state = 'cancelled'"
    error = await hosts.eye.until(gone, run)
    assert error == f"its node 'far' ({far.id}) left before it was done"
    hosts.gate.set()
    assert (await hosts.eye.over(run))["state"] == "succeeded"
    assert await hosts.parts(run) == [("far", "cancelled", 0), ("lead", "succeeded", 1)]
    later = await hosts.eye.enqueue("t.work")
    await hosts.eye.over(later)
    assert [place for place, _, _ in await hosts.parts(later)] == ["late", "lead"]


async def test_overlap_and_max_running_are_of_each_place(hosts: Hosts) -> None:
    slow = hosts.gated("t.tick", scope="host", schedule=every("1s"), overlap="skip")
    free = threading.Event()
    free.set()
    quick = Hosts(hosts.dsn, hosts.eye, hosts.stack, gate=free).gated(
        "t.tick", scope="host", schedule=every("1s"), overlap="skip"
    )
    one = hosts.gated("t.one", scope="host", max_running=1)
    await hosts.join_at("a", quick, one)
    await hosts.join_at("b", slow, one)
    told = (
        "SELECT p.part_of FROM sereno.run p JOIN sereno.run o ON o.part_of = p.part_of"
        " WHERE p.place_name = 'b' AND p.state = 'cancelled'"
        " AND p.error LIKE 'overlap: its earlier run %'"
        " AND o.place_name = 'a' AND o.state = 'succeeded' ORDER BY p.id DESC LIMIT 1"
    )
    whole = await hosts.eye.until(told)
    row = await hosts.eye.over(whole)
    assert (row["state"], row["attempt"]) == ("succeeded", 1)
    runs = [await hosts.eye.enqueue("t.one") for _ in range(2)]
    both = "SELECT count(*) = 2 FROM sereno.run WHERE part_of = $1 AND state = 'running'"
    await hosts.eye.until(both, runs[0])
    assert [s for _, s, _ in await hosts.parts(runs[1])] in ([], ["queued", "queued"])
    hosts.gate.set()
    for run in runs:
        assert (await hosts.eye.over(run))["state"] == "succeeded"
    async with Client.open(hosts.dsn) as client:
        account = await client.verify()
        assert account.holds, account.faults


async def test_what_is_cancelled_is_cancelled_at_each_place(hosts: Hosts) -> None:
    @job("t.wait", scope="host")
    async def wait(run: Run) -> None:
        await asyncio.sleep(600)

    ended: list[int] = []

    @job("t.all", scope="host")
    async def everywhere(run: Run) -> int:
        return run.run_id

    @job("t.then", after=["t.all"])
    async def then(run: Run) -> None:
        ended.append(run.run_id)

    for host in "ab":
        await hosts.join_at(host, wait, everywhere, then)
    run = await hosts.eye.enqueue("t.wait")
    both = "SELECT count(*) = 2 FROM sereno.run WHERE part_of = $1 AND state = 'running'"
    await hosts.eye.until(both, run)
    async with Client.open(hosts.dsn) as client:
        await client.cancel(run, requested_by="ana")
    row = await hosts.eye.over(run)
    assert row["state"] == "cancelled"
    assert {s for _, s, _ in await hosts.parts(run)} == {"cancelled"}
    await hosts.eye.ran("t.all")
    await hosts.eye.until("SELECT state = 'succeeded' FROM sereno.run WHERE job = 't.then'")
    assert await hosts.eye.value("SELECT count(*) FROM sereno.run WHERE job = 't.then'") == 1
    assert len(ended) == 1


async def test_the_next_leader_goes_on_with_parts(hosts: Hosts) -> None:
    work = hosts.gated("t.work", scope="host")
    leader = await hosts.join_at("a", work)
    await hosts.join_at("b", work)
    await hosts.join_at("a", work)
    run = await hosts.eye.enqueue("t.work")
    both = "SELECT count(*) = 2 FROM sereno.run WHERE part_of = $1 AND state = 'running'"
    await hosts.eye.until(both, run)
    of_a = (
        "SELECT attempt = 2 AND state = 'running' FROM sereno.run"
        " WHERE part_of = $1 AND place_name = 'a'"
    )
    dead_had_it = leader.id == await hosts.eye.value(
        "SELECT node FROM sereno.run WHERE part_of = $1 AND place_name = 'a'", run
    )
    await hosts.die(leader)
    assert dead_had_it
    await hosts.eye.until(of_a, run)
    hosts.gate.set()
    assert (await hosts.eye.over(run))["state"] == "succeeded"
    assert await hosts.parts(run) == [("a", "succeeded", 2), ("b", "succeeded", 1)]


async def test_a_run_may_be_asked_for_at_one_place(hosts: Hosts) -> None:
    @job("t.logs", scope="host")
    async def logs(run: Run) -> None:
        if run.attempt == 1 and run.params.get("fail"):
            raise ValueError("no")

    @job("t.once")
    async def once(run: Run) -> None:
        """Nothing."""

    for host in "ab":
        await hosts.join_at(host, logs, once)
    await hosts.eye.until("SELECT count(*) = 2 FROM sereno.job WHERE present")
    async with Client.open(hosts.dsn) as client:
        asked = await client.request("t.logs", {"fail": True}, place="b")
        assert (await hosts.eye.over(asked.run_id))["state"] == "failed"
        assert await hosts.parts(asked.run_id) == [("b", "failed", 1)]
        (part,) = (await client.run(asked.run_id)).parts
        again = await client.retry(part.run)
        await hosts.eye.over(again)
        assert await hosts.parts(again) == [("b", "failed", 1)]
        with pytest.raises(ParamsError, match="its scope is cluster"):
            await client.request("t.once", place="b")
        with pytest.raises(ParamsError, match="its scope is cluster"):
            await client.enqueue("t.once", place="b")
        with pytest.raises(ParamsError, match="it must be the name of a host"):
            await client.enqueue("t.logs", place="")
        for asked_so in (
            {},
            {"tags": ["night"]},
            {"alone": True, "connection": hosts.eye.connection},
        ):
            number = await client.enqueue("t.logs", place="b", **asked_so)
            await hosts.eye.over(number)
            assert await hosts.parts(number) == [("b", "succeeded", 1)]
        shown = {n.host_name for n in (await client.cluster()).nodes if n.host_name is not None}
        assert shown == {"a", "b"}
        away = await client.request("t.logs", place="z")
        found = await client.run(away.run_id)
        assert (found.state, found.parts) == ("queued", [])
        await hosts.join_at("z", logs, once)
        await hosts.eye.over(away.run_id)
        assert await hosts.parts(away.run_id) == [("z", "succeeded", 1)]
    own = "SELECT sereno.at_place(sereno.enqueue('t.logs'), 'a')"
    run = await hosts.eye.value(own)
    await hosts.eye.over(run)
    assert await hosts.parts(run) == [("a", "succeeded", 1)]


async def test_a_leader_of_the_version_before_leaves_parts_alone(hosts: Hosts) -> None:
    work = hosts.gated("t.work", scope="host", max_running=1)
    await hosts.join_at("a", work)
    first, second = [await hosts.eye.enqueue("t.work") for _ in range(2)]
    await hosts.eye.until(
        "SELECT count(*) = 1 FROM sereno.run WHERE part_of = $1 AND state = 'queued'", second
    )
    # It gives back what it knows of no node for, takes what names none, and expires the late.
    await hosts.eye.value("UPDATE sereno.run SET node = NULL WHERE state = 'queued' RETURNING 1")
    free = "SELECT count(*) FROM sereno.run WHERE state = 'queued' AND node IS NULL"
    assert await hosts.eye.value(free) == 0
    hosts.gate.set()
    for run in (first, second):
        assert (await hosts.eye.over(run))["state"] == "succeeded"


async def test_who_has_no_job_of_a_scope_asks_for_no_part(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Counter[str] = Counter()
    reached = Database.fetch

    async def fetch(self: Database, name: str, *args: Any) -> Any:
        asked[name] += 1
        return await reached(self, name, *args)

    monkeypatch.setattr(Database, "fetch", fetch)

    @job("t.tick", schedule=every("1s"))
    async def tick(run: Run) -> None:
        """Nothing."""

    @job("t.plain")
    def plain(run: Run) -> None:
        """Nothing."""

    await hosts.join_at("a", tick, plain)
    await hosts.join_at("b", tick, plain)
    for _ in range(10):
        await hosts.eye.ran("t.plain")
    await hosts.eye.until("SELECT count(*) >= 2 FROM sereno.slot WHERE verdict = 'ran'")
    assert asked["queue_next"] > 5
    found = {name: n for name, n in asked.items() if "part" in name or "whole" in name}
    assert found == {"parts_open": 1}  # of the term, as it began


async def test_a_leader_rests_once_all_parts_are_over(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = 0
    waits = Wakeup.wait

    async def wait(self: Wakeup, timeout: float) -> set[str]:
        nonlocal rounds
        rounds += 1
        return await waits(self, timeout)

    monkeypatch.setattr(Wakeup, "wait", wait)
    monkeypatch.setattr("sereno.engine.parts._LOOK_EVERY", 0.05)

    @job("t.logs", scope="host")
    async def logs(run: Run) -> None:
        """Nothing."""

    node = await hosts.join_at("a", logs)
    await hosts.eye.over(await hosts.eye.enqueue("t.logs"))
    async with asyncio.timeout(30):
        for _ in range(2):  # the second beat is of a leader that has nothing to do
            rounds, beat = 0, node.status.heard
            while node.status.heard == beat:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert rounds < 50


def test_what_contradicts_a_scope_is_refused_with_a_sentence() -> None:
    async def work(run: Run) -> None:
        """Nothing."""

    with pytest.raises(DeclarationError, match="at each of the hosts, and runs_on 'leader' at one"):
        job("t.work", scope="host", runs_on="leader")(work).check()
    with pytest.raises(DeclarationError, match="scope is 'machine', it must be one of cluster"):
        job("t.work", scope="machine")(work)  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match="scope is of the job, over all its schedules"):
        job("t.work", schedule=schedule(every("1h"), scope="node"))(work)  # type: ignore[call-overload]
