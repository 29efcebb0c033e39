"""Many queued runs cancelled by one filter: how long it takes, and how late a job a second is.

    .venv/bin/python benchmarks/bulk.py [--runs 1000000] [--seconds 60] [--repeat 1]

The runs wait for an instant that does not come. They are counted before and after: whatever the
leader has said to have changed, is changed. Lateness is from the slot to the job's first line, by
this machine's clock; beside it stands that of so many seconds in which nothing is cancelled.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.servers.waiting import wait_until

from benchmarks.apps import replica, said, ticks
from benchmarks.rig.contender import Contender
from benchmarks.rig.program import Bench, Figures, run
from benchmarks.rig.report import Column, ms, spread
from benchmarks.rig.server import BenchServer
from sereno import RunFilter, SyncClient

FILL = """
SELECT count(*) FROM sereno.enqueue_many('bench.tick', array_fill('{}'::jsonb, ARRAY[10000]),
                                         run_at => now() + interval '30 days')
"""
KNOWN = "SELECT true FROM sereno.watermark"
STATES = "SELECT count(*) FROM sereno.run WHERE job = 'bench.tick' AND state = 'cancelled'"


def measure(
    server: BenchServer, contender: Contender, variant: str, options: argparse.Namespace
) -> Figures:
    wanted = 0 if variant.startswith("nothing") else options.runs
    with server.database() as dsn, tempfile.TemporaryDirectory() as place:
        with replica(dsn, Path(place)) as log:
            said(log, "leading")
            with psycopg.connect(dsn, autocommit=True) as connection:
                wait_until(lambda: connection.execute(KNOWN).fetchone(), "the job to be known")
                for _ in range(0, wanted, 10_000):
                    connection.execute(FILL)
                connection.execute("ANALYZE sereno.run")
            time.sleep(options.settle)
            begin, began = int(time.time()) + 1, time.monotonic()
            if wanted:
                done = cancelled(dsn, wanted)
            else:
                done = 0
                time.sleep(options.seconds)
            end, took = max(begin, int(time.time())), time.monotonic() - began
            found = ticks(dsn, begin, end)
        with psycopg.connect(dsn) as connection:
            [changed] = connection.execute(STATES).fetchone() or (0,)
    late = [seconds for _, seconds in found]
    return {
        "seconds": took,
        "rate": done / took,
        "wrong": float(abs(changed - done) + abs(wanted - done)),
        **spread(late),
        "lost": end - begin - len({slot for slot, _ in found}),
    }


def cancelled(dsn: str, runs: int) -> int:
    """Have `runs` runs cancelled, and return how many the leader says that it has."""
    with SyncClient.open(dsn) as client:
        wanted = RunFilter(job="bench.tick", states=("queued",), causes=("program",))
        bulk = client.start_bulk("cancel", wanted, reason="a bench", expect=runs)
        while not bulk.over:
            time.sleep(0.5)
            bulk = client.bulk(bulk.id)
        return bulk.done


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=1_000_000, help="a multiple of 10,000")
    parser.add_argument("--seconds", type=float, default=60.0, help="of the time beside")
    parser.add_argument("--settle", type=float, default=5.0, help="seconds before the first")


BENCH = Bench(
    name="bulk",
    title="Queued runs cancelled by one filter",
    columns=(
        Column("s", "seconds", ".0f"),
        Column("runs/s", "rate", ",.0f"),
        Column("wrong", "wrong", ".0f"),
        Column("a job a second: p50 ms", "p50", ms),
        Column("p99 ms", "p99", ms),
        Column("max ms", "max", ms),
        Column("slots not run", "lost", ".0f"),
    ),
    measure=measure,
    add_options=add_options,
    variants=lambda options: ["nothing", f"{options.runs:,} runs"],
)

if __name__ == "__main__":
    run(BENCH)
