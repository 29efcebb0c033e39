"""Decides whether a schedule that a person or a program asks for can be."""

import re
from datetime import datetime

import msgspec

from sereno.model.bounds import checked_instant, checked_json
from sereno.model.errors import DeclarationError
from sereno.model.job import Job
from sereno.model.schedule_spec import ScheduleSpec
from sereno.triggers.calendars import Calendars, with_days
from sereno.triggers.density import check_min_interval
from sereno.triggers.occurrences import next_slot
from sereno.triggers.resolution import foretold
from sereno.triggers.text import parse

_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,59}")


def check_name(name: str, job: Job) -> None:
    """Raise DeclarationError unless `name` is that of `job`, or that and a label: ``job@label``."""
    if name == job.name:
        return
    whose, at, label = name.partition("@")
    if whose != job.name or not at or not _LABEL.fullmatch(label):
        raise DeclarationError(
            f"schedule '{name}': its name is that of its job '{job.name}', or '{job.name}@' and a "
            "label of letters, digits, '_', '.' and '-', at most 60 of them"
        )


def fitting(
    declared: ScheduleSpec, job: Job, name: str, now: datetime, calendars: Calendars | None = None
) -> tuple[ScheduleSpec, datetime]:
    """Return `declared` with trigger, params and policies as they are kept, and its first slot
    after `now`.

    `calendars`: the days of those that its trigger may name. Raises DeclarationError, TriggerError,
    ParamsError on what does not fit `job`, or never fires.
    """
    subject = f"schedule '{name}'"
    start, end = declared.starts_at, declared.ends_at
    if start is not None and end is not None and start >= end:
        raise DeclarationError(
            f"{subject}: the window is empty, start {start:%F %T} is not before end {end:%F %T} UTC"
        )
    for what, instant in (("start", start), ("end", end)):
        if instant is not None:
            checked_instant(instant, f"{subject}: {what}", DeclarationError)
    checked_json(declared.params, f"{subject}: params")
    found = msgspec.structs.replace(
        declared,
        trigger=parse(declared.trigger).text,
        params=job.checked_params(declared.params),
        policies=job.checked_policies(declared.policies, subject),
    )
    job.check_concurrency_key(found.params, found.policies, subject)
    plain = msgspec.structs.replace(found, trigger=with_days(found.trigger, calendars or {}))
    version = foretold(plain, name, now)
    check_min_interval(version, name, job.policies.min_interval, now)
    first = next_slot(version, name, now)
    if first is None:
        within = " within its window" if start or end else ""
        raise DeclarationError(
            f"{subject}: '{found.trigger}' has no slot to come{within}, it is {now:%F %T} UTC"
        )
    return found, first
