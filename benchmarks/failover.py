"""The replica that works is killed, or frozen: how long nothing runs, and what is lost or doubled.

    .venv/bin/python benchmarks/failover.py [--repeat 3] [--lease 3s] [--peers]

Two replicas, a job each second. `kill`: SIGKILL of the one that ran last; the gap is from the
signal to the next start of any slot, so up to a second of it is the wait for that slot. `freeze`:
SIGSTOP for longer than the lease, then SIGCONT. A slot is lost when it did not start on either
replica until the end, and doubled when it started more than once. `rerun`: a job of 5 s whose
replica is killed 1.5 s after its start; the time from the signal to its second start.
"""

import argparse
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig.adapter import Adapter, AdapterError
from benchmarks.rig.contender import Contender
from benchmarks.rig.program import Bench, Figures, run
from benchmarks.rig.report import Column
from benchmarks.rig.server import BenchServer

CASES = ("kill", "freeze", "rerun")


def measure(
    server: BenchServer, contender: Contender, variant: str, options: argparse.Namespace
) -> Figures:
    bench = "rerun" if variant == "rerun" else "on_time"
    wanted = {"live": True, "lease": options.lease}
    with server.database() as dsn:
        wanted["dsn"] = dsn
        with Adapter(contender, bench, declare=True, **wanted) as one:
            one.event("ready")
            with Adapter(contender, bench, declare=False, **wanted) as other:
                other.event("ready")
                if variant == "rerun":
                    return rerun(one, other, options)
                return strike(variant, [one, other], options)


def strike(case: str, pair: list[Adapter], options: argparse.Namespace) -> Figures:
    """Kill or freeze the one that ran last, and watch on."""
    time.sleep(options.before)
    last = max(pair, key=lambda adapter: max((e["at"] for e in ran(adapter)), default=0.0))
    began, struck = int(time.time() - options.before / 2), time.time()
    last.signal(signal.SIGKILL if case == "kill" else signal.SIGSTOP)
    if case == "freeze":
        time.sleep(options.freeze)
        last.signal(signal.SIGCONT)
    time.sleep(options.after)
    end = int(time.time() - 3.0)  # the last slots may still be on their way
    starts = [e for adapter in pair for e in ran(adapter)]
    after = [e["at"] for e in starts if e["at"] > struck + 0.001]
    slots = [int(e["at"] if e["key"] is None else e["key"]) for e in starts]
    each = Counter(s for s in slots if began < s <= end)
    return {
        "gap": min(after) - struck if after else None,
        "lost": end - began - len(each),
        "doubled": sum(n - 1 for n in each.values()),
        "slots": end - began,
    }


def ran(adapter: Adapter) -> list[dict[str, Any]]:
    """Return all starts that a replica has told of so far."""
    return [e for e in adapter.heard() if e["event"] == "ran"]


def rerun(one: Adapter, other: Adapter, options: argparse.Namespace) -> Figures:
    """Kill the one that has the job, and wait for its second start."""
    pair = [one, other]
    other.say("queue")
    end = time.monotonic() + 30
    while not any(ran(adapter) for adapter in pair):
        if time.monotonic() > end:
            raise AdapterError(f"{one.name}: the job did not start in 30 s")
        time.sleep(0.02)
    time.sleep(1.5)
    first = next(adapter for adapter in pair if ran(adapter))
    second = other if first is one else one
    first.signal(signal.SIGKILL)
    killed = time.time()
    end = time.monotonic() + options.patience
    while not ran(second):
        if time.monotonic() > end:
            raise AdapterError(f"{one.name}: not run again within {options.patience:g} s")
        time.sleep(0.01)
    return {"rerun": ran(second)[0]["at"] - killed}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--lease", default="3s", help="Sereno's")
    parser.add_argument("--before", type=float, default=6.0, help="seconds of calm")
    parser.add_argument("--freeze", type=float, default=10.0, help="seconds of SIGSTOP")
    parser.add_argument("--after", type=float, default=8.0, help="seconds watched after it")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds for a rerun")


BENCH = Bench(
    name="failover",
    title="The working replica killed or frozen",
    columns=(
        Column("gap s", "gap", ".2f"),
        Column("slots", "slots", ".0f"),
        Column("lost", "lost", ".0f"),
        Column("doubled", "doubled", ".0f"),
        Column("run again after s", "rerun", ".2f"),
    ),
    measure=measure,
    add_options=add_options,
    varied="case",
    variants=lambda options: options.cases.split(","),
)

if __name__ == "__main__":
    run(BENCH)
