"""Runs that a node owns, and how their attempts ended."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sereno.model.ledger import Claim
from sereno.model.run import Outcome
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
        state=state,  # type: ignore[arg-type]
        **{**plain, **facts},
    )


async def write(scene: Scene, *outcomes: Outcome, node: Any = NODE, chains: Any = None) -> set[int]:
    return set((await runs.write_outcomes(scene.db, node, outcomes, chains or {})).ours)
