"""The executor of Dask keeps what executors promise; its settings say what is wrong with them."""

import asyncio
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cloudpickle
import pytest
from distributed.protocol.pickle import dumps

from sereno import ConfigurationError
from sereno.settings import Settings as KernelSettings
from sereno.testing import ExecutorTrial, declared, executor_promises
from sereno_dask import hosting, plugin
from sereno_dask import worker as hosted_worker
from sereno_dask.hosts import Hosts
from sereno_dask.link import VERSION, HostedSettings
from sereno_dask.settings import ExecutorNeeds, Settings
from sereno_dask.sight import sight_of
from sereno_dask.worker import niceness_of, places_of

from ...servers.connections import let_go
from .cluster import OTHERS, DaskCluster

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def cluster(database: str, tmp_path: Path) -> Iterator[DaskCluster]:
    with ExitStack() as stack:
        yield DaskCluster(database, tmp_path, stack)
    let_go()


def named() -> Any:
    """Return the plugin under the name that it is installed by."""
    hooks = {name: hook for name, hook in vars(plugin).items() if name.startswith("sereno_")}
    return SimpleNamespace(**hooks, __name__="dask")


async def test_the_executor_keeps_its_promises(
    cluster: DaskCluster, database: str, tmp_path: Path
) -> None:
    cluster.work("one", threads=2)
    trial = ExecutorTrial(
        database,
        "dask",
        tmp_path,
        plugins=[named()],
        settings={
            "plugins": {"dask": {"address": cluster.address}},
            "disabled_plugins": eval(OTHERS),
        },
        capacity=2,
    )
    async with trial:
        for promise in executor_promises():
            try:
                await promise(trial)
            except AssertionError as error:
                log = cluster.workers["one"].log.read_text()
                pytest.fail(f"{promise}: {error}: {log[-2000:]}")
        await shown(database, Settings(address=cluster.address))


async def shown(database: str, settings: Settings) -> None:
    """Check what the metrics say of a worker that is linked and idle."""
    samples = list(await Hosts(settings).collect(database))
    found = {s.metric.name: s.value for s in samples if "status" not in s.labels}
    assert 0 < found.pop("dask_worker_memory_bytes") < found.pop("dask_worker_memory_limit_bytes")
    assert found == {
        "dask_hosts": 1,
        "dask_places": 2,
        "dask_runs_running": 0,
        "dask_linked": 1,
        "dask_worker_runs_running": 0,
    }
    states = {s.labels["status"]: s.value for s in samples if "status" in s.labels}
    assert states == {"running": 1, "paused": 0, "closing_gracefully": 0, "other": 0}
    assert {s.labels["worker"] for s in samples if "worker" in s.labels} == {"one"}


def test_of_many_workers_the_fullest_are_shown_and_one_that_tells_little_is_no_fault() -> None:
    settings = Settings(address="tcp://localhost:1")
    collector, sight = Hosts(settings), sight_of(settings)
    workers: dict[str, Any] = {
        f"tcp://w:{n}": {
            "name": n,
            "status": "paused",
            "memory_limit": 1000,
            "metrics": {"memory": n},
        }
        for n in range(1, 300)
    }
    sight.see({**workers, "tcp://bare:1": {}})
    samples = collector._seen([])
    shown = [s.value for s in samples if s.metric.name == "dask_worker_memory_bytes"]
    assert shown == [*range(299, 199, -1)]
    states = {s.labels["status"]: s.value for s in samples if "status" in s.labels}
    assert states == {"running": 0, "paused": 299, "closing_gracefully": 0, "other": 1}
    sight.lose()
    samples = collector._seen([])
    assert [s.value for s in samples] == [0] * 5


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"address": "tcp://10.0.0.1:8786"}, "would go there in the plain; use tls://"),
        ({"address": "tcp://dask.example.com:8786"}, "in the plain"),
        ({"address": "tls://10.0.0.1:8786"}, "set tls_ca, tls_certificate, tls_key"),
        ({"address": "10.0.0.1"}, "it must be tcp://host:port or tls://host:port"),
        ({"address": "tcp://[::1"}, "it must be tcp://host:port"),
        ({"address": "tcp://localhost:8786", "local": 2}, "address and local are set"),
        ({"tls_ca": "ca.pem"}, "belong together"),
        ({"executors": {"Big One": {}}}, "is no name of lower-case letters"),
        ({"executors": {}}, "executors is empty"),
        ({"executors": {"gpu": {"resources": {"GPU": 0}}}}, "GPU"),
        ({"adress": "tcp://localhost:8786"}, "did you mean 'address'"),
        ({"local": -1}, "local"),
        ({"local": 1, "nice": 20}, "nice"),
    ],
)
def test_settings_that_cannot_be_are_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        declared(named(), given)


def test_plain_transport_is_taken_where_it_stays_or_is_allowed() -> None:
    for given in (
        {"address": "tcp://127.0.0.1:8786"},
        {"address": "tcp://[::1]:8786"},
        {"address": "tcp://10.0.0.1:8786", "allow_plain": True},
        {},
    ):
        assert set(declared(named(), given).executors) == {"dask"}


