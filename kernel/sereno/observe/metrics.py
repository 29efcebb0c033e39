"""Decides which series there are: this node's own, and those of jobs as the database tells them.

Every replica shows the jobs' series, so that they outlive the leader. While the database is away
`sereno_store_up` is 0, the jobs' counts stay as they were last read, and what is overdue goes on
growing. docs/metrics.md tells each series; a test compares.
"""

import asyncio
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Protocol

from sereno.engine.status import Status
from sereno.model.events import RunFinished, RunStarted
from sereno.model.run import Cause
from sereno.observe.exposition import MetricsPage, labels, wants_openmetrics
from sereno.observe.histogram import Histogram
from sereno.observe.job_watch import Glance, JobWatch
from sereno.observe.plugin_metrics import Collected
from sereno.observe.process import process_figures
from sereno.observe.rows import COLUMNS, MetricRow, MetricTable, table

DURATIONS = (0.05, 0.25, 1.0, 5.0, 15.0, 30.0, 60.0, 180.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0)
LATENESSES = (0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0)
_MEASURED = frozenset({"succeeded", "failed", "queued"})
_CAUSES: tuple[Cause, ...] = ("slot", "person", "program", "chain", "retry")
_AT_ONCE = 500


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


class Metrics:
    """The metrics page of this node.

    `notified`: notifier, outcome and count of what this node has sent, read at each page.
    `collected`: what plugins show of their own. `job_limit`: with more jobs than that, those of a
    plugin are shown together.
    """

    def __init__(
        self,
        status: Status,
        watch: JobWatch,
        plugins: Callable[[], Sequence[PluginFacts]],
        *,
        notified: Iterable[tuple[str, str, int]] = (),
        unscheduled: Callable[[], Iterable[str]] = tuple,
        collected: Collected | None = None,
        job_limit: int = 1000,
    ) -> None:
        self._status = status
        self._watch = watch
        self._plugins = plugins
        self._notified = notified
        self._unscheduled = unscheduled
        self._collected = collected
        self._limit = job_limit
        self._requested: dict[str, int] = dict.fromkeys(_CAUSES, 0)
        self._durations = Histogram(
            "sereno_run_duration_seconds",
            "How long attempts took on this node that ended by themselves.",
            DURATIONS,
        )
        self._latenesses = Histogram(
            "sereno_slot_lateness_seconds",
            "How long after its slot a run began on this node.",
            LATENESSES,
        )

    def run_started(self, event: RunStarted, cause: Cause = "slot") -> None:
        """Count a run that began on this node, and how late it was."""
        if event.attempt > 1:
            return
        self._requested[cause] += 1
        if event.slot is not None:
            late = (event.started_at - event.slot).total_seconds()
            self._latenesses.observe(event.job, max(0.0, late), event.run_id, time.time())

    def run_finished(self, event: RunFinished) -> None:
        """Measure an attempt that ended on this node."""
        if event.state in _MEASURED:
            seconds = event.duration.total_seconds()
            self._durations.observe(event.job, max(0.0, seconds), event.run_id, time.time())

    async def page(self, accept: str = "") -> tuple[bytes, str]:
        """Return the page and its content type, in the format that an Accept header asks for."""
        glance = await self._watch.look()
        page = MetricsPage(openmetrics=wants_openmetrics(accept))
        self._write_node(page, glance)
        self._write_process(page)
        await self._write_jobs(page, table(glance, self._limit))
        if self._collected is not None:
            await self._collected.write(page)
        return page.text(), page.content_type

    def _write_node(self, page: MetricsPage, glance: Glance) -> None:
        status = self._status
        build = labels({"version": status.version, "python": platform.python_version()})
        page.family("sereno_build_info", "gauge", "The version that this node runs.", [(build, 1)])
        page.family(
            "sereno_plugin_info",
            "gauge",
            "The installed plugins, and what became of each.",
            [
                (labels({"plugin": p.name, "version": p.version, "state": p.state}), 1)
                for p in self._plugins()
            ],
        )
        for name, meaning, value in _of_node(status, glance):
            page.family(name, _kind(name), meaning, [("", value)])
        places = status.places()
        page.family(
            "sereno_executor_capacity",
            "gauge",
            "Attempts that an executor of this node may have at work at once.",
            [(labels({"executor": name}), capacity) for name, capacity, _ in places],
        )
        page.family(
            "sereno_executor_busy",
            "gauge",
            "Attempts that an executor of this node has at work, also those that were left behind.",
            [(labels({"executor": name}), busy) for name, _, busy in places],
        )
        page.family(
            "sereno_runs_started_total",
            "counter",
            "Runs that began on this node, by who or what asked for them.",
            [(labels({"cause": cause}), n) for cause, n in self._requested.items()],
        )
        page.family(
            "sereno_notifications_total",
            "counter",
            "Tries of this node to send a notification, by what became of each.",
            [(labels({"notifier": to, "outcome": fate}), n) for to, fate, n in self._notified],
        )

    def _write_process(self, page: MetricsPage) -> None:
        for name, meaning, value in process_figures():
            page.family(name, _kind(name), meaning, [("", value)])

    async def _write_jobs(self, page: MetricsPage, jobs: MetricTable) -> None:
        written = None
        for n, column in enumerate(COLUMNS):
            if column.name != written:
                page.family(column.name, column.kind, column.meaning)
                written = column.name
            name, tail = column.name, column.tail
            page.lines([f"{name}{row.head}{tail} {row.values[n]}\n" for row in jobs.rows])
            await asyncio.sleep(0)  # a page of many jobs must not hold up the firing loop
        page.family(
            "sereno_job_overdue_seconds",
            "gauge",
            "For how long the job has been overdue, 0 when it is not.",
            jobs.overdue,
        )
        page.family(
            "sereno_job_unscheduled",
            "gauge",
            "1 for a job that has no schedule for want of a setting; there is no other value.",
            [(labels({"job": name}), 1) for name in self._unscheduled()],
        )
        for histogram in (self._durations, self._latenesses):
            await _write_histogram(page, histogram, jobs.rows)


async def _write_histogram(
    page: MetricsPage, histogram: Histogram, rows: Sequence[MetricRow]
) -> None:
    page.family(histogram.name, "histogram", histogram.meaning)
    histogram.forget([member for row in rows for member in row.members])
    for start in range(0, len(rows), _AT_ONCE):
        page.lines(
            histogram.lines(row.head, row.members, exemplars=page.openmetrics)
            for row in rows[start : start + _AT_ONCE]
        )
        await asyncio.sleep(0)


def _kind(name: str) -> Literal["counter", "gauge"]:
    return "counter" if name.endswith("_total") else "gauge"


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
