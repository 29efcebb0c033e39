"""oban for Python; its cron knows no seconds, and each schedule is a class."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

from oban import Oban, worker
from oban.schema import install
from wire import Latency, Tally, async_command, enqueued, heard, later, main, say, told

Options = dict[str, Any]
COMPLETED = "SELECT count(*) FROM oban_jobs WHERE state = 'completed'"
QUEUE = {"default": {"limit": 200, "debounce_interval": 0.001}}


class Jobs:
    """What all classes of jobs call."""

    tally = Tally(0)
    measured = Latency()


async def pool(options: Options, fresh: bool = True) -> Any:
    made = await Oban.create_pool(options["dsn"], min_size=4, max_size=20)
    if fresh:
        await install(made)
    return made


def scheduled(i: int, cron: str) -> None:
    """Make a class of its own for a schedule, the only way there is."""

    async def process(self: Any, job: Any) -> None:
        Jobs.tally.note(i)

    worker(queue="default", cron=cron)(type(f"N{i}", (), {"process": process}))


@worker(queue="default")
class Noop:
    """Note the job's number."""

    async def process(self, job: Any) -> None:
        """Note it."""
        Jobs.tally.note(job.args["n"])


@worker(queue="default")
class Measured:
    """Note that it began."""

    async def process(self, job: Any) -> None:
        """Note it."""
        Jobs.measured.note()


async def until_stopped(one: Oban) -> None:
    async with one:
        await told(Jobs.tally)


@async_command
async def burst(options: Options) -> None:
    n, due = options["n"], datetime.fromtimestamp(options["due"], UTC)
    Jobs.tally = Tally(n)
    for i in range(n):
        scheduled(i, f"{due.minute} {due.hour} * * *")
    one = Oban(pool=await pool(options), queues=QUEUE)
    say("ready", recorded=COMPLETED)
    await until_stopped(one)


@async_command
async def drain(options: Options) -> None:
    n = options["n"]
    Jobs.tally = Tally(n)
    one = Oban(pool=await pool(options), queues=QUEUE)
    await one.enqueue_many(Noop.new({"n": i}) for i in range(n))
    say("ready", recorded=COMPLETED)
    await heard("go")
    await until_stopped(one)


@async_command
async def enqueue(options: Options) -> None:
    one = Oban(pool=await pool(options))
    await enqueued(
        options,
        lambda: one.enqueue(Measured.new()),
        lambda n: one.enqueue_many([Measured.new() for _ in range(n)]),
    )


@async_command
async def latency(options: Options) -> None:
    one = Oban(pool=await pool(options), queues=QUEUE)
    async with one:
        await asyncio.sleep(options["settle"])
        await Jobs.measured.measure(lambda: one.enqueue(Measured.new()), options["n"])


@async_command
async def idle(options: Options) -> None:
    for i in range(options["n"]):
        scheduled(i, later(i))
    async with Oban(pool=await pool(options, fresh=options["declare"]), queues=QUEUE):
        say("ready")
        await heard("stop")


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main()
