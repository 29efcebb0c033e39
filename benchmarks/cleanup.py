"""What cleanup costs, and what others notice of it: rows of a large table, sessions, log files.

    .venv/bin/python benchmarks/cleanup.py [retention|sessions|files ...] [--rows 10000000]

Retention: `--expired` of `--rows` rows go while a second client reads and changes single rows, one
transaction after another; its latency alone, beside `cleanup.tables`, and beside one plain DELETE
of the same rows, each in a table of its own, one at a time (at the full size 3 GB of disk, and some
minutes). Sessions: so many expired ones, alone and while somebody holds a snapshot. Files: so many
expired log files in one directory. Nothing goes on for longer than `--minutes`.
"""

import argparse
import asyncio
import contextlib
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig.report import ms, percentile
from benchmarks.rig.server import BenchServer
from sereno.testing import run_context
from sereno_cleanup.logs import logs
from sereno_cleanup.query import query
from sereno_cleanup.sessions import sessions
from sereno_cleanup.settings import LogRule, Settings, TableRule
from sereno_cleanup.tables import tables

PARTS = ["retention", "sessions", "files"]

FILL = """
CREATE TABLE metric (id bigint PRIMARY KEY, at timestamptz NOT NULL, seller int, value float8);
INSERT INTO metric
SELECT n, now() - interval '30 days' + (n - {expired}) * interval '1 second', n % 500, n
  FROM generate_series(1, {rows}) AS n;
CREATE INDEX ON metric (at);
VACUUM ANALYZE metric;
"""


async def client(
    dsn: str, options: argparse.Namespace, stop: asyncio.Event, took: list[float]
) -> None:
    """Read one row and change another in each transaction; note in `took` how long each one was."""
    chance, rows, expired = random.Random(1), options.rows, options.expired
    connection = await asyncpg.connect(dsn)
    while not stop.is_set():
        begun = time.perf_counter()
        async with connection.transaction():
            await connection.fetch(
                "SELECT * FROM metric WHERE id = $1", chance.randint(expired + 1, rows)
            )
            await connection.execute(
                "UPDATE metric SET value = value + 1 WHERE id = $1",
                chance.randint(expired + 1, rows),
            )
        took.append(time.perf_counter() - begun)
        await asyncio.sleep(0.002)
    await connection.close()


async def beside(
    dsn: str, options: argparse.Namespace, work: Callable[[], Awaitable[object]]
) -> tuple[float, list[float]]:
    """Do `work` while the client is busy; return the seconds it took and the client's latencies.

    Those of before count for nothing: they are as they are beside nobody.
    """
    stop, took = asyncio.Event(), list[float]()
    busy = asyncio.create_task(client(dsn, options, stop, took))
    await asyncio.sleep(2)
    took.clear()
    begun = time.perf_counter()
    await work()
    seconds = time.perf_counter() - begun
    stop.set()
    await busy
    return seconds, took


async def retention(server: BenchServer, options: argparse.Namespace) -> list[list[str]]:
    """Measure each way on a table of its own, made alike."""
    rows = []
    for name in ("nobody", "cleanup.tables", "cleanup.tables, rest = 0", "plain DELETE"):
        with server.database() as dsn:
            await fill(dsn, options)

            async def wait() -> None:
                await asyncio.sleep(options.calm)

            async def delete(dsn: str = dsn) -> None:
                connection = await asyncpg.connect(dsn)
                await connection.execute("DELETE FROM metric WHERE at < now() - interval '30 days'")
                await connection.close()

            async def clear(dsn: str = dsn, rest: float = 0.0 if "0" in name else 1.0) -> None:
                rule = TableRule(table="metric", column="at", keep=timedelta(days=30), rest=rest)
                await tables.function(
                    run_context(tables, settings=Settings(tables=(rule,)), database_url=dsn)
                )

            work = {"nobody": wait, "plain DELETE": delete}.get(name, clear)
            took, latencies = await beside(dsn, options, work)
            left = await count(dsn, "metric")
        rows.append(
            [
                name,
                "-" if name == "nobody" else f"{took:.1f}",
                *(ms(percentile(latencies, share)) for share in (0.5, 0.99)),
                ms(max(latencies)),
                f"{options.rows - left:,}",
            ]
        )
    return rows


