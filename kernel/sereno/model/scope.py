"""Where the runs of a job of scope host or node may work."""

from sereno.model.errors import DeclarationError
from sereno.model.policies import Policies


def check_scope(policies: Policies, subject: str) -> None:
    """Raise DeclarationError where a job would work at each place and at one alone."""
    if policies.parted and policies.runs_on == "leader":
        places = "hosts" if policies.scope == "host" else "nodes"
        raise DeclarationError(
            f"{subject}: scope '{policies.scope}' has it work at each of the {places}, and runs_on "
            "'leader' at one; leave one of them out, or say which by labels: runs_on=['logs']"
        )
