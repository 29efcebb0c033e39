"""What dies on a Dask cluster loses no run, and has none at work twice."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ...faults.asking import enqueue, state, value
from ...faults.process import ROOT
from ...servers.connections import let_go
from ...servers.waiting import wait_until
from .cluster import DaskCluster

pytestmark = [pytest.mark.fault, pytest.mark.timeout(180)]


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Iterator[DaskCluster]:
    with ExitStack() as stack:
        yield DaskCluster(database, tmp_path, stack)
    let_go()


def test_what_a_killed_or_frozen_worker_had_is_taken_as_its_job_says(cluster: DaskCluster) -> None:
    leader = cluster.replica()
    for name in ("one", "two", "three"):
        cluster.work(name)
    cluster.hosts("one", "two", "three")
    gone, again = [enqueue(cluster.dsn, f"work.{name}") for name in ("gone", "again")]
    killed = cluster.worker(gone)
    frozen = cluster.worker(again)
    assert killed is not frozen
    killed.kill()
    frozen.popen.send_signal(signal.SIGSTOP)
    assert cluster.over(gone) == ("lost", 1)
    assert cluster.over(again) == ("succeeded", 2)
    frozen.popen.send_signal(signal.SIGCONT)
    devoured = enqueue(cluster.dsn, "work.devour")
    assert cluster.over(devoured) == ("failed", 1)
    error = value(cluster.dsn, "SELECT error FROM sereno.run WHERE id = %s", devoured)
    assert "MemoryError" in error
    assert cluster.over(again) == ("succeeded", 2)
    cluster.never_twice(again)
    cluster.never_twice(gone)
    assert not leader.lines("no longer leading")


def test_a_leaders_and_a_schedulers_death_leave_runs_alone(cluster: DaskCluster) -> None:
    leader = cluster.replica()
    leader.said("leading")
    cluster.replica()
    cluster.work("one")
    cluster.hosts("one")
    run = enqueue(cluster.dsn, "work.gone")
    cluster.worker(run)
    leader.signal(signal.SIGKILL)
    wait_until(
        lambda: value(cluster.dsn, "SELECT count(*) FROM sereno.term WHERE term > 1"),
        "another leader",
    )
    cluster.scheduler.kill()
    withdrawn = "SELECT count(*) FROM sereno.node WHERE label = 'dask one' AND places IS NULL"
    wait_until(lambda: value(cluster.dsn, withdrawn), "the worker to take no more")
    assert state(cluster.dsn, run) == "running"
    cluster.let_go()
    assert cluster.over(run) == ("succeeded", 1)
    cluster.never_twice(run)
    cluster.schedule()
    cluster.work("two")
    cluster.hosts("two")
    assert cluster.over(enqueue(cluster.dsn, "work.again")) == ("succeeded", 1)


def test_a_worker_with_other_code_hosts_nothing_and_says_why(cluster: DaskCluster) -> None:
    other = cluster.place / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("import sereno_dask\nsereno_dask.__version__ = '0.0'\n")
    older = cluster.work("older", path=f"{other}:{ROOT}")
    # A worker that comes after a replica is linked says why in its own log alone.
    wait_until(lambda: "Registered to:" in older.log.read_text(), "the worker to be there")
    leader = cluster.replica()
    told = leader.said("not all is well with the Dask cluster")
    assert "has sereno 0." in told["error"]
    assert "sereno-dask 0.0, and the replica" in told["error"]
    cluster.work("bare", path="")  # it has not the module of the jobs
    cluster.hosts("bare")
    run = enqueue(cluster.dsn, "work.gone")
    cluster.work("sound")
    cluster.hosts("sound")
    assert cluster.worker(run).name == "sound"
    cluster.let_go()
    assert cluster.over(run) == ("succeeded", 1)
    large = enqueue(cluster.dsn, "work.large")
    assert cluster.over(large) == ("succeeded", 1)
    kept = "SELECT result IS NULL AND error LIKE %s FROM sereno.run WHERE id = %s"
    assert value(cluster.dsn, kept, "%result%", large)


def test_workers_of_a_replicas_own_end_with_it(cluster: DaskCluster) -> None:
    cluster.scheduler.kill()
    replica = cluster.replica(SERENO_PLUGINS__DASK__LOCAL="1")
    replica.said("the cluster's workers host runs")
    cluster.let_go()
    assert cluster.over(enqueue(cluster.dsn, "work.again")) == ("succeeded", 1)
    replica.signal(signal.SIGTERM)
    assert replica.end() == 0
    left = "SELECT count(*) FROM sereno.node WHERE label LIKE 'dask %' AND left_at IS NULL"
    wait_until(lambda: not value(cluster.dsn, left), "the worker to leave")
