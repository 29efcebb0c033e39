"""Outcomes of runs that this node owns and has made no attempt of; pure values."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sereno.engine.attempt import MAX_ERROR
from sereno.engine.kept_text import kept
from sereno.model.ledger import Claim
from sereno.model.run import Outcome, RunState
from sereno.store.pool import Record

_Run = tuple[int, str, int, UUID]
_UNKNOWN = (
    "its node does not know it: its claim was not answered, or the database has lost its outcome; "
    "it may have run"
)


def refused(claim: Claim, error: str, now: datetime) -> Outcome:
    """Fail a run that cannot be attempted: its params do not fit any more, say."""
    return _outcome(_run(claim), "failed", now, error=kept(error, MAX_ERROR), slot=claim.slot)


def cancelled(claim: Claim, who: str | None, now: datetime) -> Outcome:
    """End a run that somebody has stopped before its instant."""
    error = f"cancelled by {who}, before it began"
    return _outcome(_run(claim), "cancelled", now, error=error, begun=False, slot=claim.slot)


def released(claim: Claim, now: datetime) -> Outcome:
    """Give a run back that has not begun."""
    return _outcome(_run(claim), "queued", now, retry_at=claim.slot or now, begun=False)


def unknown(row: Record, state: RunState | None, now: datetime) -> Outcome:
    """Return what becomes of a run (as `runs.owned`) that this node does not know.

    `state`: ``queued`` or ``lost``, as it may have run; None: it has not, and is given back.
    """
    run = row["id"], row["job"], row["attempt"], row["token"]
    begun: dict[str, Any] = {"started_at": row["started_at"] or now}
    if state is None:
        return _outcome(run, "queued", now, retry_at=now, begun=False, **begun)
    if state == "queued":
        begun |= {"became": "lost", "retry_at": now}
    return _outcome(run, state, now, error=_UNKNOWN, **begun)


def _run(claim: Claim) -> _Run:
    return claim.run_id, claim.job, claim.attempt, claim.token


def _outcome(run: _Run, state: RunState, now: datetime, **more: Any) -> Outcome:
    """Return an outcome that is over as it begins: no attempt lies between."""
    run_id, job, attempt, token = run
    return Outcome(
        run_id=run_id,
        job=job,
        attempt=attempt,
        token=token,
        state=state,
        **{"started_at": now, "finished_at": now, **more},
    )
