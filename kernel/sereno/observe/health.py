"""Says how the cluster, this node and each task are: plain values for JSON, computed from what is
known.

`status` is ``down`` when nothing can be fired (the database is away, nobody leads), ``degraded``
when something needs a look (an overdue job, a plugin that failed), else ``ok``. `problems` says
why, in sentences.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sereno.engine.status import Dependency, Status
from sereno.model.duration import format_duration, parse_duration
from sereno.observe.job_watch import Glance
from sereno.observe.leadership import why_nobody_leads
from sereno.observe.node_figures import PluginFacts
from sereno.observe.overdue import overdue_at, overdue_because, overdue_seconds
from sereno.settings import redact
from sereno.store.snapshot import JobFacts, Snapshot

_HISTORY_SHOWN_FOR = timedelta(days=1)


def health(
    status: Status, glance: Glance, plugins: Sequence[PluginFacts], limit: int = 1000
) -> dict[str, Any]:
    """Return the whole report, with at most `limit` tasks."""
    snapshot = glance.snapshot
    shown = tasks(glance)
    down = _down(status, glance)
    ending = glance.snapshot.ending if glance.snapshot else ()
    down += [numbers.sentence for numbers in ending if numbers.over]
    problems = [
        *down,
        *_degraded(shown, plugins),
        *_missed(status),
        *_stalled(glance),
        *_history(glance),
        *(numbers.sentence for numbers in ending if not numbers.over),
        *(redact(t) for t in status.troubles()),
    ]
    return {
        "status": "down" if down else "degraded" if problems else "ok",
        "problems": problems,
        "version": status.version,
        "node": {"id": str(status.node), "label": status.label, "role": status.role},
        "leader": snapshot
        and {
            "id": snapshot.leader and str(snapshot.leader),
            "label": snapshot.leader_label,
            "term": snapshot.term,
            "since": _iso(snapshot.acquired_at),
            "heartbeat": _iso(snapshot.beat_at),
            "alive": glance.error is None and unled(snapshot, status.lease) is None,
        },
        "store": {
            "up": glance.error is None,
            "error": away(status, glance),
            "migrated": status.migrated,
            "now": _iso(glance.now),
            "timeline_changed_at": _iso(snapshot.history_at) if snapshot else None,
        },
        "plugins": [
            {"name": p.name, "version": p.version, "state": p.state, "reason": redact(p.reason)}
            for p in plugins
        ],
        "dependencies": [_dependency(d) for d in status.dependencies.values()],
        "apps": status.apps
        and {
            "url": status.apps.url,
            "why": status.apps.why,
            "restarts": status.apps.restarts,
        },
        "tasks_total": len(shown),
        "tasks": shown[:limit],
    }


def readiness(status: Status) -> str | None:
    """Return why this node is not ready to take part, a sentence, or None when it is."""
    if status.leaving:
        return "this node is leaving: it finishes its runs and fires nothing more"
    if not status.store_up or status.store_error is not None:
        return f"the database cannot be used: {redact(status.store_error or 'it is away')}"
    if not status.migrated:
        return "the database's schema is not migrated yet: run 'sereno migrate', or wait for a node"
    if status.opening:
        return "this node opens its plugins; the log names what takes long"
    return None


def away(status: Status, glance: Glance) -> str | None:
    """Return why the database cannot be asked, a sentence without secrets, None while it can."""
    if glance.error is None:
        return None
    return redact(status.store_error or glance.error)  # the first knows what the second waits for


def tasks(glance: Glance) -> list[dict[str, Any]]:
    """Return what is known of each job, the overdue ones first, then by name."""
    if glance.snapshot is None or glance.now is None:
        return []
    read_at, now = glance.snapshot.now.timestamp(), glance.now.timestamp()
    found = [_task(job, glance.jobs, read_at, now) for job in glance.jobs.values()]
    return sorted(found, key=lambda task: (-task["overdue_seconds"], task["name"]))


def _task(
    job: JobFacts, jobs: Mapping[str, JobFacts], read_at: float, now: float
) -> dict[str, Any]:
    overdue = overdue_seconds(overdue_at(job, jobs, read_at), now)
    return {
        "name": job.name,
        "plugin": job.plugin,
        "state": _state(job, overdue),
        "severity": job.severity,
        "overdue_seconds": round(overdue, 3),
        "overdue_because": overdue_because(job, jobs, now) if overdue else None,
        "paused": job.paused,
        "running": job.running,
        "stalled": job.stalled,
        "queued": job.queued,
        "next_run_at": _instant(job.next_slot),
        "last_success_at": _instant(job.last_success_at),
        "last_run": job.last_run
        and {
            "id": job.last_run,
            "state": job.last_state,
            "ended_at": _instant(job.last_end_at),
            "seconds": job.last_duration and round(job.last_duration, 3),
        },
    }


def _state(job: JobFacts, overdue: float) -> str:
    if overdue:
        return "overdue"
    if job.running:
        return "running"
    if job.paused:
        return "paused"
    if job.last_state is None:
        return "waiting"
    return "ok" if job.last_state == "succeeded" else job.last_state


def _down(status: Status, glance: Glance) -> list[str]:
    if (error := away(status, glance)) is not None:
        return [error]
    leaderless = glance.snapshot and unled(glance.snapshot, status.lease)
    if leaderless and status.maintenance is not None:
        return [f"maintenance is on, nobody leads and nothing begins: {redact(status.maintenance)}"]
    return [leaderless] if leaderless else []


def unled(snapshot: Snapshot, lease: timedelta) -> str | None:
    """Return why nobody leads, None while somebody does."""
    return why_nobody_leads(
        held=snapshot.led,
        holder=snapshot.holder,
        beat_at=snapshot.beat_at,
        now=snapshot.now,
        lease=lease,
    )


def _degraded(shown: list[dict[str, Any]], plugins: Sequence[PluginFacts]) -> list[str]:
    late = [
        f"job '{task['name']}' has been overdue for "
        f"{format_duration(parse_duration(round(task['overdue_seconds'])))} ({task['severity']})"
        for task in shown
        if task["overdue_seconds"]
    ]
    more = [f"{len(late) - 10} more jobs are overdue"] if len(late) > 10 else []
    failed = [
        f"plugin '{plugin.name}' is not loaded: {redact(plugin.reason)}"
        for plugin in plugins
        if plugin.state == "failed"
    ]
    return late[:10] + more + failed


def _dependency(found: Dependency) -> dict[str, Any]:
    return {
        "plugin": found.plugin,
        "name": found.name,
        "up": found.up,
        "why": found.why and redact(found.why),
        "since": _iso(found.since),
    }


def _missed(status: Status) -> list[str]:
    """Tell which of the plugins' dependencies this node does not have."""
    return [
        f"'{d.name}', which plugin '{d.plugin}' depends on, is away: {redact(d.why or '')}"
        for d in status.dependencies.values()
        if not d.up
    ]


