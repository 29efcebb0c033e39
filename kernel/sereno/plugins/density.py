"""Refuses schedules that are due more often than their job's ``min_interval`` allows."""

from datetime import UTC, datetime

from sereno.model.job import Job
from sereno.model.schedule import Schedule
from sereno.model.schedule_spec import ScheduleSpec
from sereno.triggers.calendars import names_calendars
from sereno.triggers.density import check_min_interval

_FROM = datetime(2026, 1, 1, tzinfo=UTC)
"""From here on slots are looked at, so that every replica decides alike."""


def check_density(job: Job, schedule: Schedule, name: str) -> None:
    """Raise DeclarationError when slots of `schedule` lie closer together than `job` allows.

    One with shared calendars is not looked at: their days are the database's, and may change.
    """
    if job.policies.min_interval is None:
        return
    spec = ScheduleSpec.of(schedule)
    if not names_calendars(spec.trigger):
        version = spec.as_version(1, _FROM, "active")
        check_min_interval(version, name, job.policies.min_interval, _FROM)