@pytest.mark.parametrize(
    ("given", "nice"),
    [({"address": "tcp://127.0.0.1:8786"}, 0), ({"local": 2}, 5), ({"local": 2, "nice": 0}, 0)],
)
def test_children_of_local_workers_are_nicer(given: dict[str, Any], nice: int) -> None:
    assert niceness_of(Settings(**given)) == nice


@pytest.mark.parametrize(
    ("places", "needs", "count"),
    [
        (None, ExecutorNeeds(), 4),
        (9, ExecutorNeeds(), 9),
        (None, ExecutorNeeds(resources={"GPU": 1}), 2),
        (None, ExecutorNeeds(resources={"GPU": 0.5}), 4),
        (None, ExecutorNeeds(resources={"TPU": 1}), 0),
        (None, ExecutorNeeds(memory_mb=400), 2),
        (None, ExecutorNeeds(memory_mb=2000), 0),
    ],
)
def test_a_worker_has_as_many_places_as_of_the_scarcest(
    places: int | None, needs: ExecutorNeeds, count: int
) -> None:
    worker = SimpleNamespace(
        state=SimpleNamespace(nthreads=4, total_resources={"GPU": 2.0}),
        memory_manager=SimpleNamespace(memory_limit=1_000 * 1024 * 1024),
    )
    assert places_of(worker, places, needs) == count


def test_a_scheduler_file_that_leads_elsewhere_in_the_plain_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    file.write_text('{"address": "tcp://10.0.0.1:8786"}')
    settings = Settings(scheduler_file=file)
    with pytest.raises(ValueError, match="would go there in the plain"):
        settings.scheduler()
    (check,) = plugin.sereno_register_checks(settings)
    (found,) = check.find()  # type: ignore[misc]
    assert found.fault
    assert "in the plain" in found.sentence
    assert Settings(scheduler_file=file, allow_plain=True).scheduler() == "tcp://10.0.0.1:8786"


class Hosted:
    """Stands for a worker's node, of which a cluster of processes shows the rest."""

    def __init__(self, settings: Any, plugins: Any) -> None:
        self.told: list[str] = []
        MADE.append(self)

    def start(self) -> None:
        self.told.append("start")

    def stop(self) -> bool:
        self.told.append("stop")
        return True


MADE: list[Hosted] = []


async def test_a_worker_that_retires_and_stays_after_all_hosts_a_node_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    MADE.clear()
    monkeypatch.setattr(hosted_worker, "Sereno", Hosted)
    monkeypatch.setattr(hosted_worker, "_LOOKED_EVERY", 0.001)
    status = SimpleNamespace(name="running")
    worker = SimpleNamespace(
        address="tcp://w:1",
        name="w",
        status=status,
        state=SimpleNamespace(nthreads=1, total_resources={}),
        memory_manager=SimpleNamespace(memory_limit=None),
    )
    payload = pickle.dumps(HostedSettings(settings=KernelSettings(), plugin=Settings()))

    async def until(told: list[list[str]]) -> None:
        async with asyncio.timeout(20):
            while [node.told for node in MADE] != told:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    await hosted_worker.host(worker, VERSION, payload)
    await hosted_worker.host(worker, VERSION, payload)  # told anew: it goes on
    assert [node.told for node in MADE] == [["start"]]
    status.name = "closing_gracefully"
    await until([["start", "stop"]])
    status.name = "running"
    await until([["start", "stop"], ["start"]])
    status.name = "closing"
    await until([["start", "stop"], ["start", "stop"]])
    await hosted_worker.leave(worker)
    assert [node.told for node in MADE] == [["start", "stop"], ["start", "stop"]]


BARE = """
import asyncio, importlib.abc, pickle, sys, types

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("sereno", "sereno_dask"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
hosting = pickle.loads(sys.stdin.buffer.read())
try:
    asyncio.run(hosting.setup(types.SimpleNamespace(address="tcp://w:1")))
except RuntimeError as error:
    print(error)
"""


def test_a_worker_without_the_package_is_not_kept_from_its_other_work() -> None:
    cloudpickle.register_pickle_by_value(hosting)
    try:
        sent = dumps(hosting.Hosting("sereno_dask.worker", "sereno 0", pickle.dumps({})))
    finally:
        cloudpickle.unregister_pickle_by_value(hosting)
    ended = subprocess.run(
        [sys.executable, "-c", BARE], input=sent, capture_output=True, check=False, timeout=90
    )
    assert ended.returncode == 0, ended.stderr.decode()[-2000:]
    assert "worker tcp://w:1 cannot host runs: No module named" in ended.stdout.decode()
    assert "install sereno-dask" in ended.stdout.decode()


def test_a_missing_scheduler_is_a_finding() -> None:
    (check,) = plugin.sereno_register_checks(Settings(address="tcp://127.0.0.1:1"))
    (found,) = check.find()  # type: ignore[misc]
    assert found.fault
    assert "does not answer" in found.sentence
    (check,) = plugin.sereno_register_checks(Settings())
    (found,) = check.find()  # type: ignore[misc]
    assert not found.fault
    assert "no cluster is set" in found.sentence
