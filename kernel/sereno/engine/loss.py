"""Decides whether a run is tried again when nobody can say how its attempt ended."""

from collections.abc import Mapping

from sereno.model.job import Job
from sereno.model.run import LOST_ATTEMPTS
from sereno.model.stored_json import json_object


def tried_again(jobs: Mapping[str, Job], job: str, losses: int, policies: object) -> bool:
    """Return whether a run of `job` that has lost `losses` attempts before is tried again."""
    return may_run_twice(jobs, job, policies) and losses + 1 < LOST_ATTEMPTS


def may_run_twice(jobs: Mapping[str, Job], job: str, policies: object) -> bool:
    """Return whether a run of `job`, whose schedule overrides `policies` as its row has it, may run
    again where nobody can tell of an attempt that it has not run."""
    declared = jobs.get(job)
    if declared is None:
        return False
    try:
        chosen = declared.policies.changed(json_object(policies), f"job '{job}'")
    except Exception:  # whatever JSON its row holds
        chosen = declared.policies
    return chosen.on_lost == "retry"
