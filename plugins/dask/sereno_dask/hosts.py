"""Shows the workers: how many host runs, at work on what, and what their scheduler tells."""

from collections import Counter
from collections.abc import Iterable

import sereno
from sereno import Collector, Metric, NodeView, Sample
from sereno_dask.settings import Settings
from sereno_dask.sight import WorkerSight, sight_of

HOSTS = Metric("dask_hosts", "gauge", "Workers that host runs.")
PLACES = Metric("dask_places", "gauge", "Runs that the workers can work on at once, by executor.")
RUNNING = Metric("dask_runs_running", "gauge", "Runs that workers are at work on.")
LINKED = Metric("dask_linked", "gauge", "1 where this replica has a link to the scheduler, else 0.")
WORKERS = Metric("dask_workers", "gauge", "Workers that the scheduler has, by Dask's status.")
AT_WORK = Metric("dask_worker_runs_running", "gauge", "Runs that a worker is at work on.")
MEMORY = Metric("dask_worker_memory_bytes", "gauge", "Memory that a worker uses, by Dask.")
LIMIT = Metric("dask_worker_memory_limit_bytes", "gauge", "Memory that a worker may use.")

_STATES = ("running", "paused", "closing_gracefully")
_MOST = 100
"""Workers that are shown one by one, the fullest: more are told by their sums alone."""


class Hosts(Collector):
    """The workers, as the nodes that they are, and as the scheduler has them where this replica has
    a link to it."""

    metrics = (HOSTS, PLACES, RUNNING, LINKED, WORKERS, AT_WORK, MEMORY, LIMIT)

    def __init__(self, settings: Settings) -> None:
        self._executors = tuple(settings.executors)
        self._sight = sight_of(settings)

    async def collect(self, database_url: str) -> Iterable[Sample]:
        """Return how many there are now, and how they are."""
        # The client is loaded as it is named: a replica that nobody scrapes does without.
        async with sereno.Client.open(database_url) as client:
            nodes = (await client.cluster()).nodes
        offered = [(n, n.places or {}) for n in nodes if n.present]
        hosts = [(n, p) for n, p in offered if not p.keys().isdisjoint(self._executors)]
        found = [Sample(HOSTS, len(hosts)), Sample(RUNNING, sum(n.running for n, _ in hosts))]
        for name in self._executors:
            count = sum(places.get(name) or 0 for _, places in hosts)
            found.append(Sample(PLACES, count, {"executor": name}))
        return [*found, *self._seen([node for node, _ in hosts])]

    def _seen(self, hosts: list[NodeView]) -> list[Sample]:
        sight = self._sight
        states = Counter(w.status if w.status in _STATES else "other" for w in sight.workers)
        found = [Sample(LINKED, int(sight.linked))]
        found += [Sample(WORKERS, states[name], {"status": name}) for name in (*_STATES, "other")]
        running = Counter({node.label.removeprefix("dask "): node.running for node in hosts})
        for worker in sorted(sight.workers, key=_fullness, reverse=True)[:_MOST]:
            which = {"worker": worker.name}
            found.append(Sample(AT_WORK, running[worker.name], which))
            found.append(Sample(MEMORY, worker.memory, which))
            if worker.limit:
                found.append(Sample(LIMIT, worker.limit, which))
        return found


def _fullness(worker: WorkerSight) -> float:
    return worker.memory / worker.limit if worker.limit else 0.0
