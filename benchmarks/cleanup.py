"""What cleanup costs, and what others notice of it: rows of a large table, sessions, log files.

    .venv/bin/python benchmarks/cleanup.py [retention|sessions|files ...] [--rows 10000000]

Retention: `--expired` of `--rows` rows go while two clients read and change single rows, one
transaction after another: one those that stay, one those that go (what a session does that is
renewed at the last moment). Their latencies before, and in `--window` seconds from the beginning
on. With no work at all (how far the machine itself moves them), by `cleanup.tables`, by it while
somebody holds a snapshot, by it without rest, and by one plain DELETE, each in a table of its own,
in turn (at the full size 3 GB of disk, and some minutes a round). Sessions: so many expired ones,
alone and while somebody holds a snapshot. Files: so many expired log files in one directory (of
TMPDIR), beside unlink alone, without and with an archive. What asks a database goes on for
`--minutes` at most.
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
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Self

import asyncpg

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig.report import ms, spread
from benchmarks.rig.server import BenchServer
from sereno.testing import run_context
from sereno_cleanup.logs import logs
from sereno_cleanup.query import query
from sereno_cleanup.sessions import sessions
from sereno_cleanup.settings import REST, LogRule, Settings, TableRule
from sereno_cleanup.tables import tables

EVERY = 0.02
"""Seconds: see `latencies`."""

PARTS = ["retention", "sessions", "files"]

FILL = """
CREATE TABLE metric (id bigint PRIMARY KEY, at timestamptz NOT NULL, seller int, value float8);
INSERT INTO metric
SELECT n, now() - interval '30 days' + (n - {expired} - 1) * interval '1 second', n % 500, n
  FROM generate_series(1, {rows}) AS n;
