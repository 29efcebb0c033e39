"""Sereno: what ``sereno run`` does, with a plugin of the bench and no other."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import asyncpg
from wire import Latency, Tally, command, hear, heard, later, listen, main, say, timed, told

from sereno import Job, RunContext, cron, hookimpl, job, schedule
from sereno.app import serve
from sereno.engine.event_loop import new_event_loop
from sereno.settings import load_settings

Options = dict[str, Any]
Run = RunContext[dict[str, Any]]
SUCCEEDED = "SELECT count(*) FROM sereno.run WHERE state = 'succeeded'"
SLOTS = f"SELECT least(({SUCCEEDED}), (SELECT count(*) FROM sereno.slot WHERE verdict = 'ran'))"
UNDER_WAY = "SELECT FROM sereno.run WHERE state IN ('queued', 'running') LIMIT 1"
NOT_RUN = """
    SELECT extract(epoch FROM slot)::bigint FROM sereno.slot
     WHERE verdict IN ('coalesced', 'skipped', 'missed')
    UNION SELECT generate_series(extract(epoch FROM first_slot)::bigint,
                                 extract(epoch FROM last_slot)::bigint, 1) FROM sereno.slot_range"""
SERIES = "SELECT count(sereno.enqueue('bench.noop')) FROM generate_series(1, $1::integer)"
BULK = "SELECT count(*) FROM sereno.enqueue_many('bench.noop', $1::text[]::jsonb[])"


def node(
    options: Options,
    jobs: list[Job],
    beside: Callable[[], Awaitable[None]] | None = None,
    *,
    last: bool = True,
) -> None:
    """Run a replica with `jobs` until SIGTERM; `beside` runs in its loop from the start.

    `last`: nothing else comes after it in this process, which ends soon after the node.
    """

    @hookimpl
    def sereno_register_jobs() -> list[Job]:
        return jobs

    @hookimpl
    @asynccontextmanager
    async def sereno_lifespan() -> AsyncIterator[None]:
        task = None if beside is None else asyncio.ensure_future(beside())
        yield
        if task is not None:
            task.cancel()

    @hookimpl
    async def sereno_on_leader_changed(event: Any) -> None:
        if event.leading:
            say("leading", at=time.time())

    plugin = SimpleNamespace(
        sereno_register_jobs=sereno_register_jobs,
        sereno_lifespan=sereno_lifespan,
        sereno_on_leader_changed=sereno_on_leader_changed,
    )
    environment = {
        "SERENO_DATABASE_URL": options["dsn"],
        "SERENO_HTTP__PORT": "0",
        **({"SERENO_MAX_RUNNING": str(n)} if (n := options.get("max_running")) else {}),
    }
    if "lease" in options and not options.get("defaults"):
        environment["SERENO_LEASE"] = options["lease"]
    settings = load_settings(file=None, environ=environment, flags={})
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        served = serve(settings, extra=[("bench", plugin)], entry_points=False, ends_process=last)
        runner.run(served)


async def registered(dsn: str, schedules: int = 0) -> None:
    """Wait until the leader has registered the jobs and so many schedules."""
    connection = await waiting_connection(dsn)
    await reached(connection, "SELECT count(*) FROM sereno.watermark", schedules)
    await connection.close()


async def waiting_connection(dsn: str) -> asyncpg.Connection:
    """Return a connection, once the node has made the schema and registered its jobs."""
    connection = await asyncpg.connect(dsn)
    await reached(connection, "SELECT (to_regclass('sereno.catalogue') IS NOT NULL)::int", 1)
    await reached(connection, "SELECT count(*) FROM sereno.catalogue", 1)
    return connection


async def reached(connection: asyncpg.Connection, statement: str, n: int) -> None:
    """Wait until the statement's number is at least `n`; nothing tells of it."""
    while True:
        if await connection.fetchval(statement) >= n:
            return
        await asyncio.sleep(0.02)


def leave() -> None:
    """End the node as an operator does."""
    os.kill(os.getpid(), signal.SIGTERM)


@command
def burst(options: Options) -> None:
    """Fire `n` schedules at one instant."""
    n, due = options["n"], options["due"]
    tally = Tally(n)
    trigger = cron(f"{datetime.fromtimestamp(due, UTC):%S %M %H} * * *", tz="UTC")

    @job(
        "bench.noop", schedule=[schedule(trigger, label=f"n{i}", params={"n": i}) for i in range(n)]
    )
    async def noop(run: Run) -> None:
        tally.note(run.params["n"])

    async def beside() -> None:
        await registered(options["dsn"], n)
        say("ready", recorded=SLOTS)
        await told(tally)

    node({"max_running": n, **options}, [noop], beside)


@command
def drain(options: Options) -> None:
    """Run `n` queued runs."""
    n = options["n"]
    tally = Tally(n)

    @job("bench.noop")
    async def noop(run: Run) -> None:
        tally.note(run.run_id)

    register(options, noop)
    asyncio.run(bulk(options["dsn"], n))
    say("ready", recorded=SUCCEEDED)
    hear("go")

    async def beside() -> None:
        await told(tally)

    node(options, [noop], beside)


def register(options: Options, noop: Job) -> None:
    """Lead once, so that the database knows the job."""

    async def beside() -> None:
        await registered(options["dsn"])
        leave()

    node(options, [noop], beside, last=False)


async def bulk(dsn: str, n: int) -> float:
    """Queue `n` runs by one statement, and return the seconds that took."""
    connection = await asyncpg.connect(dsn)
    try:
        return await timed(connection.fetchval(BULK, ["{}"] * n))
    finally:
        await connection.close()


