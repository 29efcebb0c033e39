"""How fast a program queues runs: one call after another, and many at once.

    .venv/bin/python benchmarks/enqueue.py [--single 2000] [--bulk 20000] [--repeat 3] [--peers]

One client, one connection, each single call committed on its own; nobody works on the queue.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig.adapter import Adapter
from benchmarks.rig.contender import Contender
from benchmarks.rig.program import Bench, Figures, run
from benchmarks.rig.report import Column
from benchmarks.rig.server import BenchServer


def measure(
    server: BenchServer, contender: Contender, variant: str, options: argparse.Namespace
) -> Figures:
    with (
        server.database() as dsn,
        Adapter(contender, "enqueue", dsn=dsn, single=options.single, bulk=options.bulk) as adapter,
    ):
        took = adapter.event("done", 300)
    bulk = took["bulk"]
    return {
        "single": options.single / took["single"],
        "bulk": None if bulk is None else options.bulk / bulk,
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--single", type=int, default=2000)
    parser.add_argument("--bulk", type=int, default=20_000)


BENCH = Bench(
    name="enqueue",
    title="Runs queued by one client",
    columns=(Column("single calls/s", "single", ",.0f"), Column("bulk runs/s", "bulk", ",.0f")),
    measure=measure,
    add_options=add_options,
)

if __name__ == "__main__":
    run(BENCH)
