"""What the kernel finds: settings, jobs and the demonstration of `cleanup`."""

from functools import partial
from typing import Any

from sereno import Check, Collector, Demo, Job, cron, hookimpl, lazy, parse
from sereno_cleanup.caches import caches
from sereno_cleanup.checks.record import CheckResults
from sereno_cleanup.disk_watch import disks
from sereno_cleanup.disks import Disks
from sereno_cleanup.figures import CacheSizes
from sereno_cleanup.history import history
from sereno_cleanup.integrity import integrity
from sereno_cleanup.logs import logs
from sereno_cleanup.places import find_places
from sereno_cleanup.rotate import rotate
from sereno_cleanup.sessions import sessions
from sereno_cleanup.settings import Settings
from sereno_cleanup.tables import tables
from sereno_cleanup.tally import CleanupTally
from sereno_cleanup.verify_archive import verify_archive


@hookimpl
def sereno_register_settings() -> type[Settings]:
    """Name the Struct that ``[plugins.cleanup]`` must fit."""
    return Settings


@hookimpl
def sereno_register_jobs(settings: Settings) -> list[Job]:
    """Return the jobs that are enabled, on the schedules that the settings name."""
    weekly = verify_archive.changed(schedule=cron("0 4 * * sun", tz=settings.logs_zone))
    daily = logs.changed(schedule=cron("0 2 * * *", tz=settings.logs_zone))
    chosen = (
        (settings.sessions_enabled, sessions, settings.sessions_schedule),
        (settings.logs_enabled, daily, settings.logs_schedule),
        (settings.rotate_enabled and bool(settings.rotations), rotate, settings.rotate_schedule),
        (settings.tables_enabled and bool(settings.tables), tables, settings.tables_schedule),
        (
            settings.verify_archive_enabled and bool(settings.archives()),
            weekly,
            settings.verify_archive_schedule,
        ),
        (settings.disks_enabled and settings.has_places, disks, settings.disks_schedule),
        (settings.caches_enabled and bool(settings.caches), caches, settings.caches_schedule),
        (settings.checks_enabled and bool(settings.checks), integrity, settings.checks_schedule),
        (settings.history_enabled, history, settings.history_schedule),
    )
    return [
        job if schedule is None else job.changed(schedule=parse(schedule))
        for enabled, job, schedule in chosen
        if enabled
    ]


@hookimpl
def sereno_register_collectors(settings: Settings) -> list[Collector]:
    """Return what counts, and what reads disks, checks and caches where there are any."""
    chosen: tuple[tuple[bool, Collector], ...] = (
        (True, CleanupTally()),
        (settings.has_places, Disks(settings)),
        (bool(settings.checks), CheckResults(settings)),
        (bool(settings.caches), CacheSizes(settings)),
    )
    return [collector for wanted, collector in chosen if wanted]


@hookimpl
def sereno_register_checks(settings: Settings) -> list[Check]:
    """Say whose files are swept, and what of their places is missing here."""
    return [Check("places", partial(find_places, settings))]


@hookimpl
def sereno_register_commands() -> list[Any]:
    """Add ``sereno cleanup``."""
    return [lazy("sereno_cleanup.commands").cleanup]  # loaded by the command line alone


@hookimpl
def sereno_register_demo() -> Demo:
    """Return quick schedules and a source of expired things."""
    demo: Demo = lazy("sereno_cleanup.demo").DEMO  # loaded by `sereno demo` alone
    return demo
