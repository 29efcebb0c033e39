"""Decides whether a schedule that a person asks for can be: before anything of it is written."""

import inspect
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
import msgspec

from sereno.cli.invocation import Invocation
from sereno.model.declared import Declared
from sereno.model.errors import DeclarationError, NotFoundError
from sereno.model.job import Job
from sereno.plugins.collect import EXECUTORS
from sereno.settings.policy import read_policy
from sereno.triggers import parse
from sereno.triggers.coming import next_slot


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
    _check_executor(job, job.policies.changed(found, subject).executor, subject)
    return dict(msgspec.to_builtins(found))


def _check_executor(job: Job, executor: str, subject: str) -> None:
    if executor not in EXECUTORS:
        raise DeclarationError(
            f"{subject}: executor is '{executor}', it must be one of {', '.join(EXECUTORS)}"
        )
    if executor == "async" and not inspect.iscoroutinefunction(job.function):
        raise DeclarationError(
            f"{subject}: executor 'async' wants an async def, and job '{job.name}' is a plain "
            "function; choose 'thread' or 'process'"
        )


def check(declared: Declared, name: str, now: datetime) -> datetime:
    """Return the first slot after `now`; raises DeclarationError, TriggerError when there is
    none."""
    start, end = declared.starts_at, declared.ends_at
    if start is not None and end is not None and start >= end:
        raise DeclarationError(
            f"schedule '{name}': the window is empty, start {start:%F %T} is not before end "
            f"{end:%F %T} UTC"
        )
    parse(declared.trigger)
    found = next_slot(declared.definition(1, now, "active"), name, now)
    if found is None:
        within = " within its window" if start or end else ""
        raise DeclarationError(
            f"schedule '{name}': '{declared.trigger}' has no slot to come{within}, it is "
            f"{now:%F %T} UTC"
        )
    return found
