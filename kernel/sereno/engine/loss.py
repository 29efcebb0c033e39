"""Whether a run is tried again of which nobody can say how its attempt ended."""

from collections.abc import Mapping
from typing import Any

from sereno.model.errors import SerenoError
from sereno.model.job import Job
from sereno.model.run import LOST_ATTEMPTS


def tried_again(
    jobs: Mapping[str, Job], job: str, losses: int, policies: dict[str, Any] | None
) -> bool:
    """Tell whether a run of `job` that has lost `losses` attempts before is tried again.

    `policies`: what its schedule overrides. An attempt that nobody can tell of may have run: with
    ``on_lost="fail"`` the run is not to run twice.
    """
    declared = jobs.get(job)
    if declared is None:
        return False
    try:
        chosen = declared.policies.changed(policies or {}, f"job '{job}'")
    except SerenoError:
        chosen = declared.policies
    return chosen.on_lost == "retry" and losses + 1 < LOST_ATTEMPTS
