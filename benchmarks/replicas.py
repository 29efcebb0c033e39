"""Runs that compute 5 ms, taken by one replica and by three; and how late slots begin elsewhere.

    .venv/bin/python benchmarks/replicas.py [--runs 1500] [--threads 10] [--seconds 30] [--repeat 3]

Each replica is a process of its own. `compute`: so many runs are queued at once; the time is from
then to the last outcome in the database. `late`: two async jobs each second, of which one works on
the leader and one on a replica with a label; lateness is what the run's row says.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import psycopg

from benchmarks.apps import OTHERS
from benchmarks.rig.report import lateness
from benchmarks.rig.server import BenchServer, execute

ROOT = Path(__file__).parents[1]
PATIENCE = 120.0
MIGRATED = (  # the columns of what a node offers
    "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'sereno'"
    " AND table_name = 'node' AND column_name IN ('places', 'labels', 'declared')"
)
OFFERING = "SELECT count(*) FROM sereno.node WHERE places IS NOT NULL"
LEADING = "SELECT count(*) FROM sereno.job WHERE name = 'replicas.compute'"
ENQUEUE = "SELECT count(sereno.enqueue('replicas.compute')) FROM generate_series(1, {n})"
OVER = "SELECT count(*) FROM sereno.run WHERE job = 'replicas.compute' AND state = 'succeeded'"
TOOK = (
    "SELECT extract(epoch FROM max(finished_at) - min(queued_at))::float8,"
    " count(DISTINCT node), max(attempt) FROM sereno.run WHERE job = 'replicas.compute'"
)
LATE = (
    "SELECT job, extract(epoch FROM started_at - slot)::float8 * 1000 FROM sereno.run"
    " WHERE slot IS NOT NULL AND state = 'succeeded'"
)


@contextmanager
def program(*words: str, **environment: str) -> Iterator[None]:
    """Run a module, and stop it."""
    popen = subprocess.Popen(
        [sys.executable, "-m", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'kernel'}:{ROOT}", **environment},
    )
    try:
        yield
    finally:
        popen.terminate()
        popen.wait(60)


def replica(dsn: str, threads: int, labels: str = "[]") -> AbstractContextManager[None]:
    """Run a replica, and stop it."""
    return program(
        "sereno",
        "run",
        SERENO_DATABASE_URL=dsn,
        SERENO_MODULES='["benchmarks.replicas_plugin"]',
        SERENO_HTTP__PORT="0",
        SERENO_THREADS=str(threads),
        SERENO_NODE_LABELS=labels,
        SERENO_DISABLED_PLUGINS=",".join(OTHERS),  # and so no app beside each
    )


def until(dsn: str, query: str, least: int, patience: float = PATIENCE) -> None:
    """Wait until the first value of `query` is as large; asked over one connection and no oftener
    than shows, as what asks takes from what is measured."""
    end = time.monotonic() + patience
    with psycopg.connect(dsn, autocommit=True) as connection:
        while (connection.execute(query.encode()).fetchone() or (0,))[0] < least:
            if time.monotonic() > end:
                raise TimeoutError(f"in vain for {least}: {query}")
            time.sleep(0.25)


def started(stack: ExitStack, dsn: str, replicas: int, threads: int) -> None:
    """Start replicas, the first of which leads, and wait until they may be handed runs."""
    for n in range(replicas):
        stack.enter_context(replica(dsn, threads, '["there"]' if n else "[]"))
        until(dsn, MIGRATED, 3)
        until(dsn, OFFERING, n + 1)
        until(dsn, LEADING, 1)


def compute(server: BenchServer, replicas: int, options: argparse.Namespace) -> float:
    """Return the runs a second of so many replicas."""
    with server.database() as dsn, ExitStack() as stack:
        started(stack, dsn, replicas, options.threads)
        execute(dsn, ENQUEUE.format(n=4 * replicas * options.threads))  # all are warm
        until(dsn, OVER, 4 * replicas * options.threads)
        execute(dsn, "DELETE FROM sereno.run WHERE job = 'replicas.compute'")
        execute(dsn, ENQUEUE.format(n=options.runs))
        until(dsn, OVER, options.runs)
        ((seconds, nodes, attempts),) = execute(dsn, TOOK)
        assert attempts == 1, attempts
        rate = options.runs / seconds
        print(f"{replicas} replicas, {nodes} at work: {rate:,.0f} runs/s")
        return rate


def late(server: BenchServer, options: argparse.Namespace) -> dict[str, list[float]]:
    """Return by job how late its runs began, in ms."""
    with server.database() as dsn, ExitStack() as stack:
        started(stack, dsn, 2, options.threads)
        time.sleep(options.seconds)
        rows = execute(dsn, LATE)
    found: dict[str, list[float]] = {}
    for job, ms in rows:
        found.setdefault(job, []).append(ms)
    return {job: found[job][3:] for job in sorted(found)}


def main() -> None:
    parser = argparse.ArgumentParser(description="What more replicas carry.")
    parser.add_argument("--runs", type=int, default=1500)
    parser.add_argument("--threads", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--postgres", type=int)
    options = parser.parse_args()
    with BenchServer(options.postgres, {}) as server:
        rates: dict[int, list[float]] = {1: [], 3: []}
        for _ in range(options.repeat):
            for replicas, found in rates.items():
                found.append(compute(server, replicas, options))
        one, three = (statistics.median(found) for found in rates.values())
        print(f"three replicas are {three / one:.2f} times one, of {options.repeat} each")
        for job, found in late(server, options).items():
            print(f"{job}: {lateness(found)}")


if __name__ == "__main__":
    main()
