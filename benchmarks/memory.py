"""A million runs through one leader: its memory over a bare asyncio process, and how it grows.

    .venv/bin/python benchmarks/memory.py [--runs 1000000] [--step 100000] [--repeat 1]

Runs are queued and taken at full speed, a step at a time, each with its record and its outcome.
The growth is that of the second half of the steps, by a straight line: what is loaded or filled
once is there by then.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig.adapter import Adapter
from benchmarks.rig.contender import Contender
from benchmarks.rig.process import memory_mb
from benchmarks.rig.program import Bench, Figures, run
from benchmarks.rig.report import Column
from benchmarks.rig.server import BenchServer

BARE = "import asyncio; asyncio.run(asyncio.sleep(10_000))"


def measure(
    server: BenchServer, contender: Contender, variant: str, options: argparse.Namespace
) -> Figures:
    bare, bare_pss = bare_mb()
    with server.database() as dsn, Adapter(contender, "memory", dsn=dsn) as adapter:
        adapter.event("ready")
        time.sleep(options.settle)
        rss, pss = memory_mb(adapter.pid)
        sizes = [rss]
        began = time.monotonic()
        for _ in range(options.runs // options.step):
            adapter.say(f"queue {options.step}")
            adapter.event("done", 600)
            sizes.append(memory_mb(adapter.pid)[0])
        passed = time.monotonic() - began
    later = sizes[len(sizes) // 2 :]
    slope = statistics.linear_regression(range(len(later)), later).slope if len(later) > 1 else 0.0
    figures: Figures = {
        "bare": bare,
        "start": sizes[0],
        "over": sizes[0] - bare,
        "over_pss": pss - bare_pss,
        "after_first": sizes[1],
        "end": sizes[-1],
        "growth": slope * 100_000 / options.step,
        "rate": options.runs / passed,
    }
    return figures | {f"mb_{i * options.step}": size for i, size in enumerate(sizes)}


def bare_mb() -> tuple[float, float]:
    """Return RSS and PSS of a process that only runs a loop."""
    process = subprocess.Popen([sys.executable, "-c", BARE])
    try:
        time.sleep(1.5)
        return memory_mb(process.pid)
    finally:
        process.kill()
        process.wait()


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--step", type=int, default=100_000)
    parser.add_argument("--settle", type=float, default=5.0, help="idle seconds before")


BENCH = Bench(
    name="memory",
    title="Runs through one leader, and its memory",
    columns=(
        Column("bare asyncio MB", "bare", ".1f"),
        Column("idle leader MB", "start", ".1f"),
        Column("over bare MB", "over", ".1f"),
        Column("PSS over bare MB", "over_pss", ".1f"),
        Column("after the first step MB", "after_first", ".1f"),
        Column("at the end MB", "end", ".1f"),
        Column("growth MB per 100,000 runs", "growth", ".2f"),
        Column("runs/s queued and taken", "rate", ",.0f"),
    ),
    measure=measure,
    add_options=add_options,
    variants=lambda options: [f"{options.runs:,} runs"],
    notes=("MB are RSS where no other is named.",),
)

if __name__ == "__main__":
    run(BENCH)