@command
def enqueue(options: Options) -> None:
    """Queue runs one after another, then many at once; nobody works on them."""

    @job("bench.noop")
    async def noop(run: Run) -> None:
        """Do nothing."""

    register(options, noop)

    async def measure() -> tuple[float, float]:
        connection = await asyncpg.connect(options["dsn"])

        async def singly(n: int) -> None:
            for _ in range(n):
                await connection.fetchval("SELECT sereno.enqueue($1, $2)", "bench.noop", "{}")

        await singly(20)
        single = await timed(singly(options["single"]))
        await connection.close()
        return single, await bulk(options["dsn"], options["bulk"])

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        single, many = runner.run(measure())
    say("done", single=single, bulk=many)


@command
def latency(options: Options) -> None:
    """Enqueue one at a time on an idle node, over a connection of our own."""
    measured = Latency()

    @job("bench.noop")
    async def noop(run: Run) -> None:
        measured.note()

    async def beside() -> None:
        connection = await waiting_connection(options["dsn"])
        await asyncio.sleep(options["settle"])
        await measured.measure(
            lambda: connection.fetchval("SELECT sereno.enqueue($1, $2)", "bench.noop", "{}"),
            options["n"],
        )

    node(options, [noop], beside)


@command
def on_time(options: Options) -> None:
    """Run a job each second, or each `every` seconds."""
    tally = Tally(0, options.get("live", False))
    policies = {} if options.get("defaults") else {"catch_up": "all", "overlap": "allow"}

    @job("bench.noop", schedule=cron(f"*/{options.get('every', 1)} * * * * *"), **policies)
    async def noop(run: Run) -> None:
        assert run.slot is not None
        tally.note(run.slot.timestamp())

    async def beside() -> None:
        await registered(options["dsn"], 1)
        say("ready", not_run=NOT_RUN)
        await told(tally)

    node(options, [noop], beside)


@command
def rerun(options: Options) -> None:
    """Run a long job when asked to, and again when its replica is gone."""
    tally = Tally(0, live=True)

    @job("bench.long", on_lost="retry")
    async def long(run: Run) -> None:
        tally.note(run.attempt)
        await asyncio.sleep(5)

    async def beside() -> None:
        await registered(options["dsn"])
        say("ready")
        await heard("queue")
        connection = await asyncpg.connect(options["dsn"])
        await connection.fetchval("SELECT sereno.enqueue('bench.long')")
        await connection.close()

    node(options, [long], beside)


@command
def idle(options: Options) -> None:
    """Wait with `n` schedules, none due for a day; `declare`: on an empty database."""
    jobs = far_jobs(options["n"])
    dsn = options["dsn"]

    async def probe() -> None:
        """Have a run begin: then the node is at work."""
        connection = await waiting_connection(dsn)
        await connection.fetchval("SELECT sereno.enqueue('bench.probe')")
        await connection.close()

    @job("bench.probe")
    async def begun(run: Run) -> None:
        say("ready")

    if not options["declare"]:
        asyncio.run(probe())
    node(options, [*jobs, begun], probe if options["declare"] else None)


@command
def standby(options: Options) -> None:
    """Stand by a leader of `idle`."""

    @job("bench.probe")
    async def begun(run: Run) -> None:
        say("ready")

    async def beside() -> None:
        connection = await waiting_connection(options["dsn"])
        mine = f"SELECT count(*) FROM sereno.node WHERE pid = {os.getpid()}"
        await reached(connection, mine, 1)
        await connection.close()
        say("ready")

    node(options, [*far_jobs(options["n"]), begun], beside)


def far_jobs(n: int) -> list[Job]:
    """Return a job with `n` schedules of which none is due for a day."""
    far = [cron(later(i), tz="UTC") for i in range(n)]

    @job("bench.noop", schedule=[schedule(t, label=f"n{i}") for i, t in enumerate(far)])
    async def noop(run: Run) -> None:
        """Do nothing."""

    return [noop]


@command
def scale(options: Options) -> None:
    """Lead, or stand by, with a job each second beside what the database holds."""
    tally = Tally(0, live=True)

    @job("bench.kept")
    async def kept(run: Run) -> None:
        """Do nothing."""

    @job("bench.probe")
    async def probe(run: Run) -> None:
        say("ready")

    @job("bench.tick", schedule=cron("* * * * * *"), overlap="allow")
    async def tick(run: Run) -> None:
        tally.note(None)

    async def beside() -> None:
        connection = await waiting_connection(options["dsn"])
        mine = f"SELECT http FROM sereno.node WHERE pid = {os.getpid()} AND left_at IS NULL"
        await reached(connection, f"SELECT count(*) FROM ({mine}) AS me", 1)
        say("pages", address=await connection.fetchval(mine))
        if not await connection.fetchval(
            "SELECT count(*) FROM sereno.run WHERE job = 'bench.probe'"
        ):
            await connection.fetchval("SELECT sereno.enqueue('bench.probe')")
        await connection.close()

    node(options, [kept, probe, tick], beside)


@command
def memory(options: Options) -> None:
    """Queue and run as many as the bench says, again and again."""
    left = 0
    done = asyncio.Event()

    @job("bench.noop")
    async def noop(run: Run) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            done.set()

    async def beside() -> None:
        nonlocal left
        await registered(options["dsn"])
        say("ready")
        lines: asyncio.Queue[str] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        listen(lambda line: loop.call_soon_threadsafe(lines.put_nowait, line))
        connection = await asyncpg.connect(options["dsn"])
        while True:
            n = int((await lines.get()).split()[1])
            left += n
            done.clear()
            await connection.fetchval(SERIES, n)
            await done.wait()
            await reached(connection, f"SELECT 1 - count(*) FROM ({UNDER_WAY}) AS r", 1)
            say("done")

    node(options, [noop], beside)


if __name__ == "__main__":
    main()
