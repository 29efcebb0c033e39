"""One ad-hoc run on an idle system: from the enqueue call to the job's first line.

    .venv/bin/python benchmarks/latency.py [--n 300] [--repeat 3] [--peers]

Caller and worker share a process and its loop; each call is made 30 to 130 ms after the last start.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig.adapter import Adapter
from benchmarks.rig.contender import Contender
from benchmarks.rig.program import Bench, Figures, run
from benchmarks.rig.report import Column, ms, spread
from benchmarks.rig.server import BenchServer


def measure(
    server: BenchServer, contender: Contender, variant: str, options: argparse.Namespace
) -> Figures:
    with (
        server.database() as dsn,
        Adapter(contender, "latency", dsn=dsn, n=options.n, settle=options.settle) as adapter,
    ):
        took = adapter.event("latencies", 60 + options.n)["seconds"]
        faults = adapter.major_faults()
    return {
        **spread(took),
        "faults": faults,
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--n", type=int, default=300)
    parser.add_argument("--settle", type=float, default=2.0, help="idle seconds before")


BENCH = Bench(
    name="latency",
    title="Enqueue to start on an idle system",
    columns=(
        Column("p50 ms", "p50", ms),
        Column("p99 ms", "p99", ms),
        Column("max ms", "max", ms),
        Column("major faults since its start", "faults", ".0f"),
    ),
    measure=measure,
    add_options=add_options,
)

if __name__ == "__main__":
    run(BENCH)
