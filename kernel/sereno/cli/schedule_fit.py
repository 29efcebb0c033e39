"""Reads what a person says of a schedule against the job that it is of."""

from collections.abc import Sequence
from typing import Any

import click

from sereno.cli.invocation import Invocation
from sereno.model.errors import NotFoundError
from sereno.model.job import Job
from sereno.settings.policy import read_policy


def declared_job(invocation: Invocation, name: str) -> Job:
    """Return the job as this machine's plugins declare it; raises NotFoundError."""
    try:
        return invocation.registry.job(name)
    except NotFoundError as error:
        failed = [r.name for r in invocation.registry.records.values() if r.state == "failed"]
        if not failed:
            raise
        raise NotFoundError(f"{error}; not loaded: {', '.join(failed)}") from error


def read_policies(pairs: Sequence[str], job: Job, subject: str) -> dict[str, Any]:
    """Return ``key=value`` pairs as the policies that JSON keeps, each checked."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"policy '{pair}': write it as key=value, as in grace=5m")
        value: Any = None if text == "null" else text
        found[key] = read_policy(key, value, subject, lax=True)
    return job.checked_policies(found, subject)
