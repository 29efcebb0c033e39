"""Outcomes of runs that this node owns and has made no attempt of; pure values."""

from datetime import datetime

from sereno.engine.attempt import MAX_ERROR
from sereno.engine.kept_text import kept
from sereno.model.ledger import Claim
from sereno.model.run import Outcome, RunState
from sereno.store.pool import Record

_UNKNOWN = (
    "its node does not know it: its claim was not answered, or the database has lost its outcome; "
    "it may have run"
)


def refused(claim: Claim, error: str, now: datetime) -> Outcome:
    """Fail a run that cannot be attempted: its params do not fit any more, say."""
    return Outcome(
        run_id=claim.run_id,
        job=claim.job,
        attempt=claim.attempt,
        token=claim.token,
        state="failed",
        started_at=now,
        finished_at=now,
        error=kept(error, MAX_ERROR),
        slot=claim.slot,
    )


def cancelled(claim: Claim, who: str | None, now: datetime) -> Outcome:
    """End a run that somebody has stopped before its instant."""
    return Outcome(
        run_id=claim.run_id,
        job=claim.job,
        attempt=claim.attempt,
        token=claim.token,
        state="cancelled",
        started_at=now,
        finished_at=now,
        error=f"cancelled by {who}, before it began",
        begun=False,
        slot=claim.slot,
    )


def released(claim: Claim, now: datetime) -> Outcome:
    """Give a run back that has not begun."""
    return Outcome(
        run_id=claim.run_id,
        job=claim.job,
        attempt=claim.attempt,
        token=claim.token,
        state="queued",
        started_at=now,
        finished_at=now,
        retry_at=claim.slot or now,
        begun=False,
    )


def unknown(row: Record, state: RunState | None, now: datetime) -> Outcome:
    """Return what becomes of a run (as `runs.owned`) that this node does not know.

    `state`: ``queued`` or ``lost``, as it may have run; None: it has not, and is given back.
    """
    return Outcome(
        run_id=row["id"],
        job=row["job"],
        attempt=row["attempt"],
        token=row["token"],
        state=state or "queued",
        became="lost" if state == "queued" else None,
        started_at=row["started_at"] or now,
        finished_at=now,
        retry_at=now if state != "lost" else None,
        begun=state is not None,
        error=_UNKNOWN if state is not None else None,
    )
