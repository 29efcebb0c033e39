"""Capacity follows the workers of a real cluster, over TLS as well, and no run is lost by it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from distributed import Client as DaskClient

from sereno import SyncClient
from sereno_dask.hosts import Hosts
from sereno_dask.settings import Settings
from sereno_dask.sight import sight_of

from ...faults.asking import enqueue, state, value
from ...faults.process import ROOT
from ...servers.connections import let_go
from ...servers.waiting import wait_until
from .cluster import DaskCluster, made_pem

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]

PLACES = (
    "SELECT coalesce(sum((places ->> 'dask')::integer), 0) FROM sereno.node"
    " WHERE places ? 'dask' AND left_at IS NULL"
)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found
    let_go()


def have(cluster: DaskCluster, places: int) -> None:
    """Wait until the workers offer so many places."""
    wait_until(lambda: value(cluster.dsn, PLACES) == places, f"{places} places")


def test_places_follow_workers_that_come_retire_and_are_drained(
    database: str, tmp_path: Path, stack: ExitStack
) -> None:
    cluster = DaskCluster(database, tmp_path, stack)
    cluster.replica()
    cluster.work("one")
    have(cluster, 1)
    cluster.work("two", threads=3)
    have(cluster, 4)
    client = stack.enter_context(SyncClient.open(database))
    client.drain("dask two")
    run = enqueue(database, "work.gone")
    assert cluster.worker(run).name == "one"
    client.drain("dask two", undo=True)
    with DaskClient(cluster.address, set_as_default=False) as dask:
        known = dask.scheduler_info()["workers"]
        one = next(address for address, told in known.items() if told["name"] == "one")
        dask.retire_workers([one])
        have(cluster, 3)
        assert state(database, run) == "running"
        other = enqueue(database, "work.again")
        assert cluster.worker(other).name == "two"
    cluster.let_go()
    assert cluster.over(run) == ("succeeded", 1)
    assert cluster.over(other) == ("succeeded", 1)
    assert cluster.workers["one"].popen.wait(60) == 0


def test_places_follow_a_cluster_that_adapts(
    database: str, tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = DaskCluster(database, tmp_path, stack)
    cluster.scheduler.kill()
    monkeypatch.setenv("NOTES", str(cluster.notes))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    adapting = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-m", "tests.plugins.dask.adapting", str(cluster.port)],
            stdin=subprocess.PIPE,
            cwd=tmp_path,
            text=True,
        )
    )
    stack.callback(adapting.kill)
    assert adapting.stdin is not None

    def adapt(fewest: int, most: int) -> None:
        assert adapting.stdin is not None
        print(fewest, most, file=adapting.stdin, flush=True)

    adapt(2, 2)
    cluster.replica()
    have(cluster, 2)
    runs = [enqueue(database, "work.again") for _ in range(3)]
    at_work = "SELECT count(*) FROM sereno.run WHERE state = 'running'"
    wait_until(lambda: value(database, at_work) == 2, "two at work")
    adapt(3, 3)
    wait_until(lambda: value(database, at_work) == 3, "the third at work")
    adapt(1, 1)
    have(cluster, 1)
    cluster.let_go()
    for run in runs:
        assert cluster.over(run)[0] == "succeeded"
        cluster.never_twice(run)


def test_a_worker_that_dask_pauses_has_no_places_until_it_goes_on(
    database: str, tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("TARGET", "SPILL", "TERMINATE"):
        monkeypatch.setenv(f"DASK_DISTRIBUTED__WORKER__MEMORY__{part}", "False")
    monkeypatch.setenv("DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE", "0.5")
    cluster = DaskCluster(database, tmp_path, stack)
    cluster.replica()
    cluster.work("one", memory="700MB")
    have(cluster, 1)
    run = enqueue(database, "work.gone")
    assert cluster.worker(run).name == "one"
    client = stack.enter_context(SyncClient.open(database))
    dask = stack.enter_context(DaskClient(cluster.address, set_as_default=False))
    (one,) = dask.scheduler_info()["workers"]
    dask.run(hold, 30)
    have(cluster, 0)
    wait_until(lambda: shown(cluster, dask)["dask_workers", "paused"] == 1, "a paused worker")
    found = shown(cluster, dask)
    assert found["dask_hosts",] == found["dask_runs_running",] == 1
    assert found["dask_places", "dask"] == 0
    printed = subprocess.run(
        [sys.executable, "-m", "sereno", "cluster"],
        env={**os.environ, "SERENO_DATABASE_URL": database},
        capture_output=True,
        check=True,
    )
    assert b"0 dask" in printed.stdout
    other = enqueue(database, "work.again")
    wait_until(lambda: client.run(other).waits_for_node is not None, "a run to wait for a place")
    assert "taken or closed" in str(client.run(other).waits_for_node)
    cluster.work("two")
    assert cluster.worker(other).name == "two"
    assert state(database, run) == "running"
    dask.run(hold, 0, workers=[one])
    have(cluster, 2)
    third = enqueue(database, "work.again")
    cluster.let_go()
    for ended in (run, other, third):
        assert cluster.over(ended) == ("succeeded", 1)


def hold(parts: int, dask_worker: Any) -> None:
    """Hold so many parts of 10 MB; bit by bit, as the node in this process has to beat."""
    dask_worker.held = [bytearray(b"x") * 10_000_000 for _ in range(parts)]


def shown(cluster: DaskCluster, dask: DaskClient) -> dict[tuple[str, ...], float]:
    """Return what a replica's metrics say that is linked to the cluster."""
    settings = Settings(address=cluster.address)
    sight_of(settings).see(dask.scheduler_info()["workers"])
    samples = asyncio.run(Hosts(settings).collect(cluster.dsn))
    return {(s.metric.name, *s.labels.values()): s.value for s in samples}


def test_a_cluster_over_tls_works_and_a_stranger_gets_no_link(
    database: str, tmp_path: Path, stack: ExitStack
) -> None:
    pem, foreign = made_pem(tmp_path, "ours"), made_pem(tmp_path, "theirs")
    cluster = DaskCluster(database, tmp_path, stack, pem)
    cluster.work("one")
    address = {"SERENO_PLUGINS__DASK__ADDRESS": cluster.address}
    stranger = cluster.replica(**address, **foreign.settings)
    told = stranger.said("not all is well with the Dask cluster")
    assert "certificate" in told["error"].lower()
    assert value(database, PLACES) == 0
    cluster.replica(**address, **pem.settings)
    cluster.hosts("one")
    cluster.let_go()
    assert cluster.over(enqueue(database, "work.again")) == ("succeeded", 1)
