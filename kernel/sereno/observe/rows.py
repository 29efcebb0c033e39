"""Decides how jobs stand on the metrics page: one by one, or by plugin when there are many.

By plugin means one row, ``job="<plugin>.*"`` (no job's name holds a ``*``): its counts are sums,
its last success is the oldest and its next slot the soonest. Jobs that are overdue keep a row of
their own in `sereno_job_overdue_seconds`, so that no alert loses its job's name.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from sereno.observe.exposition import Kind, escaped
from sereno.observe.job_watch import Glance
from sereno.observe.overdue import overdue_at, overdue_seconds
from sereno.store.snapshot import JobFacts


class MetricColumn(msgspec.Struct, frozen=True):
    """One series of a job. `read` takes the job and the database's time; `fold` joins many."""

    name: str
    kind: Kind
    meaning: str
    read: Callable[[JobFacts, float], float]
    fold: Callable[[Iterable[Any]], float] = sum
    tail: str = "}"
    """What ends the labels: a further label and the closing brace."""


class MetricRow(msgspec.Struct, frozen=True):
    """What one value of the label `job` shows. `head`: ``{job="name"``; `values`: as COLUMNS."""

    head: str
    members: tuple[str, ...]
    values: tuple[float, ...]


_RUNS = "Runs that ended, by their final state; counted in the database since the job's first day."
_SLOTS = "Slots that did not simply run on time, by verdict; counted in the database."


def _counts(name: str, meaning: str, label: str, *values: str) -> list[MetricColumn]:
    def reader(value: str) -> Callable[[JobFacts, float], float]:
        return lambda job, now: getattr(job, value)

    return [
        MetricColumn(name, "counter", meaning, reader(value), tail=f',{label}="{value}"}}')
        for value in values
    ]


def _soonest(values: Iterable[float]) -> float:
    return min((value for value in values if value), default=0)


COLUMNS = (
    *_counts(
        "sereno_runs_total",
        _RUNS,
        "state",
        *("succeeded", "failed", "timed_out", "cancelled", "lost"),
    ),
    *_counts("sereno_slots_total", _SLOTS, "verdict", "late", "coalesced", "skipped", "missed"),
    MetricColumn(
        "sereno_run_retries_total",
        "counter",
        "Attempts that failed and were tried again.",
        lambda job, now: job.retried,
    ),
    MetricColumn(
        "sereno_runs_expired_total",
        "counter",
        "Runs that ended unbegun: they had not begun by their start_by.",
        lambda job, now: job.expired,
    ),
    MetricColumn(
        "sereno_run_warnings_total",
        "counter",
        "Warnings that runs gave though they went on; counted in the database.",
        lambda job, now: job.warnings,
    ),
    MetricColumn(
        "sereno_slots_missed_total",
        "counter",
        "Slots that got the verdict missed: nothing ran for them.",
        lambda job, now: job.missed,
    ),
    MetricColumn(
        "sereno_runs_running",
        "gauge",
        "Runs that are under way, on any node.",
        lambda job, now: job.running,
    ),
    MetricColumn(
        "sereno_runs_queued",
        "gauge",
        "Runs that wait: for their instant, their turn or a free place.",
        lambda job, now: job.queued,
    ),
    MetricColumn(
        "sereno_run_oldest_seconds",
        "gauge",
        "For how long the oldest run under way has been running, 0 when none is.",
        lambda job, now: max(0.0, now - job.running_since) if job.running_since else 0,
        max,
    ),
    MetricColumn(
        "sereno_runs_stalled",
        "gauge",
        "Runs at work that have said nothing for their stalled_after.",
        lambda job, now: job.stalled,
    ),
    MetricColumn(
        "sereno_job_last_success_timestamp_seconds",
        "gauge",
        "When a run last succeeded, 0 when none has.",
        lambda job, now: job.last_success_at or 0,
        min,
    ),
    MetricColumn(
        "sereno_job_next_slot_timestamp_seconds",
        "gauge",
        "The next slot that has no verdict yet, 0 when none comes.",
        lambda job, now: job.next_slot or 0,
        _soonest,
    ),
    MetricColumn(
        "sereno_job_paused",
        "gauge",
        "1 when all of the job's schedules are paused.",
        lambda job, now: int(job.paused),
    ),
)


class MetricTable(msgspec.Struct, frozen=True):
    """All rows. `overdue`: label text (job and severity, closed) and seconds."""

    rows: tuple[MetricRow, ...]
    overdue: tuple[tuple[str, float], ...]


def table(glance: Glance, limit: int) -> MetricTable:
    """Lay out the jobs of `glance`: one by one up to `limit` of them, else together by plugin."""
    if glance.snapshot is None or glance.now is None:
        return MetricTable((), ())
    jobs = glance.jobs
    read_at, now = glance.snapshot.now.timestamp(), glance.now.timestamp()
    late = {n: overdue_seconds(overdue_at(j, jobs, read_at), now) for n, j in jobs.items()}
    if len(jobs) <= limit:
        heads = {name: f'{{job="{escaped(name)}"' for name in jobs}
        rows = [MetricRow(heads[n], (n,), _values(j, now)) for n, j in jobs.items()]
        return MetricTable(
            tuple(rows), tuple(_overdue(heads[n], j.severity, late[n]) for n, j in jobs.items())
        )
    return _together(list(jobs.values()), late, now, limit)


def _together(jobs: list[JobFacts], late: dict[str, float], now: float, limit: int) -> MetricTable:
    named = sorted((job for job in jobs if late[job.name]), key=lambda job: -late[job.name])[:limit]
    own = {job.name for job in named}
    groups: dict[str, list[JobFacts]] = {}
    for job in jobs:
        groups.setdefault(job.plugin, []).append(job)
    rows = []
    overdue = [_overdue(f'{{job="{escaped(j.name)}"', j.severity, late[j.name]) for j in named]
    for plugin, members in sorted(groups.items()):
        head = f'{{job="{escaped(plugin)}.*"'
        columns = zip(*(_values(job, now) for job in members), strict=True)
        values = tuple(c.fold(v) for c, v in zip(COLUMNS, columns, strict=True))
        rows.append(MetricRow(head, tuple(job.name for job in members), values))
        rest: dict[str, float] = {}
        for job in members:
            seconds = 0.0 if job.name in own else late[job.name]
            rest[job.severity] = max(seconds, rest.get(job.severity, 0.0))
        overdue += [_overdue(head, severity, seconds) for severity, seconds in rest.items()]
    return MetricTable(tuple(rows), tuple(overdue))


def _values(job: JobFacts, now: float) -> tuple[float, ...]:
    return tuple([column.read(job, now) for column in COLUMNS])


def _overdue(head: str, severity: str, seconds: float) -> tuple[str, float]:
    return f'{head},severity="{severity}"}}', seconds
