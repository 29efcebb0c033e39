"""What many replicas ask of one PostgreSQL: statements, rows and messages a second.

    .venv/bin/python benchmarks/nodes.py [--nodes 1,10,100] [--seconds 20] [--rate 20]

Each node is a process of its own with the defaults: one leads, the others wait for the lead and may
be handed runs of a plain function. They are watched with nothing queued, and with `--rate` runs
queued a second. Statements and rows are what pg_stat_statements counts, whoever asked; a message is
one NOTIFY that was sent, a wake-up one that reached a session: each session that listens to its
channel is woken.
"""

import argparse
import asyncio
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.replicas import LEADING, MIGRATED, OFFERING, replica, until
from benchmarks.rig.server import BenchServer, execute

COUNTED = """
SELECT sum(calls)::float8, sum(rows)::float8,
       coalesce(sum(calls) FILTER (WHERE query LIKE '%pg_locks%' OR query LIKE '%advisory%'), 0)::float8
  FROM pg_stat_statements
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""  # noqa: E501
CHANNELS = "SELECT 'sereno' UNION ALL SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'sereno%'"  # noqa: E501
ENQUEUE = "SELECT sereno.enqueue('replicas.compute')"
TOGETHER = 5
PRELOADED = {"shared_preload_libraries": "pg_stat_statements", "max_connections": "1000"}


class Watched:
    """What has been asked of the server, and how many messages were sent, since it was made."""

    def __init__(self, server: BenchServer, dsn: str, listener: "psycopg.Connection[tuple[str]]"):
        self._server = server
        self._dsn = dsn
        self._listener = listener
        self._began = time.monotonic()
        self._before = self._now()

    def _now(self) -> tuple[float, ...]:
        return (*execute(self._dsn, COUNTED)[0], self._server.cpu_seconds())

    def rates(self, nodes: int) -> dict[str, float]:
        """Return each figure for a second."""
        sent = [n.channel for n in self._listener.notifies(timeout=0.2)]
        passed = time.monotonic() - self._began
        grown = [b - a for a, b in zip(self._before, self._now(), strict=True)]
        common = sent.count("sereno")
        figures = dict(zip(("statements", "rows", "of locks", "processor"), grown, strict=True))
        figures |= {"messages": len(sent), "wake-ups": common * nodes + len(sent) - common}
        return {name: value / passed for name, value in figures.items()}


async def queue(dsn: str, rate: float, seconds: float) -> None:
    """Queue so many runs a second."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await connection.execute(ENQUEUE.encode())
            await asyncio.sleep(1 / rate)


def measure(server: BenchServer, nodes: int, options: argparse.Namespace) -> None:
    """Print what so many nodes ask for, idle and with work."""
    with server.database() as dsn, ExitStack() as stack:
        execute(dsn, "CREATE EXTENSION pg_stat_statements")
        for n in range(nodes):
            stack.enter_context(replica(dsn, 2))
            if n == 0:
                until(dsn, MIGRATED, 3)
                until(dsn, LEADING, 1)
            elif n % TOGETHER == 0:
                until(dsn, OFFERING, n)  # not all start at once: that would measure the machine
        until(dsn, OFFERING, nodes)
        listener = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        for (channel,) in execute(dsn, CHANNELS):
            listener.execute(f'LISTEN "{channel}"'.encode())
        time.sleep(options.settle)
        for rate in (0.0, options.rate):
            watched = Watched(server, dsn, listener)
            if rate:
                asyncio.run(queue(dsn, rate, options.seconds))
            else:
                time.sleep(options.seconds)
            found = watched.rates(nodes)
            cells = " | ".join(f"{value:,.2f}" for value in found.values())
            print(f"| {nodes} | {rate:g} | {cells} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="What many replicas ask of PostgreSQL.")
    parser.add_argument("--nodes", default="1,10,100")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--settle", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=20.0, help="runs queued a second")
    parser.add_argument("--postgres", type=int)
    options = parser.parse_args()
    with BenchServer(options.postgres, PRELOADED) as server:
        print(
            "| nodes | runs/s | " + " | ".join(TITLES) + " |\n" + "|---" * (len(TITLES) + 2) + "|"
        )
        for nodes in options.nodes.split(","):
            measure(server, int(nodes), options)


TITLES = (
    "statements/s",
    "rows/s",
    "of these, statements that look at a lock",
    "PostgreSQL CPU s a second",
    "messages/s",
    "wake-ups/s",
)


if __name__ == "__main__":
    main()
