"""The jobs that make reports: one for each folder that declares one.

Each run has a process of its own: what makes a report (templates, tables, paper) takes time in
which nothing else of its process can work, and memory that a process keeps until it ends.
"""

from typing import Any

import msgspec

from sereno import Job, RunContext, Trigger, cron, job, lazy, parse
from sereno import retry as retried
from sereno_reports.declared import Folder, trigger_of
from sereno_reports.folders import found
from sereno_reports.settings import WEEK, Settings

_PREFIX = "reports."
_OVERDUE = {"day": "25h", "week": "170h", "month": "746h"}


class ReportParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`day`: as 2026-01-31, the period that it is in; None: the last that is over.

    `include_today`: the period so far.
    """

    day: str | None = None
    include_today: bool = False


async def make(run: RunContext[Any]) -> dict[str, Any]:
    """Make the reports of the folder that gave the run's job its name."""
    name = run.job.removeprefix(_PREFIX)
    folder = found(run.settings.reports_dirs).get(name)
    if folder is None:
        raise ValueError(f"the folder of the report '{name}' is gone since this node started")
    params = run.params
    if not isinstance(params, ReportParams):  # in a process of its own they are as written
        params = msgspec.convert(params, ReportParams)
    # Loaded by the run alone: a node that waits carries none of what makes a report.
    told: dict[str, Any] = await lazy("sereno_reports.attempt").made(run, folder, params)
    return told


def job_of(folder: Folder, settings: Settings) -> Job:
    """Return the job that makes the reports of `folder`, on its schedule in the business's zone."""
    declared: Job = job(
        f"{_PREFIX}{folder.name}",
        params=ReportParams,
        description=_description(folder),
        timeout="15m",
        retry=retried(3, delay="5m"),
        catch_up="all",
        max_catch_up=7,
        severity="warning",
        executor="process",
    )(make)
    trigger = _trigger(folder, settings)
    if trigger is None:
        return declared
    kind = folder.declared.period if folder.declared else "day"
    # On business days alone, the day after a holiday is later than 25 hours.
    days = "73h" if kind == "day" and len(settings.business_days) < len(WEEK) else _OVERDUE[kind]
    return declared.changed(schedule=trigger, overdue_after=days)


def _trigger(folder: Folder, settings: Settings) -> Trigger | None:
    if folder.name == "daily" and settings.schedule is not None:
        return parse(settings.schedule)
    if folder.declared is None:  # its run says what is wrong with the folder
        return cron("0 8 * * *", tz=settings.zone)
    text = folder.declared.schedule
    return trigger_of(text, settings.zone) if text else None


def _description(folder: Folder) -> str:
    if folder.declared is None:
        return folder.fault
    title = folder.declared.title
    return f"Make: {title if isinstance(title, str) else title.get('en') or title.get('es', '')}."
