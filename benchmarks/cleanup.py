"""What cleanup costs, and what others notice of it: rows of a large table, sessions, log files.

    .venv/bin/python benchmarks/cleanup.py [retention|sessions|files ...] [--rows 10000000]

Retention: `--expired` of `--rows` rows go while a second client reads and changes single rows, one
transaction after another: its latencies before and meanwhile. By `cleanup.tables`, by it without
rest, and by one plain DELETE, each in a table of its own, one at a time (at the full size 3 GB of
disk, and some minutes). Sessions: so many expired ones, alone and while somebody holds a snapshot.
Files: so many expired log files in one directory (of TMPDIR), beside unlink alone, without and with
an archive. What asks a
database goes on for `--minutes` at most.
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


async def client(dsn: str, rows: int, expired: int) -> None:
    """Read one row and change another in each transaction; print its begin and its seconds."""
    chance = random.Random(1)
    connection = await asyncpg.connect(dsn)
    while True:
        begun = time.monotonic()
        async with connection.transaction():
            await connection.fetch(
                "SELECT * FROM metric WHERE id = $1", chance.randint(expired + 1, rows)
            )
            await connection.execute(
                "UPDATE metric SET value = value + 1 WHERE id = $1",
                chance.randint(expired + 1, rows),
            )
        print(begun, time.monotonic() - begun, flush=True)
        await asyncio.sleep(0.002)


async def beside(
    dsn: str, options: argparse.Namespace, work: Callable[[], Awaitable[object]]
) -> tuple[float, list[float], list[float]]:
    """Do `work` while a client is busy, a process of its own.

    Returns the seconds it took, and the client's latencies before and meanwhile: side by side,
    since what else the machine does changes.
    """
    words = (__file__, "client", dsn, str(options.rows), str(options.expired))
    busy = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=asyncio.subprocess.PIPE
    )
    assert busy.stdout is not None
    await busy.stdout.readline()  # it is connected
    told = asyncio.create_task(busy.communicate())
    await asyncio.sleep(2)  # until it has what it reads in memory
    calm = time.monotonic()
    await asyncio.sleep(options.calm)
    begun = time.monotonic()
    await work()
    ended = time.monotonic()
    busy.terminate()
    out, _ = await told
    lines = [tuple(map(float, line.split())) for line in out.splitlines()[:-1]]
    before = [took for at, took in lines if calm <= at < begun]
    meanwhile = [took for at, took in lines if begun <= at < ended]
    return ended - begun, before, meanwhile


async def retention(server: BenchServer, options: argparse.Namespace) -> list[list[str]]:
    """Measure each way on a table of its own, made alike."""
    rows = []
    for name, rest in (("cleanup.tables", 1.0), ("without rest", 0.0), ("plain DELETE", None)):
        with server.database() as dsn:
            await fill(dsn, options)

            async def work(dsn: str = dsn, rest: float | None = rest) -> None:
                await (delete(dsn) if rest is None else clear(dsn, rest))

            took, before, meanwhile = await beside(dsn, options, work)
            left = await count(dsn, "metric")
        cells = [*latencies(before), *latencies(meanwhile)]
        rows.append([name, f"{options.rows - left:,}", f"{took:.1f}", *cells])
    return rows


def latencies(found: list[float]) -> list[str]:
    """Return p50, p99 and the longest; dashes where the client had no transaction meanwhile."""
    if not found:
        return ["-"] * 3
    return [ms(figure) for figure in (percentile(found, 0.5), percentile(found, 0.99), max(found))]


async def delete(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("DELETE FROM metric WHERE at < now() - interval '30 days'")
    await connection.close()


async def clear(dsn: str, rest: float) -> None:
    rule = TableRule(table="metric", column="at", keep=timedelta(days=30), rest=rest)
    settings = Settings(tables=(rule,))
    await tables.function(run_context(tables, settings=settings, database_url=dsn))


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
    """Sweep so many log files of a year ago, after as many were deleted by nothing but unlink."""
    rows = []
    for kept in (False, True):
        with tempfile.TemporaryDirectory() as place:
            root = Path(place) / "logs"
            root.mkdir()
            paths = [root / f"app-{n}.log" for n in range(options.files)]
            write(paths)
            begun = time.perf_counter()
            for path in paths:
                os.unlink(path)
            plain = time.perf_counter() - begun
            write(paths)
            archive = f"{place}/kept" if kept else None
            rule = LogRule(path=f"{root}/*.log", min_keep=0, archive=archive)
            settings = Settings(
                logs_roots=(str(root),), logs=(rule,), logs_max_files=2 * len(paths)
            )
            begun = time.perf_counter()
            result: Any = logs.function(run_context(logs, {"confirm": True}, settings=settings))
            took = time.perf_counter() - begun
        what = "archived and deleted" if kept else "deleted"
        rows.append([what, f"{result['deleted']:,}", f"{plain:.1f}", f"{took:.1f}"])
    return rows


def write(paths: list[Path]) -> None:
    for path in paths:
        path.write_bytes(b"a line\n")
        os.utime(path, (1e9, 1e9))


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
                head = [
                    *("way", "rows deleted", "s", "alone: p50 ms", "p99", "max"),
                    *("meanwhile: p50 ms", "p99", "max"),
                ]
                table(head, bounded(retention(server, options), options))
            if "sessions" in options.parts:
                rows = bounded(expired_sessions(server, options), options)
                table(["sessions", "s", "deleted"], rows)
    if "files" in options.parts:
        table(["log files", "how many", "by unlink alone, s", "by cleanup.logs, s"], files(options))


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        asyncio.run(client(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
    else:
        main()
