"""What the kernel finds: settings, job, commands and the demonstration of `reports`."""

from collections.abc import Iterable
from importlib import import_module

import click

from sereno import Demo, Job, cron, hookimpl, parse
from sereno_reports.commands import reports
from sereno_reports.daily import daily
from sereno_reports.settings import Settings


@hookimpl
def sereno_register_settings() -> type[Settings]:
    """Name the Struct that ``[plugins.reports]`` must fit."""
    return Settings


@hookimpl
def sereno_register_jobs(settings: Settings) -> Iterable[Job]:
    """Return the daily report, at 08:00 on the business's clock unless set otherwise."""
    if not settings.enabled:
        return []
    if settings.schedule is not None:
        return [daily.changed(schedule=parse(settings.schedule))]
    return [daily.changed(schedule=cron("0 8 * * *", tz=settings.zone))]


@hookimpl
def sereno_register_commands() -> list[click.Command]:
    """Return ``sereno reports``."""
    return [reports]


@hookimpl
def sereno_register_demo() -> Demo:
    """Return quick settings: a report of the day so far, every few seconds."""
    demo: Demo = import_module("sereno_reports.demo").DEMO  # loaded by `sereno demo` alone
    return demo
