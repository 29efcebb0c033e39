"""What the kernel finds: settings, jobs and the demonstration of `etl_ivr`."""

from datetime import timedelta
from functools import partial

from sereno import Check, Collector, Demo, Job, every, hookimpl, lazy, parse
from sereno_etl_ivr.aggregate import aggregate
from sereno_etl_ivr.backfill import backfill
from sereno_etl_ivr.figures import CallsToday, LoadedRows
from sereno_etl_ivr.reach import find_source
from sereno_etl_ivr.reconcile import reconcile
from sereno_etl_ivr.rejects import retry_rejects
from sereno_etl_ivr.retain import retain
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.sync import sync, sync_of


@hookimpl
def sereno_register_settings() -> type[Settings]:
    """Name the Struct that ``[plugins.etl_ivr]`` must fit."""
    return Settings


@hookimpl
def sereno_register_jobs(settings: Settings) -> list[Job]:
    """Return the jobs; without a source they have no schedule."""
    moving = [sync, *map(sync_of, settings.tables)]
    moving = [one.changed(timeout=settings.timeout) for one in moving]
    others = [backfill, retry_rejects]
    if settings.source_url is None:
        idle = [
            one.changed(overdue_after=None, unscheduled="plugins.etl_ivr.source_url is not set")
            for one in (*moving, reconcile, aggregate, retain)
        ]
        return [*idle, *others]
    schedules = [settings.schedule, *(table.schedule for table in settings.tables.values())]
    scheduled = [
        _scheduled(one, settings, text) for one, text in zip(moving, schedules, strict=True)
    ]
    return [
        *scheduled,
        reconcile.changed(schedule=parse(settings.reconcile)),
        _aggregating(settings),
        _retaining(settings),
        *others,
    ]


def _retaining(settings: Settings) -> Job:
    keeps = (settings.keep_calls, settings.keep_rejects, settings.keep_deleted)
    tables = (table.keep for table in settings.tables.values())
    if any((*keeps, settings.keep_figures, *tables)):
        return retain.changed(schedule=parse(settings.retain))
    return retain.changed(overdue_after=None, unscheduled="plugins.etl_ivr keeps all for ever")


def _aggregating(settings: Settings) -> Job:
    if not settings.aggregate:
        return aggregate.changed(
            overdue_after=None, unscheduled="plugins.etl_ivr.aggregate is empty"
        )
    return aggregate.changed(schedule=parse(settings.aggregate))


def _scheduled(moving: Job, settings: Settings, text: str | None) -> Job:
    if text is not None:
        return moving.changed(schedule=parse(text))
    interval = timedelta(hours=settings.frequency_hours)
    overdue_after = interval + timedelta(hours=1)
    return moving.changed(schedule=every(interval), overdue_after=overdue_after)


@hookimpl
def sereno_register_collectors(settings: Settings) -> list[Collector]:
    """Return what reads rows by outcome, lag and today's calls; nothing without a source."""
    if settings.source_url is None:
        return []
    return [LoadedRows(settings), *([CallsToday(settings)] if settings.aggregate else [])]


@hookimpl
def sereno_register_checks(settings: Settings) -> list[Check]:
    """Say whether the source answers; nothing without one."""
    return [] if settings.source_url is None else [Check("source", partial(find_source, settings))]


@hookimpl
def sereno_register_demo() -> Demo:
    """Return quick schedules and a source that keeps writing calls."""
    demo: Demo = lazy("sereno_etl_ivr.demo").DEMO  # loaded by `sereno demo` alone
    return demo
