"""The replica that works is killed, or frozen: how long nothing runs, and what is lost or doubled.

    .venv/bin/python benchmarks/failover.py [--repeat 3] [--lease 3s] [--every 2] [--peers]

Two replicas, a job each two seconds: one that is due each second is beyond some peers even when
nothing is wrong. `kill`: SIGKILL of the one that ran last; the gap is from the signal to the next
start of any slot, so up to two seconds of it are the wait for that slot. `freeze`: SIGSTOP for
longer than the lease, then SIGCONT. A slot is lost when it did not start on either replica until
the end and nothing says why, recorded when the contender's own books say that it was not to run
(coalesced into one run, skipped, missed), and doubled when it started more than once. `calm`: the
same with nobody killed. `rerun`: a job of 5 s whose replica is killed 1.5 s after its start; the
time from the signal to its second start.
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
from benchmarks.rig.server import BenchServer, execute

CASES = ("calm", "kill", "freeze", "rerun")
STRUCK = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP}


def measure(
    server: BenchServer, contender: Contender, variant: str, options: argparse.Namespace
) -> Figures:
    bench = "rerun" if variant == "rerun" else "on_time"
    wanted = {"live": True, "lease": options.lease, "every": options.every}
    with server.database() as dsn:
        wanted["dsn"] = dsn
        with Adapter(contender, bench, declare=True, **wanted) as one:
            books = one.event("ready").get("not_run")
            with Adapter(contender, bench, declare=False, **wanted) as other:
                other.event("ready")
                if variant == "rerun":
                    return rerun(one, other, options)
                figures, slots = strike(variant, [one, other], options)
                recorded = {row[0] for row in execute(dsn, books)} if books else set()
                left = slots & recorded
                return figures | {"not_run": len(left), "lost": len(slots - left)}


def strike(case: str, pair: list[Adapter], options: argparse.Namespace) -> tuple[Figures, set[int]]:
    """Kill or freeze the one that ran last, and watch on; return also the slots that did not run.

    A slot is the second at which it is due.
    """
    every = options.every
    time.sleep(options.before)
    last = max(pair, key=lambda adapter: max((e["at"] for e in ran(adapter)), default=0.0))
    began, struck = int(time.time() - options.before / 2), time.time()
    if case in STRUCK:
        last.signal(STRUCK[case])
    if case == "freeze":
        time.sleep(options.freeze)
        last.signal(signal.SIGCONT)
    time.sleep(options.after)
    end = int(time.time() - 3.0)  # the last slots may still be on their way
    starts = [e for adapter in pair for e in ran(adapter)]
    after = [e["at"] for e in starts if e["at"] > struck + 0.001]
    # A job that is not told its slot ran for the last one that was due.
    ran_for = [int(e["at"] // every * every if e["key"] is None else e["key"]) for e in starts]
    due = [second for second in range(began + 1, end + 1) if second % every == 0]
    each = Counter(slot for slot in ran_for if slot in set(due))
    figures: Figures = {
        "gap": min(after) - struck if after and case in STRUCK else None,
        "doubled": sum(n - 1 for n in each.values()),
        "slots": len(due),
    }
    return figures, set(due) - set(each)


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
    parser.add_argument("--lease", default="3s", help="Sereno's, where not at its defaults")
    parser.add_argument("--every", type=int, default=2, help="seconds between slots")
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
        Column("recorded as not run", "not_run", ".0f"),
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
