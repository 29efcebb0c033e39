"""Decides since when a job is overdue: a pure rule over what the database knows.

A job is overdue, from the earliest of these instants on:

- its next slot has no verdict, and the slot's grace is over (nobody fires it);
- a slot's run has not begun, and the slot's grace is over (it is stuck in the queue);
- its last success, or its declaration, is `overdue_after` ago, and a slot was due in between. When
  none was (the job works in office hours, its schedule was paused), the next slot decides: it gets
  its grace and the job's timeout, `overdue_after` at the most.

A job none of whose schedules is active is never overdue, unless it is chained after jobs that are
scheduled.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sereno.model.duration import format_duration
from sereno.store.snapshot import JobFacts

_TIMEOUT = 300.0
"""Seconds that the first run after a gap may take where the job names no timeout."""


def overdue_at(job: JobFacts, jobs: Mapping[str, JobFacts], now: float) -> float | None:
    """Return the instant from which `job` is overdue, past or future, None for never.

    `jobs`: all of them, for chains. `now`: when the facts were read. Instants are seconds since the
    epoch.
    """
    instants = [] if job.due_by is None else [job.due_by]
    if job.queued_slot is not None:
        instants.append(job.queued_slot + job.grace)
    if job.overdue_after is not None:
        age = _too_old_at(job, job.overdue_after, jobs, now)
        if age is not None:
            instants.append(age)
    return min(instants, default=None)


def overdue_seconds(at: float | None, now: float) -> float:
    """Return for how long a job has been overdue that is so from `at` on, 0 when it is not."""
    return 0.0 if at is None else max(0.0, now - at)


def overdue_because(job: JobFacts, jobs: Mapping[str, JobFacts], now: float) -> str | None:
    """Say why `job` is overdue at `now`, a sentence; None when it is not."""
    reasons = []
    if job.due_by is not None and job.due_by < now:
        reasons.append(f"nobody has fired its slot of {_at(job.next_slot or job.due_by)}")
    if job.queued_slot is not None and job.queued_slot + job.grace < now:
        reasons.append(f"its run of the slot {_at(job.queued_slot)} still waits in the queue")
    old = None if job.overdue_after is None else _too_old_at(job, job.overdue_after, jobs, now)
    if old is not None and old < now and job.overdue_after is not None:
        last = job.last_success_at
        since = f"its last success was at {_at(last)}" if last else "it has never succeeded"
        reasons.append(f"{since}, and may be {_lasting(job.overdue_after)} old")
    if reasons:
        reasons += _hindrances(job, jobs)
    return "; ".join(reasons) or None


def _hindrances(job: JobFacts, jobs: Mapping[str, JobFacts]) -> list[str]:
    """Say what may have kept `job` from succeeding."""
    found = []
    if job.running and job.running_since is not None:
        found.append(f"a run has been under way since {_at(job.running_since)}")
    if job.last_run is not None and job.last_state not in (None, "succeeded"):
        found.append(f"its last run, {job.last_run}, is {job.last_state}")
    if job.paused:
        found.append("it is paused")
    if not job.active:
        late = [u.name for u in _upstream(job, jobs) if u.last_state not in (None, "succeeded")]
        found += [f"it follows '{name}', which did not succeed" for name in sorted(late)]
    return found


def _at(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _lasting(seconds: float) -> str:
    return format_duration(timedelta(seconds=round(seconds)))


def _too_old_at(
    job: JobFacts, overdue_after: float, jobs: Mapping[str, JobFacts], now: float
) -> float | None:
    sources = [job] if job.active else _upstream(job, jobs)
    if not sources:
        return None
    since = max(job.fresh_at, job.resumed_at or job.fresh_at)
    too_old = since + overdue_after
    due = [d for d in (_due_since(source, since, job, now) for source in sources) if d is not None]
    if not due:
        return None
    first = min(due)
    if first <= too_old:
        return too_old
    return first + min(overdue_after, job.grace + (job.timeout or _TIMEOUT))


def _due_since(source: JobFacts, since: float, job: JobFacts, now: float) -> float | None:
    """Return the first instant after `since` at which `source` was, or will be, due."""
    if source is not job:
        ran = source.last_end_at is not None and source.last_end_at > since
        return since if ran else source.next_slot
    if job.unmet_slot is not None and job.unmet_slot > since:
        return job.unmet_slot
    asked = job.overdue_after is not None and job.fresh_at + job.overdue_after <= now
    if not asked and job.last_state not in (None, "succeeded"):
        return since  # the ledger was not asked: what failed last was due
    return job.next_slot


def _upstream(job: JobFacts, jobs: Mapping[str, JobFacts]) -> list[JobFacts]:
    """Return the jobs with active schedules at the head of `job`'s chain."""
    found: dict[str, JobFacts] = {}
    seen: set[str] = set()
    names = list(job.after)
    while names:
        name = names.pop()
        if name in seen or name not in jobs:
            continue
        seen.add(name)
        if jobs[name].active:
            found[name] = jobs[name]
        else:
            names += jobs[name].after
    return list(found.values())