def _stalled(glance: Glance) -> list[str]:
    now = glance.now.timestamp() if glance.now else 0.0
    found = [j for j in glance.jobs.values() if j.stalled and j.stalled_since is not None]
    told = [
        f"run {job.stalled_run} of job '{job.name}' has said nothing for "
        f"{format_duration(parse_duration(round(max(0.0, now - (job.stalled_since or now)))))}"
        + (f", and {job.stalled - 1} more of it have stalled" if job.stalled > 1 else "")
        for job in sorted(found, key=lambda job: job.stalled_since or 0)
    ]
    more = [f"runs of {len(told) - 10} more jobs have stalled"] if len(told) > 10 else []
    return told[:10] + more


def _history(glance: Glance) -> list[str]:
    """Tell of a database that went on from an older state, for a day."""
    at = glance.snapshot.history_at if glance.snapshot else None
    if at is None or glance.now is None or glance.now - at > _HISTORY_SHOWN_FOR:
        return []
    sentence = (
        f"at {_iso(at)} the database went on from an older state, as after a promoted standby or a"
        " restore: what was committed after that state is not known; `sereno verify` tells more"
    )
    return [sentence]


def _instant(seconds: float | None) -> str | None:
    return None if seconds is None else _iso(datetime.fromtimestamp(seconds, UTC))


def _iso(instant: datetime | None) -> str | None:
    if instant is None:
        return None
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
