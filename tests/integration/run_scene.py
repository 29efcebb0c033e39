"""Runs that a node owns, and how their attempts ended."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sereno.model.ledger import Claim
from sereno.model.run import LogLine, Outcome, ProgressUpdate
from sereno.store import runs

from .scene import NODE, Scene

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def claimed(scene: Scene, job: str = "a", node: Any = NODE, **params: Any) -> Claim:
    """Queue a run and claim it."""
    run_id = await scene.enqueue(job, **params)
    (claim,) = await runs.claim(scene.db, scene.term, node, [run_id])
    return claim


def outcome(claim: Claim, state: str = "succeeded", **facts: Any) -> Outcome:
    plain: dict[str, Any] = {"started_at": NOW, "finished_at": NOW + timedelta(seconds=3)}
    return Outcome(
        run_id=claim.run_id,
        job=claim.job,
        attempt=claim.attempt,
        token=claim.token,
        state=state,  # type: ignore[arg-type]
        **{**plain, **facts},
    )


async def write(scene: Scene, *outcomes: Outcome, node: Any = NODE, chains: Any = None) -> set[int]:
    """Write outcomes and return the runs whose outcome is kept."""
    found = await runs.write_outcomes(scene.db, node, outcomes, chains or {})
    return {o.run_id for o in outcomes if o.token in found.ours}


def said(claim: Claim, **words: Any) -> ProgressUpdate:
    """Return the newest words of an attempt."""
    return ProgressUpdate(run_id=claim.run_id, attempt=claim.attempt, token=claim.token, **words)


def told(claim: Claim, lines: Sequence[LogLine], first: int = 0) -> runs.Lines:
    """Return log lines of an attempt."""
    return claim.run_id, claim.attempt, claim.token, first, lines


def taken(claim: Claim, *, again: bool) -> tuple[int, int, UUID, bool]:
    """Return an attempt that its node is to lose."""
    return claim.run_id, claim.attempt, claim.token, again


async def fence(connection: Any, claim: Claim, node: UUID = NODE) -> None:
    """Hold the run's row as its attempt would."""
    await runs.fence(connection, claim.run_id, claim.attempt, claim.token, node)
