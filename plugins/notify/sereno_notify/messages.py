"""Words the messages: a title, a sentence and facts for each kind of thing."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sereno import (
    LeaderChanged,
    RunFinished,
    RunStalled,
    RunState,
    Severity,
    SlotSettled,
    format_duration,
)
from sereno_notify.notifications import Draft

Shown = Callable[[str | BaseException, int], str]
"""A text as people may see it, at most so many characters of it."""

MISSING = "leader_missing"
_MAX_ERROR = 1000

_ENDED: dict[RunState, str] = {
    "failed": "failed",
    "timed_out": "timed out",
    "lost": "was lost",
}


def overdue_key(job: str) -> str:
    """Return the key of a job that is overdue."""
    return f"job_overdue {job}"


def failed_key(job: str) -> str:
    """Return the key of a job whose runs fail."""
    return f"run_failed {job}"


def failed(event: RunFinished, severity: Severity, at: datetime, shown: Shown) -> Draft:
    """Word that a run failed for good."""
    return ran_badly(
        event.job,
        event.run_id,
        event.state,
        severity,
        at,
        shown,
        error=event.error,
        slot=event.slot,
        attempt=event.attempt,
    )


def ran_badly(
    job: str,
    run: int | None,
    state: RunState,
    severity: Severity,
    at: datetime,
    shown: Shown,
    *,
    error: str | None = None,
    slot: datetime | None = None,
    attempt: int | None = None,
) -> Draft:
    """Word that a run of `job` ended in `state`."""
    error = shown(error, _MAX_ERROR) if error else None
    ended = _ENDED.get(state, state)
    named = f"Run {run} of {job}" if run else f"A run of {job}"
    tries = f" after {attempt} attempts" if attempt and attempt > 1 else ""
    facts = {"run": run, "state": state, "slot": slot, "attempt": attempt, "error": error}
    return Draft(
        key=failed_key(job),
        kind="run_failed",
        severity=severity,
        job=job,
        title=f"{job} {ended}",
        text=f"{named} {ended}{tries}{f': {error}' if error else '.'}",
        at=at,
        facts={k: v for k, v in facts.items() if v is not None},
    )


def succeeded(job: str, run: int | None, at: datetime) -> Draft:
    """Word that a job whose run had failed succeeds again."""
    return Draft(
        key=failed_key(job),
        kind="run_failed",
        severity="info",
        job=job,
        title=f"{job} succeeded again",
        text=f"Run {run} of {job} succeeded." if run else f"{job} succeeded.",
        at=at,
        facts={"run": run} if run else {},
    )


def overdue(job: str, severity: Severity, late: timedelta, at: datetime) -> Draft:
    """Word that a job is overdue by `late`."""
    length = format_duration(timedelta(seconds=round(late.total_seconds())))
    return Draft(
        key=overdue_key(job),
        kind="job_overdue",
        severity=severity,
        job=job,
        title=f"{job} is overdue",
        text=f"{job} is overdue by {length}: it was due and has not started, or its last success "
        "is older than it may be.",
        at=at,
        facts={"overdue_seconds": round(late.total_seconds())},
    )


def on_time(job: str, gone: bool, at: datetime) -> Draft:
    """Word that a job is not overdue any more."""
    return Draft(
        key=overdue_key(job),
        kind="job_overdue",
        severity="info",
        job=job,
        title=f"{job} is no longer {'declared' if gone else 'overdue'}",
        text=f"{job} is no longer declared." if gone else f"{job} is no longer overdue.",
        at=at,
        facts={},
    )


def stalled(event: RunStalled, severity: Severity, at: datetime) -> Draft:
    """Word that a run has said nothing for too long."""
    length = format_duration(timedelta(seconds=round(event.silent.total_seconds())))
    return Draft(
        key=f"run_stalled {event.run_id} {event.attempt}",
        kind="run_stalled",
        severity=severity,
        job=event.job,
        title=f"A run of {event.job} has stalled",
        text=f"Run {event.run_id} of {event.job} is at work, and has said nothing for {length}.",
        at=at,
        facts={"run": event.run_id, "attempt": event.attempt, "slot": event.slot},
    )


def missed(event: SlotSettled, severity: Severity, at: datetime) -> Draft:
    """Word that slots were missed."""
    slot = f"{event.slot:%F %T} UTC"
    what = f"its slot of {slot}" if event.slots == 1 else f"{event.slots} slots up to {slot}"
    return Draft(
        key=f"slot_missed {event.schedule}",
        kind="slot_missed",
        severity=severity,
        job=event.job,
        title=f"{event.job} missed {'a slot' if event.slots == 1 else f'{event.slots} slots'}",
        text=f"{event.schedule} missed {what}: {event.reason}. Nothing ran for it.",
        at=at,
        facts={"schedule": event.schedule, "slot": event.slot, "slots": event.slots,
               "reason": event.reason},
    )  # fmt: skip


def leads(event: LeaderChanged, label: str, at: datetime) -> Draft:
    """Word that a node has taken the lead."""
    return Draft(
        key=f"leader_changed {event.term}",
        kind="leader_changed",
        severity="info",
        title=f"{label} leads",
        text=f"{label} has taken the lead, in term {event.term}.",
        at=at,
        facts={"node": event.node, "label": label, "term": event.term},
    )


def leaderless(since: float, why: str | None, at: datetime) -> Draft:
    """Word that no node has led for `since` seconds, and why that is."""
    return Draft(
        key=MISSING,
        kind="leader_missing",
        severity="critical",
        title="no replica leads",
        text=f"Replicas are up, and none has led for {since:.0f} s: nothing is fired."
        + (f" {why[:1].upper()}{why[1:]}." if why else ""),
        at=at,
        facts={"seconds": round(since)},
    )


def led_again(label: str, at: datetime) -> Draft:
    """Word that a node leads after none did."""
    return Draft(
        key=MISSING,
        kind="leader_missing",
        severity="info",
        title=f"{label} leads",
        text=f"{label} leads: what was due meanwhile is settled.",
        at=at,
        facts={"label": label},
    )
