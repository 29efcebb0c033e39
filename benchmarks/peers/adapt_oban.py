"""oban for Python; its cron knows no seconds, and each schedule is a class."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

import uvloop
from oban import Oban, worker
from oban.schema import install
from wire import Latency, Tally, command, heard, later, main, say, timed

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
        await heard("stop")
        say("starts", starts=Jobs.tally.starts)


@command
def burst(options: Options) -> None:
    async def run() -> None:
        n, due = options["n"], datetime.fromtimestamp(options["due"], UTC)
        Jobs.tally = Tally(n)
        for i in range(n):
            scheduled(i, f"{due.minute} {due.hour} * * *")
        one = Oban(pool=await pool(options), queues=QUEUE)
        say("ready", recorded=COMPLETED)
        await until_stopped(one)

    uvloop.run(run())


@command
def drain(options: Options) -> None:
    async def run() -> None:
        n = options["n"]
        Jobs.tally = Tally(n)
        one = Oban(pool=await pool(options), queues=QUEUE)
        await one.enqueue_many(Noop.new({"n": i}) for i in range(n))
        say("ready", recorded=COMPLETED)
        await heard("go")
        await until_stopped(one)

    uvloop.run(run())


@command
def enqueue(options: Options) -> None:
    async def run() -> None:
        one = Oban(pool=await pool(options))

        async def singly(n: int) -> None:
            for _ in range(n):
                await one.enqueue(Measured.new())

        await singly(20)
        single = await timed(singly(options["single"]))
        jobs = [Measured.new() for _ in range(options["bulk"])]
        say("done", single=single, bulk=await timed(one.enqueue_many(jobs)))

    uvloop.run(run())


@command
def latency(options: Options) -> None:
    async def run() -> None:
        one = Oban(pool=await pool(options), queues=QUEUE)
        async with one:
            await asyncio.sleep(options["settle"])
            await Jobs.measured.measure(lambda: one.enqueue(Measured.new()), options["n"])

    uvloop.run(run())


@command
def idle(options: Options) -> None:
    async def run() -> None:
        for i in range(options["n"]):
            scheduled(i, later(i))
        async with Oban(pool=await pool(options, fresh=options["declare"]), queues=QUEUE):
            say("ready")
            await heard("stop")

    uvloop.run(run())


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main()
