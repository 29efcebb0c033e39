"""The figures of this process, as objects of prometheus_client: what the node knows of itself, and
what the operating system says of it."""

import platform
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from sereno.engine.status import Status
from sereno.model.run import Cause
from sereno.observe.client_library import (
    Counter,
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from sereno.observe.exposition import MetricsPage, labels
from sereno.observe.job_watch import Glance
from sereno.observe.process import PROCESS_NAMES, process_figures

_CAUSES: tuple[Cause, ...] = ("slot", "person", "program", "chain", "retry", "backfill", "part")


class PluginFacts(Protocol):
    """What is shown of a plugin."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def version(self) -> str:
        """Its distribution's version."""
        ...

    @property
    def state(self) -> str:
        """What became of it: loaded, failed, disabled."""
        ...

    @property
    def reason(self) -> str:
        """Why it is not loaded."""
        ...


class NodeFigures:
    """The families of this node, in the order of the page. `notified`: notifier, outcome and count
    of what this node has sent."""

    names = PROCESS_NAMES
    """Names that nobody else's metric may have, beside those that begin with ``sereno_``."""

    def __init__(
        self,
        status: Status,
        plugins: Callable[[], Sequence[PluginFacts]],
        notified: Iterable[tuple[str, str, int]],
    ) -> None:
        self._status = status
        self._plugins = plugins
        self._notified = notified
        self._started = Counter(
            "sereno_runs_started_total",
            "Runs that began on this node, by who or what asked for them.",
            ["cause"],
            registry=None,  # a node's own: there may be several in a process
        )
        self._started_by = {cause: self._started.labels(cause) for cause in _CAUSES}
        self._started_since = dict.fromkeys(_CAUSES, 0)

    def run_started(self, cause: Cause) -> None:
        """Count a run that began on this node."""
        self._started_since[cause] += 1  # added to the library's counter when somebody looks

    def write(self, page: MetricsPage, glance: Glance) -> None:
        """Write every family. `glance`: what the database told last."""
        for cause, count in self._started_since.items():
            self._started_by[cause].inc(count)
        self._started_since = dict.fromkeys(_CAUSES, 0)
        for family in self._families(glance):
            total = "_total" if family.type == "counter" else ""
            shown = [s for s in family.samples if not s.name.endswith("_created")]
            page.family(
                family.name + total,
                "counter" if total else "gauge",
                family.documentation,
                [(labels(s.labels) if s.labels else "", s.value) for s in shown],
            )

    def _families(self, glance: Glance) -> Iterable[Metric]:
        status = self._status
        yield _labelled(
            "sereno_build_info",
            "The version that this node runs.",
            ["version", "python"],
            [((status.version, platform.python_version()), 1)],
        )
        yield _labelled(
            "sereno_plugin_info",
            "The installed plugins, and what became of each.",
            ["plugin", "version", "state"],
            [((p.name, p.version, p.state), 1) for p in self._plugins()],
        )
        for name, meaning, value in (*_of_node(status, glance), *_of_orders(status)):
            yield _plain(name, meaning, value)
        places = status.places()
        yield _labelled(
            "sereno_executor_capacity",
            "Attempts that an executor of this node may have at work at once.",
            ["executor"],
            [((name,), capacity) for name, capacity, _ in places],
        )
        yield _labelled(
            "sereno_executor_busy",
            "Attempts that an executor of this node has at work, also those that were left behind.",
            ["executor"],
            [((name,), busy) for name, _, busy in places],
        )
        yield _labelled(
            "sereno_runs_without_node",
            "Runs that are due and that no node may take, as the one that leads sees it.",
            ["job"],
            [((job,), runs) for job, runs in status.without_node.items()],
        )
        yield _labelled(
            "sereno_dependency_up",
            "1 while what a plugin depends on answers this node, else 0.",
            ["plugin", "dependency"],
            [((d.plugin, d.name), int(d.up)) for d in status.dependencies.values()],
        )
        yield from self._started.collect()
        yield _labelled(
            "sereno_notifications_total",
            "Tries of this node to send a notification, by what became of each.",
            ["notifier", "outcome"],
            [((to, outcome), n) for to, outcome, n in self._notified],
        )
        for name, meaning, value in process_figures():
            yield _plain(name, meaning, value)


def _plain(name: str, meaning: str, value: float) -> Metric:
    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    return kind(name, meaning, value)


def _labelled(
    name: str,
    meaning: str,
    names: Sequence[str],
    samples: Iterable[tuple[Sequence[str], float]],
) -> Metric:
    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    family = kind(name, meaning, labels=names)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _of_orders(status: Status) -> tuple[tuple[str, str, float], ...]:
    """Return the metrics of what people have asked of this node."""
    return (
        (
            "sereno_node_draining",
            "1 while people have asked this node to take no part, else 0.",
            int(status.draining),
        ),
        (
            "sereno_maintenance",
            "1 while people have all nodes rest, else 0.",
            int(status.maintenance is not None),
        ),
        (
            "sereno_store_oldest_transaction_seconds",
            "The age of the oldest transaction that keeps dead rows from being cleaned up.",
            status.oldest_transaction,
        ),
        (
            "sereno_store_dead_rows",
            "Dead rows in the tables of Sereno and its plugins.",
            status.dead_rows,
        ),
    )


def _of_node(status: Status, glance: Glance) -> tuple[tuple[str, str, float], ...]:
    """Return the metrics of a node that have no labels: name, meaning, value."""
    snapshot = glance.snapshot
    term = max(status.term, snapshot.term if snapshot else 0)
    changed = snapshot.changed_at if snapshot else None
    history = snapshot.history_at if snapshot else None
    return (
        ("sereno_leader", "1 on the node that leads, else 0.", int(status.leading)),
        ("sereno_leader_term", "The newest term: one is added with each new leader.", term),
        (
            "sereno_leader_changes_total",
            "How often this node took or lost the lead.",
            status.leader_changes,
        ),
        (
            "sereno_store_up",
            "1 while this node can read the database, else 0.",
            int(glance.error is None),
        ),
        (
            "sereno_event_loop_lag_seconds",
            "How late this node's event loop last was.",
            status.loop_lag,
        ),
        (
            "sereno_event_loop_blocked_total",
            "How often a job kept this node's event loop from its work.",
            status.loop_blocked,
        ),
        (
            "sereno_runs_overstaying",
            "Runs of this node that work on after they were told to stop, and keep a place.",
            len(status.overstaying),
        ),
        (
            "sereno_apps_up",
            "1 while this node's process of apps serves them, 0 without one.",
            int(status.apps is not None and status.apps.url is not None),
        ),
        (
            "sereno_apps_restarts_total",
            "How often this node's process of apps has ended by itself.",
            status.apps.restarts if status.apps else 0,
        ),
        (
            "sereno_clock_offset_seconds",
            "How far this machine's clock is ahead of the database's.",
            status.clock_offset,
        ),
        (
            "sereno_configuration_changed_timestamp_seconds",
            "When jobs or schedules were last changed, 0 when never.",
            changed.timestamp() if changed else 0,
        ),
        (
            "sereno_timeline_changed_timestamp_seconds",
            "When the database last went on from an older state, 0 when never.",
            history.timestamp() if history else 0,
        ),
    )
