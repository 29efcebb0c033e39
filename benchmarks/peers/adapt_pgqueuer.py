"""pgqueuer on an asyncpg pool; what enqueues has a connection of its own, as its documentation
shows."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.queries import Queries
from wire import Latency, Tally, async_command, enqueued, heard, later, main, say, told

Options = dict[str, Any]
QUEUED = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"
BATCH = 500


async def installed(options: Options) -> tuple[PgQueuer, Queries]:
    """Return a worker and what enqueues, on a database with the schema in it."""
    pool = await asyncpg.create_pool(options["dsn"], min_size=2, max_size=10)
    queries = Queries(AsyncpgPoolDriver(pool))
    if not await queries.schema_is_installed():
        await queries.install()
    return PgQueuer.from_asyncpg_pool(pool), queries


async def client(options: Options) -> Queries:
    """Return what enqueues, over one bare connection: through a pool it takes twice as long."""
    return Queries(AsyncpgDriver(await asyncpg.connect(options["dsn"])))


def work(worker: PgQueuer) -> "asyncio.Task[None]":
    return asyncio.create_task(
        worker.run(
            batch_size=BATCH,
            dequeue_timeout=timedelta(seconds=5),
            heartbeat_timeout=timedelta(seconds=5),
        )
    )


def declare(worker: PgQueuer, name: str, expression: str, tally: Tally, key: Any) -> None:
    async def noop(schedule: Any) -> None:
        tally.note(key)

    worker.schedule(name, expression)(noop)


async def kept(queries: Queries, n: int) -> None:
    """Wait until so many schedules are in the database; nothing tells of it."""
    while True:
        if len(await queries.peek_schedule()) >= n:
            return
        await asyncio.sleep(0.1)


@async_command
async def burst(options: Options) -> None:
    n, due = options["n"], datetime.fromtimestamp(options["due"], UTC)
    tally = Tally(n)
    worker, _ = await installed(options)
    for i in range(n):  # the seconds are croniter's sixth field
        declare(worker, f"n{i}", f"{due.minute} {due.hour} * * * {due.second}", tally, i)
    working = work(worker)
    since = due.strftime("%F %T+00")
    say(
        "ready",
        recorded="SELECT count(*) FROM pgqueuer_schedules"
        f" WHERE status = 'queued' AND last_run >= '{since}'",
    )
    await told(tally)
    working.cancel()


@async_command
async def drain(options: Options) -> None:
    n = options["n"]
    tally = Tally(n)
    worker, queries = await installed(options)

    @worker.entrypoint("noop")
    async def noop(job: Any) -> None:
        tally.note(int(job.id))

    await queries.enqueue(["noop"] * n, [None] * n, [0] * n)
    say("ready", recorded=QUEUED)
    await heard("go")
    working = work(worker)
    await told(tally)
    working.cancel()


@async_command
async def enqueue(options: Options) -> None:
    await installed(options)
    queries = await client(options)
    await enqueued(
        options,
        lambda: queries.enqueue("noop", None),
        lambda n: queries.enqueue(["noop"] * n, [None] * n, [0] * n),
    )


@async_command
async def latency(options: Options) -> None:
    measured = Latency()
    worker, _ = await installed(options)
    queries = await client(options)

    @worker.entrypoint("noop")
    async def noop(job: Any) -> None:
        measured.note()

    working = work(worker)
    await asyncio.sleep(options["settle"])
    await measured.measure(lambda: queries.enqueue("noop", None), options["n"])
    working.cancel()


@async_command
async def on_time(options: Options) -> None:
    tally = Tally(0, options.get("live", False))
    worker, _ = await installed(options)
    # The seconds are croniter's sixth field.
    declare(worker, "noop", f"* * * * * */{options.get('every', 1)}", tally, None)
    working = work(worker)
    say("ready")
    await told(tally)
    working.cancel()


@async_command
async def rerun(options: Options) -> None:
    tally = Tally(0, live=True)
    worker, queries = await installed(options)

    @worker.entrypoint("long")
    async def long(job: Any) -> None:
        tally.note(None)
        await asyncio.sleep(5)

    working = work(worker)
    say("ready")
    await heard("queue")
    await queries.enqueue("long", None)
    await working


@async_command
async def idle(options: Options) -> None:
    worker, queries = await installed(options)
    for i in range(options["n"]):
        declare(worker, f"n{i}", later(i), Tally(0), i)
    working = work(worker)
    await kept(queries, options["n"])
    say("ready")
    await heard("stop")
    working.cancel()


if __name__ == "__main__":
    main()
