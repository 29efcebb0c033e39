"""Whether a run is tried again of which nobody can say how its attempt ended."""

from collections.abc import Mapping
from typing import Any

from sereno.model.errors import SerenoError
from sereno.model.job import Job
from sereno.model.run import LOST_ATTEMPTS


def tried_again(
    jobs: Mapping[str, Job], job: str, losses: int, policies: dict[str, Any] | None
) -> bool:
    """Tell whether a run of `job` that has lost `losses` attempts before is tried again."""
    return may_run_twice(jobs, job, policies) and losses + 1 < LOST_ATTEMPTS


def may_run_twice(jobs: Mapping[str, Job], job: str, policies: dict[str, Any] | None) -> bool:
    """Tell whether a run of `job`, whose schedule overrides `policies`, may run again where nobody
    can tell of an attempt that it has not run."""
    declared = jobs.get(job)
    if declared is None:
        return False
    try:
        chosen = declared.policies.changed(policies or {}, f"job '{job}'")
    except SerenoError:
        chosen = declared.policies
    return chosen.on_lost == "retry"