async def fill(dsn: str, options: argparse.Namespace) -> None:
    connection = await asyncpg.connect(dsn)
    text = FILL.format(rows=options.rows, expired=options.expired)
    for statement in filter(str.strip, text.split(";")):
        await connection.execute(statement, timeout=600)
    await connection.close()


async def count(dsn: str, table: str) -> int:
    connection = await asyncpg.connect(dsn)
    found = await connection.fetchval(f"SELECT count(*) FROM {table}", timeout=600)
    await connection.close()
    return int(found)


async def expired_sessions(server: BenchServer, options: argparse.Namespace) -> list[list[str]]:
    """Delete Django's sessions, alone and while somebody holds a snapshot."""
    rows = []
    for held in (False, True):
        with server.database() as dsn:
            connection = await asyncpg.connect(dsn)
            await connection.execute(query("demo_session_table"))
            await connection.execute(
                "INSERT INTO django_session SELECT md5(n::text), repeat('x', 200),"
                " now() - n * interval '1 second' FROM generate_series(1, $1::int) AS n",
                options.sessions,
                timeout=600,
            )
            await connection.execute("VACUUM ANALYZE django_session")
            async with snapshot(dsn) if held else contextlib.nullcontext():
                begun = time.perf_counter()
                run = run_context(sessions, settings=Settings(), database_url=dsn)
                result: Any = await sessions.function(run)
                took = time.perf_counter() - begun
            await connection.close()
        what = "while a snapshot is held" if held else "alone"
        rows.append([what, f"{took:.1f}", f"{result['deleted']:,}"])
    return rows


@asynccontextmanager
async def snapshot(dsn: str) -> AsyncIterator[None]:
    connection = await asyncpg.connect(dsn)
    async with connection.transaction(isolation="repeatable_read"):
        await connection.fetchval("SELECT count(*) FROM django_session")
        yield
    await connection.close()


def files(options: argparse.Namespace) -> list[list[str]]:
    """Sweep so many log files of a year ago."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "logs"
        root.mkdir()
        for n in range(options.files):
            path = root / f"app-{n}.log"
            path.write_bytes(b"a line\n")
            os.utime(path, (1e9, 1e9))
        rule = LogRule(path=f"{root}/*.log", min_keep=0)
        settings = Settings(logs_roots=(str(root),), logs=(rule,))
        begun = time.perf_counter()
        result: Any = logs.function(run_context(logs, {"confirm": True}, settings=settings))
        return [[f"{result['deleted']:,}", f"{time.perf_counter() - begun:.1f}"]]


def bounded(
    measured: Coroutine[Any, Any, list[list[str]]], options: argparse.Namespace
) -> list[list[str]]:
    """Return what was measured; raise TimeoutError where it takes too long."""

    async def waited() -> list[list[str]]:
        async with asyncio.timeout(60 * options.minutes):
            return await measured

    return asyncio.run(waited())


def table(head: list[str], rows: list[list[str]]) -> None:
    """Print a table of Markdown."""
    for row in [head, ["---"] * len(head), *rows]:
        print("| " + " | ".join(row) + " |")
    print()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What cleanup costs")
    parser.add_argument("parts", nargs="*", default=PARTS, metavar="PART")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--expired", type=int, default=1_000_000)
    parser.add_argument("--sessions", type=int, default=400_000)
    parser.add_argument("--calm", type=float, default=10.0, help="seconds of the client alone")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=30.0, help="of one part, at most")
    options = parser.parse_args()
    if strangers := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(strangers)}; parts are {', '.join(PARTS)}")
    if options.parts != ["files"]:
        with BenchServer() as server:
            if "retention" in options.parts:
                head = ["beside the client", "s", "p50 ms", "p99 ms", "max ms", "rows deleted"]
                table(head, bounded(retention(server, options), options))
            if "sessions" in options.parts:
                rows = bounded(expired_sessions(server, options), options)
                table(["sessions", "s", "deleted"], rows)
    if "files" in options.parts:
        table(["log files deleted", "s"], files(options))


if __name__ == "__main__":
    main()
