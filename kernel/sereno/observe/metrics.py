"""Decides which series there are: this node's own, those of jobs as the database tells them, and
what plugins and the program around them show.

Every replica shows the jobs' series, so that they outlive the leader. While the database is away
`sereno_store_up` is 0, the jobs' counts stay as they were last read, and what is overdue goes on
growing. docs/metrics.md tells each series; a test compares.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from sereno.engine.status import Status
from sereno.model.events import RunFinished, RunStarted
from sereno.observe.default_registry import DefaultRegistry
from sereno.observe.exposition import MetricsPage, labels, wants_openmetrics
from sereno.observe.histogram import Histogram
from sereno.observe.job_watch import JobWatch
from sereno.observe.node_figures import NodeFigures, PluginFacts
from sereno.observe.plugin_metrics import Collected
from sereno.observe.rows import COLUMNS, MetricRow, MetricTable, table

DURATIONS = (0.05, 0.25, 1.0, 5.0, 15.0, 30.0, 60.0, 180.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0)
LATENESSES = (0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0)
_MEASURED = frozenset({"succeeded", "failed", "queued"})
_AT_ONCE = 500


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
        self._watch = watch
        self._node = NodeFigures(status, plugins, notified)
        self._unscheduled = unscheduled
        self._collected = collected
        self._limit = job_limit
        self._registry = DefaultRegistry(self._taken)
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

    def _taken(self) -> frozenset[str]:
        return NodeFigures.names | (self._collected.names if self._collected else frozenset())

    def run_started(self, event: RunStarted) -> None:
        """Count a run that began on this node, and how late it was."""
        if event.attempt > 1:
            return
        self._node.run_started(event.cause)
        on_slot = event.cause == "slot" or event.part_of_slot  # no other was to begin at its slot
        if event.slot is not None and on_slot:
            late = (event.started_at - event.slot).total_seconds()
            self._latenesses.observe(event.job, max(0.0, late), event.run_id, time.time())

    def run_finished(self, event: RunFinished) -> None:
        """Measure an attempt that ended on this node; a run with parts is none."""
        if event.state in _MEASURED and not event.parts:
            seconds = event.duration.total_seconds()
            self._durations.observe(event.job, max(0.0, seconds), event.run_id, time.time())

    async def page(self, accept: str = "") -> tuple[bytes, str]:
        """Return the page and its content type, in the format that an Accept header asks for."""
        glance = await self._watch.poll()
        page = MetricsPage(openmetrics=wants_openmetrics(accept))
        self._node.write(page, glance)
        await self._write_jobs(page, table(glance, self._limit))
        if self._collected is not None:
            await self._collected.write(page)
        await self._registry.write(page)
        return page.text(), page.content_type

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
