"""APScheduler 3 in an asyncio process: in memory, or with its SQLAlchemy store (option `store`)."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from wire import Latency, Tally, async_command, heard, later, main, say, timed, told

Options = dict[str, Any]
TALLY = Tally(0)
MEASURED = Latency()


async def noop(n: int) -> None:
    """Do nothing; at the module's top, as the store keeps a function by its name."""
    TALLY.note(n)


async def measured() -> None:
    MEASURED.note()


def scheduler(options: Options) -> AsyncIOScheduler:
    """Return a scheduler that lets nothing be late or wait."""
    stores = {}
    if options.get("store"):
        url = options["dsn"].replace("postgresql:", "postgresql+psycopg2:")
        stores["default"] = SQLAlchemyJobStore(url=url)
    defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1_000_000}
    return AsyncIOScheduler(jobstores=stores, job_defaults=defaults, timezone=UTC)


def tally(n: int) -> None:
    global TALLY  # noqa: PLW0603 - the job finds it by its module
    TALLY = Tally(n)


@async_command
async def burst(options: Options) -> None:
    n, due = options["n"], datetime.fromtimestamp(options["due"], UTC)
    tally(n)
    one = scheduler(options)
    one.start(paused=True)
    when = {"hour": due.hour, "minute": due.minute, "second": due.second}
    for i in range(n):
        one.add_job(noop, "cron", args=[i], **when)
    one.resume()
    say("ready", recorded=None)
    await told(TALLY)


@async_command
async def drain(options: Options) -> None:
    n = options["n"]
    tally(n)
    one = scheduler(options)
    one.start(paused=True)
    for i in range(n):
        one.add_job(noop, args=[i])
    say("ready", recorded=None)
    await heard("go")
    one.resume()
    await told(TALLY)


@async_command
async def enqueue(options: Options) -> None:
    one = scheduler(options)
    one.start(paused=True)

    async def singly() -> None:
        for i in range(options["single"]):
            one.add_job(noop, args=[i])

    say("done", single=await timed(singly()), bulk=None)


@async_command
async def latency(options: Options) -> None:
    one = scheduler(options)
    one.start()

    async def enqueue() -> None:
        one.add_job(measured)

    await asyncio.sleep(options["settle"])
    await MEASURED.measure(enqueue, options["n"])


@async_command
async def on_time(options: Options) -> None:
    tally(0)
    one = scheduler(options)
    one.start()
    one.add_job(noop, "cron", args=[None], second="*")
    say("ready")
    await told(TALLY)


@async_command
async def idle(options: Options) -> None:
    one = scheduler(options)
    one.start(paused=True)
    if options["declare"] or not options.get("store"):
        for i in range(options["n"]):
            one.add_job(noop, CronTrigger.from_crontab(later(i), UTC), args=[i])
    one.resume()
    say("ready")
    await heard("stop")


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main()
