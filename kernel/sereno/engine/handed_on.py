"""Refuses a chained run that lacks what it was to be given: never silently null."""

from sereno.model.errors import RunError
from sereno.model.fan_out import fan_in
from sereno.model.hand_on import missing
from sereno.model.job import Job
from sereno.model.ledger import Claim


def check_handed_on(job: Job, claim: Claim) -> None:
    """Raise RunError where a param that comes from an upstream run is not there, and where runs
    failed that a join has waited for."""
    found = fan_in(claim.upstream)
    if found is not None:
        if found.refusal:
            raise RunError(f"job '{job.name}': {found.refusal}")
        return  # its params were given by who fanned out
    for name, source in job.sources.items() if job.params_from else ():
        if name not in claim.params:
            raise RunError(
                f"job '{job.name}': param '{name}' comes from {source}, and "
                f"{missing(source, claim.upstream or {})}"
            )
