"""What is published of runs that waited: that one began late, or never."""

from datetime import timedelta

from sereno.model.events import RunFinished, SlotSettled
from sereno.model.ledger import Claim
from sereno.store.pool import Record


def late_slot(claim: Claim) -> SlotSettled | None:
    """Return that a claimed run's slot is late, None where it is not."""
    if claim.verdict != "late" or claim.slot is None:
        return None
    return SlotSettled(
        job=claim.job,
        schedule=claim.schedule or "",
        slot=claim.slot,
        verdict=claim.verdict,
        reason=claim.reason or "",
    )


def unbegun(row: Record) -> RunFinished | SlotSettled:
    """Return how a run ended that was too late to begin, as `runs.expire` has it: its slot is
    missed, or, where it is of none that waited, it is cancelled itself."""
    if row["reason"] is not None:
        return SlotSettled(
            job=row["job"],
            schedule=row["schedule"] or "",
            slot=row["slot"],
            verdict="missed",
            reason=row["reason"],
        )
    return RunFinished(
        run_id=row["id"],
        job=row["job"],
        attempt=0,
        slot=row["slot"],
        state="cancelled",
        duration=timedelta(0),
        error=row["error"],
    )
