"""So many queued no-op runs, taken by one process: runs a second to the last record.

    .venv/bin/python benchmarks/drain.py [--sizes 20000] [--repeat 3] [--peers]

The queue is filled before the worker starts. The time is from the first job's first line to when a
client that asks all the time finds the last outcome in the database; CPU is that of the same time.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig.adapter import Adapter
from benchmarks.rig.contender import Contender
from benchmarks.rig.program import Bench, Figures, run
from benchmarks.rig.records import Records
from benchmarks.rig.report import Column
from benchmarks.rig.server import BenchServer, execute

PATIENCE = 180.0


def measure(
    server: BenchServer, contender: Contender, variant: str, options: argparse.Namespace
) -> Figures:
    n = int(variant.replace(",", ""))
    with server.database() as dsn, Adapter(contender, "drain", dsn=dsn, n=n) as adapter:
        recorded = adapter.event("ready", PATIENCE)["recorded"]
        if options.analyze:
            execute(dsn, "VACUUM ANALYZE")
        with Records(dsn, recorded) as records:
            adapter.say("go")
            first = adapter.event("first", PATIENCE)
            before = adapter.cpu_seconds(), server.cpu_seconds()
            adapter.event("all", PATIENCE)
            last = records.reach(n)
        own, postgres = adapter.cpu_seconds() - before[0], server.cpu_seconds() - before[1]
        adapter.say("stop")
        starts = adapter.event("starts", PATIENCE)["starts"]
    begun = min(at for _, at in starts)
    ended = max(at for _, at in starts) if last is None else last
    each = Counter(key for key, _ in starts)
    return {
        "seconds": ended - begun,
        "rate": n / (ended - begun),
        "lost": n - len(each),
        "doubled": sum(c - 1 for c in each.values()),
        "cpu": own,
        "postgres_cpu": postgres,
        "cpu_us": 1e6 * own / n,
        "cpu_before_first": first["cpu"],
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", default="20000", help="how many runs, with commas")
    parser.add_argument(
        "--analyze", action="store_true", help="VACUUM ANALYZE the full queue first"
    )


BENCH = Bench(
    name="drain",
    title="Queued no-op runs, taken by one process",
    columns=(
        Column("runs/s", "rate", ",.0f"),
        Column("CPU s", "cpu", ".2f"),
        Column("CPU µs a run", "cpu_us", ".0f"),
        Column("PostgreSQL CPU s", "postgres_cpu", ".2f"),
        Column("lost", "lost", ".0f"),
        Column("doubled", "doubled", ".0f"),
    ),
    measure=measure,
    add_options=add_options,
    variants=lambda options: [f"{int(s):,}" for s in options.sizes.split(",")],
)

if __name__ == "__main__":
    run(BENCH)
