"""So many schedules due at the same second: how late they start, and when all of it is recorded.

    .venv/bin/python benchmarks/burst.py [--sizes 2000,10000] [--repeat 3] [--peers]

No-op async jobs. Lateness is from the second at which all are due to a job's first line, by one
clock. All recorded: when a client that asks all the time finds each run's outcome in the database
(for Sereno its slot's verdict too).
"""

import argparse
import math
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig.adapter import Adapter, AdapterError
from benchmarks.rig.contender import Contender
from benchmarks.rig.program import Bench, Figures, run
from benchmarks.rig.records import Records
from benchmarks.rig.report import Column, spread
from benchmarks.rig.server import BenchServer

PATIENCE = 90.0
LONGEST_LEAD = 300.0
READY_BEFORE = 0.5
"""Seconds before the instant by which a contender must be ready for it."""


def measure(
    server: BenchServer, contender: Contender, variant: str, options: argparse.Namespace
) -> Figures:
    """Measure one burst; where the start took longer than the lead, again with twice the lead."""
    lead = options.lead + int(variant.replace(",", "")) * options.lead_each
    while True:
        figures = burst(server, contender, int(variant.replace(",", "")), lead, options)
        if figures is not None:
            return figures
        lead *= 2
        if lead > LONGEST_LEAD:
            raise AdapterError(f"{contender.name} was not ready in {lead / 2:.0f} s")


def burst(
    server: BenchServer, contender: Contender, n: int, lead: float, options: argparse.Namespace
) -> Figures | None:
    """Measure `n` schedules due in `lead` seconds; None when they were due too soon."""
    with server.database() as dsn:
        due = float(math.ceil((time.time() + lead) / contender.align) * contender.align)
        wanted = {
            "n": n,
            "due": due,
        }
        if options.max_running is not None:
            wanted["max_running"] = options.max_running
        with Adapter(contender, "burst", dsn=dsn, **wanted) as adapter:
            ready = adapter.event("ready", lead + 300)
            margin = due - time.time()
            if margin < READY_BEFORE:
                return None
            with Records(dsn, ready["recorded"]) as records:
                time.sleep(max(0.0, margin - 0.25))
                before = adapter.cpu_seconds(), server.cpu_seconds()
                adapter.event("all", margin + PATIENCE)
                recorded = records.reach(n)
            own, postgres = adapter.cpu_seconds() - before[0], server.cpu_seconds() - before[1]
            adapter.say("stop")
            starts = adapter.event("starts", 60)["starts"]
    late = [at - due for _, at in starts]
    each = Counter(key for key, _ in starts)
    return {
        "margin": margin,
        **spread(late),
        "recorded": None if recorded is None else recorded - due,
        "lost": n - len(each),
        "doubled": sum(c - 1 for c in each.values()),
        "cpu": own,
        "postgres_cpu": postgres,
    }


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sizes", default="2000,10000", help="how many schedules, with commas")
    parser.add_argument("--max-running", type=int, help="Sereno's setting; default: the size")
    parser.add_argument(
        "--lead", type=float, default=5.0, help="seconds from the start to the burst"
    )
    parser.add_argument("--lead-each", type=float, default=0.002, help="and for each schedule")


BENCH = Bench(
    name="burst",
    title="Schedules due at the same second",
    columns=(
        Column("p50 s", "p50", ".3f"),
        Column("p99 s", "p99", ".3f"),
        Column("last start s", "max", ".3f"),
        Column("all recorded s", "recorded", ".3f"),
        Column("lost", "lost", ".0f"),
        Column("doubled", "doubled", ".0f"),
        Column("CPU s", "cpu", ".2f"),
        Column("PostgreSQL CPU s", "postgres_cpu", ".2f"),
    ),
    measure=measure,
    add_options=add_options,
    variants=lambda options: [f"{int(s):,}" for s in options.sizes.split(",")],
    notes=("CPU is from 0.25 s before the second to the last record, the asking included.",),
)

if __name__ == "__main__":
    run(BENCH)