CREATE INDEX ON metric (at);
VACUUM ANALYZE metric;
"""


async def client(dsn: str, lowest: int, highest: int) -> None:
    """Read one row and change another in each transaction; print its begin and its seconds."""
    chance = random.Random(1)
    connection = await asyncpg.connect(dsn)
    while True:
        begun = time.monotonic()
        async with connection.transaction():
            for statement in (
                "SELECT * FROM metric WHERE id = $1",
                "UPDATE metric SET value = value + 1 WHERE id = $1",
            ):
                await connection.execute(statement, chance.randint(lowest, highest))
        print(begun, time.monotonic() - begun, flush=True)
        await asyncio.sleep(0.002)


@dataclass
class Client:
    """A process that reads and changes rows, and what it says in the end."""

    process: asyncio.subprocess.Process
    said: asyncio.Task[tuple[bytes, bytes]]

    @classmethod
    async def start(cls, dsn: str, lowest: int, highest: int) -> Self:
        """Start one on rows of these numbers; return once it is connected."""
        words = (__file__, "client", dsn, str(lowest), str(highest))
        process = await asyncio.create_subprocess_exec(
            sys.executable, *words, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        await process.stdout.readline()
        return cls(process, asyncio.create_task(process.communicate()))

    async def stop(self) -> list[tuple[float, float]]:
        """End it, and return when each transaction began, and its seconds."""
        self.process.terminate()
        out, _ = await self.said
        lines = [line.split() for line in out.splitlines()[:-1]]
        return [(float(begun), float(took)) for begun, took in lines]


async def beside(
    dsn: str, options: argparse.Namespace, work: Callable[[], Awaitable[object]]
) -> tuple[float, list[str]]:
    """Do `work` while two clients are busy: with rows that stay, and with rows that go.

    Returns the seconds it took, and the latencies of each client before, and in `--window` seconds
    from its begin on (or until it is over): what a statement leaves behind for others to wait for
    counts, too.
    """
    clients = [
        await Client.start(dsn, options.expired + 1, options.rows),
        await Client.start(dsn, 1, options.expired),
    ]
    await asyncio.sleep(options.warm)
    calm = time.monotonic()
    await asyncio.sleep(options.calm)
    begun = time.monotonic()
    await work()
    took = time.monotonic() - begun
    await asyncio.sleep(max(0.0, options.window - took))
    ended = max(begun + options.window, begun + took)
    cells = []
    for one in clients:
        lines = await one.stop()
        cells += latencies([took for at, took in lines if calm <= at < begun])
        cells += latencies([took for at, took in lines if begun <= at < ended])
    return took, cells


async def retention(server: BenchServer, options: argparse.Namespace) -> list[list[str]]:
    """Measure each way on a table of its own, made alike, in turn."""
    rows = []
    for name in options.ways * options.rounds:
        with server.database() as dsn:
            await fill(dsn, options)
            took, cells = await beside(dsn, options, partial(WAYS[name], dsn))
            left = await count(dsn, "metric")
        rows.append([name, f"{options.rows - left:,}", f"{took:.1f}", *cells])
        print(*rows[-1], file=sys.stderr)
    return rows


def latencies(found: list[float]) -> list[str]:
    """Return p50, p99 and the longest in a cell; a dash where there was no transaction.

    A client that waits asks nothing meanwhile: whoever would have come each `EVERY` seconds of a
    long transaction has waited for the rest of it, and counts.
    """
    asked = [took - EVERY * n for took in found for n in range(1 + int(took / EVERY))]
    figures = [ms(figure) for figure in spread(asked).values() if figure is not None]
    return [", ".join(figures) or "-"]


async def delete(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("DELETE FROM metric WHERE at < now() - interval '30 days'")
    await connection.close()


async def clear(dsn: str, rest: float) -> None:
    rule = TableRule(table="metric", column="at", keep=timedelta(days=30), rest=rest)
    settings = Settings(tables=(rule,))
    await tables.function(run_context(tables, settings=settings, database_url=dsn))


async def clear_beside_a_snapshot(dsn: str) -> None:
    async with snapshot(dsn, "metric"):
        await clear(dsn, REST)


WAYS: dict[str, Callable[[str], Awaitable[None]]] = {
    "nothing": lambda _: asyncio.sleep(0),
    "cleanup.tables": partial(clear, rest=REST),
    "the same, a snapshot is held": clear_beside_a_snapshot,
    "the same, without rest": partial(clear, rest=0.0),
    "one plain DELETE": delete,
}


async def fill(dsn: str, options: argparse.Namespace) -> None:
    connection = await asyncpg.connect(dsn)
    text = FILL.format(rows=options.rows, expired=options.expired)
    for statement in [*filter(str.strip, text.split(";")), "CHECKPOINT"]:
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
            async with snapshot(dsn, "django_session") if held else contextlib.nullcontext():
                begun = time.perf_counter()
                run = run_context(sessions, settings=Settings(), database_url=dsn)
                result: Any = await sessions.function(run)
                took = time.perf_counter() - begun
            await connection.close()
        what = "while a snapshot is held" if held else "alone"
        rows.append([what, f"{took:.1f}", f"{result['deleted']:,}"])
    return rows


@asynccontextmanager
async def snapshot(dsn: str, table: str) -> AsyncIterator[None]:
    connection = await asyncpg.connect(dsn)
    async with connection.transaction(isolation="repeatable_read"):
        await connection.fetchval(f"SELECT count(*) FROM {table}", timeout=600)
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


def file_system(place: str) -> str:
    """Name what `place` lies on: on a tmpfs the figures say nothing of a disk."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    inside = [m for m in mounts if Path(place).resolve().is_relative_to(m[1])]
    return max(inside, key=lambda mount: len(mount[1]))[2] if inside else "a disk"


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
    parser.add_argument(
        "--warm",
        type=float,
        default=2.0,
        help="seconds until clients have what they read in memory",
    )
    parser.add_argument("--calm", type=float, default=10.0, help="seconds of the client alone")
    parser.add_argument("--window", type=float, default=30.0, help="seconds of each way")
    parser.add_argument("--rounds", type=int, default=1, help="of retention")
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=WAYS, help="of retention")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=30.0, help="of one part, at most")
    options = parser.parse_args()
    if strangers := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(strangers)}; parts are {', '.join(PARTS)}")
    if options.parts != ["files"]:
        with BenchServer() as server:
            if "retention" in options.parts:
                head = [
                    *("way", "rows deleted", "s", "rows that stay, before: p50, p99, max ms"),
                    *("meanwhile", "rows that go, before", "meanwhile"),
                ]
                table(head, bounded(retention(server, options), options))
            if "sessions" in options.parts:
                rows = bounded(expired_sessions(server, options), options)
                table(["sessions", "s", "deleted"], rows)
    if "files" in options.parts:
        rows = files(options)
        table(["log files", "how many", "by unlink alone, s", "by cleanup.logs, s"], rows)
        print(f"on {file_system(tempfile.gettempdir())}, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        asyncio.run(client(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
    else:
        main()
