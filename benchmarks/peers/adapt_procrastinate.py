"""procrastinate on a psycopg pool."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

from procrastinate import App, PsycopgConnector
from wire import Latency, Tally, async_command, enqueued, heard, later, main, say, told

Options = dict[str, Any]
SUCCEEDED = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"


def app(options: Options) -> App:
    """Return the application; its pool is opened by whoever uses it."""
    return App(connector=PsycopgConnector(conninfo=options["dsn"], min_size=4, max_size=20))


async def work(one: App) -> None:
    await one.run_worker_async(concurrency=50, install_signal_handlers=False)


async def until_stopped(one: App, tally: Tally) -> None:
    working = asyncio.create_task(work(one))
    await told(tally)
    working.cancel()


@async_command
async def burst(options: Options) -> None:
    n, due = options["n"], datetime.fromtimestamp(options["due"], UTC)
    tally, one = Tally(n), app(options)

    @one.task(name="noop")
    async def noop(timestamp: int, n: int) -> None:
        tally.note(n)

    for i in range(n):  # the seconds are croniter's sixth field
        cron = f"{due.minute} {due.hour} * * * {due.second}"
        one.periodic(cron=cron, periodic_id=f"n{i}", task_kwargs={"n": i})(noop)
    async with one.open_async():
        await one.schema_manager.apply_schema_async()
        say("ready", recorded=SUCCEEDED)
        await until_stopped(one, tally)


@async_command
async def drain(options: Options) -> None:
    n = options["n"]
    tally, one = Tally(n), app(options)

    @one.task(name="noop")
    async def noop(n: int) -> None:
        tally.note(n)

    async with one.open_async():
        await one.schema_manager.apply_schema_async()
        await noop.batch_defer_async(*({"n": i} for i in range(n)))
        say("ready", recorded=SUCCEEDED)
        await heard("go")
        await until_stopped(one, tally)


@async_command
async def enqueue(options: Options) -> None:
    one = app(options)

    @one.task(name="noop")
    async def noop() -> None:
        """Do nothing."""

    async with one.open_async():
        await one.schema_manager.apply_schema_async()
        await enqueued(
            options,
            noop.defer_async,
            lambda n: noop.batch_defer_async(*({} for _ in range(n))),
        )


@async_command
async def latency(options: Options) -> None:
    measured, one = Latency(), app(options)

    @one.task(name="noop")
    async def noop() -> None:
        measured.note()

    async with one.open_async():
        await one.schema_manager.apply_schema_async()
        working = asyncio.create_task(work(one))
        await asyncio.sleep(options["settle"])
        await measured.measure(noop.defer_async, options["n"])
        working.cancel()


@async_command
async def on_time(options: Options) -> None:
    tally, one = Tally(0, options.get("live", False)), app(options)

    @one.periodic(cron=f"* * * * * */{options.get('every', 1)}")
    @one.task(name="noop")
    async def noop(timestamp: int) -> None:
        tally.note(timestamp)

    async with one.open_async():
        if options.get("declare", True):
            await one.schema_manager.apply_schema_async()
        say("ready")
        await until_stopped(one, tally)


@async_command
async def rerun(options: Options) -> None:
    """Retry stalled jobs each 10 s, as its documentation shows: by itself it never would."""
    tally, one = Tally(0, live=True), app(options)

    @one.task(name="long", pass_context=False)
    async def long() -> None:
        tally.note(None)
        await asyncio.sleep(5)

    @one.periodic(cron="* * * * * */10")
    @one.task(name="retry_stalled", queueing_lock="retry_stalled", pass_context=True)
    async def retry_stalled(context: Any, timestamp: int) -> None:
        for stalled in await one.job_manager.get_stalled_jobs():
            await one.job_manager.retry_job(stalled)

    async with one.open_async():
        if options["declare"]:
            await one.schema_manager.apply_schema_async()
        working = asyncio.create_task(work(one))
        say("ready")
        await heard("queue")
        await long.defer_async()
        await working


@async_command
async def idle(options: Options) -> None:
    one = app(options)

    @one.task(name="noop")
    async def noop(timestamp: int) -> None:
        """Do nothing."""

    for i in range(options["n"]):
        one.periodic(cron=later(i), periodic_id=f"n{i}")(noop)
    async with one.open_async():
        if options["declare"]:
            await one.schema_manager.apply_schema_async()
        working = asyncio.create_task(work(one))
        await asyncio.sleep(0.1)  # its first pass holds the loop: we come back after it
        say("ready")
        await heard("stop")
        working.cancel()


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main()
