"""The jobs by APScheduler 3, which knows neither retries, chains, records nor replicas."""

# -- an hourly job: one at a time, 5 minutes at most, late rather than never
import asyncio

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from shop.work import download, expire, merged

scheduler = AsyncIOScheduler(
    job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 3600}
)


async def cleanup():
    async with asyncio.timeout(300):
        return await expire()


scheduler.add_job(cleanup, "cron", hour="*", id="shop.cleanup", replace_existing=True)

# -- a chain with its result, each step tried three times more a minute apart


async def tried(step, *given):
    for attempt in range(4):
        try:
            return await step(*given)
        except Exception:
            if attempt == 3:
                raise
            await asyncio.sleep(60)


async def sync_and_merge():
    found = await tried(download)
    return await tried(merged, found["highest_id_after"])


scheduler.add_job(sync_and_merge, "interval", minutes=2, id="shop.sync", replace_existing=True)

# -- a record of every run: state, times, result, error with its stack
from apscheduler.events import (
    EVENT_JOB_ERROR,
    EVENT_JOB_EXECUTED,
    EVENT_JOB_MISSED,
    EVENT_JOB_SUBMITTED,
)
from shop.database import engine, runs

begun = {}


def submitted(event):
    for at in event.scheduled_run_times:
        begun[event.job_id, at] = now()


def ended(event):
    row = {
        "job": event.job_id,
        "slot": event.scheduled_run_time,
        "started_at": begun.pop((event.job_id, event.scheduled_run_time), None),
        "finished_at": now(),
        "state": {EVENT_JOB_EXECUTED: "succeeded", EVENT_JOB_ERROR: "failed"}.get(
            event.code, "missed"
        ),
        "result": getattr(event, "retval", None),
        "error": getattr(event, "traceback", None),
    }
    with engine.begin() as connection:
        connection.execute(runs.insert().values(row))


scheduler.add_listener(submitted, EVENT_JOB_SUBMITTED)
scheduler.add_listener(ended, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR | EVENT_JOB_MISSED)

# -- a metric for an alert, when a job has not succeeded for too long
from datetime import UTC, datetime

from prometheus_client import Gauge, start_http_server

SUCCEEDED = Gauge("job_last_success_timestamp_seconds", "The last success of a job.", ["job"])


def now():
    return datetime.now(UTC)


def noted(event):
    SUCCEEDED.labels(event.job_id).set_to_current_time()


scheduler.add_listener(noted, EVENT_JOB_EXECUTED)
start_http_server(8765)

# -- several replicas, of which one schedules
import psycopg


async def lead():
    connection = await psycopg.AsyncConnection.connect(autocommit=True)
    while True:
        row = await (await connection.execute("SELECT pg_try_advisory_lock(42)")).fetchone()
        if row[0]:
            break
        await asyncio.sleep(1)
    scheduler.start()
    while True:
        try:
            await connection.execute("SELECT 1")
        except psycopg.Error:
            scheduler.shutdown(wait=False)
            raise
        await asyncio.sleep(1)


# -- runs by hand, with their result: sereno trigger shop.sync --wait
import sys

if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(asyncio.run({"cleanup": cleanup, "sync": sync_and_merge}[sys.argv[1]]()))
    else:
        asyncio.run(lead())
