"""Builds what the database would say of a job, from the few things that a test is about."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from sereno.observe.job_watch import Glance
from sereno.store.snapshot import JobFacts, Snapshot

NOW = datetime(2026, 3, 6, 12, tzinfo=UTC)
"""A Friday."""
NODE = UUID(int=7)
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


def ago(seconds: float) -> float:
    return NOW.timestamp() - seconds


def ahead(seconds: float) -> float:
    return NOW.timestamp() + seconds


_PLAIN: dict[str, Any] = {
    **{f.name: 0 for f in msgspec.structs.fields(JobFacts) if f.type is int},
    **{f.name: None for f in msgspec.structs.fields(JobFacts) if f.type is not int},
    "plugin": "etl",
    "severity": "warning",
    "after": [],
    "grace": MINUTE,
    "active": True,
    "paused": False,
}


def job(name: str = "etl.sync", **facts: Any) -> JobFacts:
    """Return a job with an active schedule, declared a year ago; nothing else is known of it."""
    known = {**_PLAIN, "name": name, "fresh_at": ago(365 * DAY), **facts}
    if "fresh_at" not in facts and known["last_success_at"] is not None:
        known["fresh_at"] = known["last_success_at"]
    return JobFacts(**known)


def glance(*jobs: JobFacts, error: str | None = None, **head: Any) -> Glance:
    snapshot = Snapshot(
        **{
            "now": NOW,
            "term": 3,
            "leader": NODE,
            "leader_label": "blue-1",
            "acquired_at": NOW,
            "beat_at": NOW,
            "led": True,
            "changed_at": None,
            "jobs": {j.name: j for j in jobs},
            **head,
        }
    )
    return Glance(snapshot=snapshot, now=NOW, error=error)
