"""chancy with its async executor."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from chancy import Chancy, Job, Queue, Worker
from chancy.plugins.cron import Cron
from chancy.plugins.recovery import Recovery
from wire import Latency, Tally, async_command, enqueued, heard, main, say, told

Options = dict[str, Any]
SUCCEEDED = "SELECT count(*) FROM chancy_jobs WHERE state = 'succeeded'"
TALLY = Tally(0)
MEASURED = Latency()


async def noop(n: int | None) -> None:
    """Do nothing; at the module's top, as a job names its function."""
    TALLY.note(n)


async def measured() -> None:
    MEASURED.note()


def tally(n: int) -> None:
    global TALLY  # noqa: PLW0603 - the job finds it by its module
    TALLY = Tally(n)


def application(options: Options) -> Chancy:
    return Chancy(
        options["dsn"],
        plugins=[Cron(poll_interval=1), Recovery(poll_interval=5)],
        max_connection_pool_size=20,
    )


def worker(one: Chancy) -> Worker:
    return Worker(
        one, heartbeat_poll_interval=5, heartbeat_timeout=15, register_signal_handlers=False
    )


async def prepare(one: Chancy) -> None:
    await one.migrate()
    await one.declare(
        Queue(
            "default",
            executor=Chancy.Executor.Async,
            concurrency=500,
            polling_interval=1,
            eager_polling=True,
        )
    )


async def push_many(one: Chancy, jobs: list[Job]) -> None:
    async for _ in one.push_many(jobs):
        pass


async def until_stopped(one: Chancy) -> None:
    async with worker(one):
        await told(TALLY)


@async_command
async def burst(options: Options) -> None:
    n, due = options["n"], datetime.fromtimestamp(options["due"], UTC)
    tally(n)
    async with application(options) as one:
        await prepare(one)
        jobs = [Job.from_func(noop).with_kwargs(n=i).with_unique_key(f"n{i}") for i in range(n)]
        await Cron.schedule(one, f"{due.minute} {due.hour} * * * {due.second}", *jobs)
        say("ready", recorded=SUCCEEDED)
        await until_stopped(one)


@async_command
async def drain(options: Options) -> None:
    n = options["n"]
    tally(n)
    async with application(options) as one:
        await prepare(one)
        await push_many(one, [Job.from_func(noop).with_kwargs(n=i) for i in range(n)])
        say("ready", recorded=SUCCEEDED)
        await heard("go")
        await until_stopped(one)


@async_command
async def enqueue(options: Options) -> None:
    async with application(options) as one:
        await prepare(one)
        await enqueued(
            options,
            lambda: one.push(Job.from_func(measured)),
            lambda n: push_many(one, [Job.from_func(measured) for _ in range(n)]),
        )


@async_command
async def latency(options: Options) -> None:
    async with application(options) as one:
        await prepare(one)
        async with worker(one):
            await asyncio.sleep(options["settle"])
            await MEASURED.measure(lambda: one.push(Job.from_func(measured)), options["n"])


@async_command
async def on_time(options: Options) -> None:
    tally(0)
    async with application(options) as one:
        await prepare(one)
        each = Job.from_func(noop).with_kwargs(n=None).with_unique_key("noop")
        await Cron.schedule(one, "* * * * * *", each)
        say("ready")
        await until_stopped(one)


@async_command
async def idle(options: Options) -> None:
    due = datetime.now(UTC) + timedelta(days=2)
    async with application(options) as one:
        if options["declare"]:
            await prepare(one)
            jobs = [Job.from_func(measured).with_unique_key(f"n{i}") for i in range(options["n"])]
            await Cron.schedule(one, f"0 0 {due.day} {due.month} *", *jobs)
        async with worker(one):
            say("ready")
            await heard("stop")


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main()
