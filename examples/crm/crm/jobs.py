"""The four tasks of the CRM, what they depend on, and their figures."""

import json
import resource
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from functools import partial
from typing import Any

from crm.cache import Cache, CacheError
from crm.queries import CHECKS, CLEANUP, REFRESH, REPORT, USAGE
from crm.settings import Settings
from sereno import (
    Check,
    Client,
    Collector,
    Finding,
    Job,
    Message,
    Metric,
    Migrations,
    RunContext,
    Sample,
    cron,
    every,
    hookimpl,
    job,
)

_KEPT_SECONDS = 3600


@job("crm.notification_checks", timeout="5m", overdue_after="15m", title="Notification Checks")
async def notification_checks(run: RunContext[Any]) -> dict[str, int]:
    """Raise what people have to look at: no answer for 1 h, hot leads, follow-ups, slow sellers."""
    found: dict[str, int] = {}
    async with run.database() as db:
        for number, (kind, (sql, setting)) in enumerate(CHECKS.items(), 1):
            given = [getattr(run.settings, setting)] if setting else []
            found[kind] = _count(await db.execute(sql, *given))
            run.progress(number, len(CHECKS), kind)
    run.log.info("checked", extra=found)
    return found


@job(
    "crm.metrics_refresh",
    timeout="5m",
    overdue_after="45m",
    title="Metrics Refresh",
    executor="host",
)
async def metrics_refresh(run: RunContext[Any]) -> dict[str, int]:
    """Refresh each seller's figures, in the database and in the application's own cache."""
    async with run.database() as db:
        rows = await db.fetch(REFRESH)
    cache: Cache | None = run.state
    if cache is not None:
        try:
            for row in rows:
                figures = json.dumps(dict(row), default=str)
                await cache.set(f"crm:seller:{row['seller']}", figures, _KEPT_SECONDS)
        except CacheError as error:  # the figures stand in the database
            run.warn(f"the figures are not cached: {error}")
    return {"sellers": len(rows)}


@job("crm.cleanup", timeout="5m", overdue_after="3h", title="Cleanup", executor="process")
async def cleanup(run: RunContext[Any]) -> dict[str, float]:
    """Delete notifications over 7 days, metrics over 30, chat sessions idle for 7."""
    began = time.process_time()
    found: dict[str, float] = {}
    async with run.database() as db:
        for table, sql in CLEANUP.items():
            found[table] = _count(await db.execute(sql))
    # A process of its own: what it took can be told apart from all others.
    found["cpu_seconds"] = round(time.process_time() - began, 3)
    found["memory_kb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found


@job(
    "crm.daily_report",
    timeout="10m",
    overdue_after="25h",
    severity="critical",
    retry={"attempts": 3, "delay": "1m"},
    title="Daily Report",
)
async def daily_report(run: RunContext[Any]) -> dict[str, int]:
    """Write each CEO's report of the day as a notification of the CRM, and tell people of it."""
    day = (run.slot or run.now()).date()
    async with run.database() as db, db.transaction():
        await run.fence(db)
        rows = await db.fetch(REPORT, day)
    for row in rows:
        title = f"{row['name']}: report of {day}"
        run.notify(Message(title, _sentences(day, row["body"])), key=f"{row['seller']}/{day}")
    return {"reports": len(rows)}


@hookimpl
def sereno_register_settings() -> type[Settings]:
    """Return the plugin's settings."""
    return Settings


@hookimpl
def sereno_register_jobs(settings: Settings) -> list[Job[Any]]:
    """Return the tasks, with the intervals that are set; without, where tasks are switched off."""
    plan: dict[Job[Any], Any] = {
        notification_checks: every(f"{settings.notification_check_interval_minutes}m"),
        metrics_refresh: every(f"{settings.metrics_refresh_interval_minutes}m"),
        cleanup: every(f"{settings.cleanup_interval_hours}h"),
        daily_report: cron(settings.report, tz=settings.zone),
    }
    if not settings.enable_scheduled_tasks:
        why = "ENABLE_SCHEDULED_TASKS is false"
        return [task.changed(unscheduled=why) for task in plan]
    return [task.changed(schedule=trigger) for task, trigger in plan.items()]


@hookimpl
def sereno_register_migrations() -> Migrations:
    """Return the CRM's tables."""
    return Migrations(schema="crm", package="crm")


@hookimpl
def sereno_register_checks(settings: Settings) -> list[Check]:
    """Return what the CRM depends on: its cache, where it has one."""
    if not settings.redis_host:
        return []
    return [Check("redis", partial(find_cache, settings), every="10s")]


async def find_cache(settings: Settings) -> list[Finding]:
    """Ask the cache, on a connection of this question's own."""
    cache = Cache(settings.redis_host, settings.redis_port, settings.redis_password)
    try:
        await cache.ping()
    except CacheError as error:
        return [Finding(str(error))]
    finally:
        await cache.close()
    return []


NOTIFICATIONS = Metric("crm_notifications", "gauge", "Notifications that were raised today.")
CPU = Metric("crm_task_cpu_seconds", "gauge", "Processor time of a task's last run.")
MEMORY = Metric("crm_task_memory_bytes", "gauge", "The most memory of a task's last run.")


class Figures(Collector):
    """The business's figures, and what tasks in processes of their own took."""

    metrics = (NOTIFICATIONS, CPU, MEMORY)

    async def collect(self, database_url: str) -> Iterable[Sample]:
        """Count today's notifications by kind, and read the last results."""
        samples: list[Sample] = []
        async with Client.open(database_url) as client, client.database() as db:
            for row in await db.fetch(USAGE):
                kind, count = row["kind"], row["count"]
                samples.append(Sample(NOTIFICATIONS, count, {"kind": kind}))
            runs = [entry for entry in await client.jobs() if entry.name == "crm.cleanup"]
            result: dict[str, float] = {}
            if runs and runs[0].last_run is not None:
                with suppress(Exception):  # its record may be pruned by now
                    result = (await client.run(runs[0].last_run)).result or {}
        labels = {"task": "crm.cleanup"}
        samples.append(Sample(CPU, float(result.get("cpu_seconds", 0)), labels))
        samples.append(Sample(MEMORY, 1024.0 * result.get("memory_kb", 0), labels))
        return samples


@hookimpl
def sereno_register_collectors() -> list[Collector]:
    """Return the CRM's figures."""
    return [Figures()]


def _count(tag: str) -> int:
    return int(tag.rsplit(" ", 1)[1])


def _sentences(day: date, body: str) -> str:
    figures = json.loads(body)
    return "\n".join([f"{day}", *(f"{name}: {figure}" for name, figure in figures.items())])
