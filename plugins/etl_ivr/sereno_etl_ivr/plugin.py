"""What the kernel finds: settings, jobs and the demonstration of `etl_ivr`."""

from datetime import timedelta

from sereno import Demo, Job, every, hookimpl, parse
from sereno_etl_ivr.demo import DEMO
from sereno_etl_ivr.settings import Settings
from sereno_etl_ivr.sync import sync


@hookimpl
def sereno_register_settings() -> type[Settings]:
    """Name the Struct that ``[plugins.etl_ivr]`` must fit."""
    return Settings


@hookimpl
def sereno_register_jobs(settings: Settings) -> list[Job]:
    """Return the jobs; without a source they have no schedule."""
    moving = sync.changed(timeout=settings.timeout)
    if settings.source_url is None:
        return [moving.changed(overdue_after=None)]
    if settings.schedule is not None:
        return [moving.changed(schedule=parse(settings.schedule))]
    interval = timedelta(hours=settings.frequency_hours)
    overdue_after = interval + timedelta(hours=1)
    return [moving.changed(schedule=every(interval), overdue_after=overdue_after)]


@hookimpl
def sereno_register_demo() -> Demo:
    """Return quick schedules and a source that keeps writing calls."""
    return DEMO
