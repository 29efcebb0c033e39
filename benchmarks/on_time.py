"""One job a second on an otherwise idle system: how late each start is.

    .venv/bin/python benchmarks/on_time.py [--seconds 60] [--repeat 3] [--peers]

Lateness is from the slot to the job's first line. Where a peer does not tell its job the slot, it
is from the last full second, and a whole second more would not be seen.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig.adapter import Adapter
from benchmarks.rig.contender import Contender
from benchmarks.rig.program import Bench, Figures, run
from benchmarks.rig.report import Column, ms, spread
from benchmarks.rig.server import BenchServer

PATIENCE = 5.0
"""Seconds until what has not started is counted as lost."""


def measure(
    server: BenchServer, contender: Contender, variant: str, options: argparse.Namespace
) -> Figures:
    with server.database() as dsn, Adapter(contender, "on_time", dsn=dsn) as adapter:
        adapter.event("ready")
        time.sleep(options.settle)
        begin, faults = time.time(), adapter.major_faults()
        time.sleep(options.seconds)
        end, faults = time.time(), adapter.major_faults() - faults
        time.sleep(PATIENCE)  # what was due in the last second may start late
        adapter.say("stop")
        starts = adapter.event("starts")["starts"]
    first, last = int(begin) + 1, int(end)
    found = [(slot, at) for slot, at in starts if first <= (slot or at) < last]
    late = [at - (slot if slot is not None else int(at)) for slot, at in found]
    slots = {int(slot if slot is not None else at) for slot, at in found}
    return {
        **spread(late),
        "lost": last - first - len(slots),
        "doubled": len(found) - len(slots),
        "faults": faults,
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument(
        "--settle", type=float, default=3.0, help="seconds before the first counted"
    )


BENCH = Bench(
    name="on_time",
    title="One job a second",
    columns=(
        Column("p50 ms", "p50", ms),
        Column("p99 ms", "p99", ms),
        Column("max ms", "max", ms),
        Column("slots not run", "lost", ".0f"),
        Column("doubled", "doubled", ".0f"),
        Column("major faults", "faults", ".0f"),
    ),
    measure=measure,
    add_options=add_options,
    notes=(
        (
            "Major faults: waits for memory of its own that the host had taken from it while it "
            "slept; each may cost milliseconds."
        ),
    ),
)

if __name__ == "__main__":
    run(BENCH)
