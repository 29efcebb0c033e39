"""10,000 schedules, none due for a day: what it takes to start, and what a replica takes to wait.

    .venv/bin/python benchmarks/idle.py [--n 10000] [--seconds 30] [--repeat 3] [--peers]

First start: from the process's start on an empty database until it is at work, the schedules kept.
Start: the same again, with the schedules in the database. At work is, for Sereno, that a run which
was queued before begins; for a peer, that its first pass is over or else that its start returned.
Statements are counted in the server's log, which holds all of them in this bench alone.
"""

import argparse
import re
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig.adapter import Adapter
from benchmarks.rig.contender import Contender
from benchmarks.rig.process import memory_mb
from benchmarks.rig.program import Bench, Figures, run
from benchmarks.rig.report import Column
from benchmarks.rig.server import BenchServer

STATEMENT = re.compile(r"^app=(.*?)\|.*LOG:  (?:statement|execute )", re.MULTILINE)
LOGGING = {"log_statement": "all", "log_line_prefix": "app=%a|"}
PATIENCE = 300.0


def measure(
    server: BenchServer, contender: Contender, variant: str, options: argparse.Namespace
) -> Figures:
    with server.database() as dsn:
        wanted = {"dsn": dsn, "n": options.n}
        with Adapter(contender, "idle", declare=True, **wanted) as adapter:
            first = adapter.event("ready", PATIENCE)["heard"] - adapter.began
        with Adapter(contender, "idle", declare=False, **wanted) as adapter:
            start = adapter.event("ready", PATIENCE)["heard"] - adapter.began
            figures, apps = watched(server, adapter, options)
            if contender.name == "sereno":
                with Adapter(contender, "standby", **wanted) as standby:
                    standby.event("ready", PATIENCE)
                    second, _ = watched(server, standby, options, apps)
                figures |= {f"standby_{key}": value for key, value in second.items()}
    return {"first_start": first, "start": start, **figures}


def watched(
    server: BenchServer,
    adapter: Adapter,
    options: argparse.Namespace,
    others: frozenset[str] = frozenset(),
) -> tuple[Figures, frozenset[str]]:
    """Watch a process wait; return its figures, and the names of the sessions that asked.

    `others`: sessions by these names are not its own.
    """
    time.sleep(options.settle)
    begin, faults = server.log.stat().st_size, adapter.major_faults()
    used, began = adapter.cpu_seconds(), time.monotonic()
    time.sleep(options.seconds)
    passed = time.monotonic() - began
    cpu = adapter.cpu_seconds() - used
    with server.log.open() as log:
        log.seek(begin)
        asked = Counter(STATEMENT.findall(log.read()))
    rss, pss = memory_mb(adapter.pid)
    return {
        "rss": rss,
        "pss": pss,
        "cpu": 100 * cpu / passed,
        "faults": (adapter.major_faults() - faults) / passed,
        "statements": sum(n for app, n in asked.items() if app not in others) / passed,
    }, frozenset(asked)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--n", type=int, default=10_000, help="how many schedules")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each is watched")
    parser.add_argument("--settle", type=float, default=5.0, help="seconds before that")


BENCH = Bench(
    name="idle",
    title="Schedules of which none is due",
    columns=(
        Column("first start s", "first_start", ".2f"),
        Column("start s", "start", ".2f"),
        Column("RSS MB", "rss", ".0f"),
        Column("PSS MB", "pss", ".0f"),
        Column("CPU %", "cpu", ".2f"),
        Column("statements/s", "statements", ".1f"),
        Column("major faults/s", "faults", ".1f"),
        Column("standby: RSS MB", "standby_rss", ".0f"),
        Column("CPU %", "standby_cpu", ".2f"),
        Column("statements/s", "standby_statements", ".1f"),
        Column("major faults/s", "standby_faults", ".1f"),
    ),
    measure=measure,
    add_options=add_options,
    server_options=LOGGING,
    notes=(
        (
            "Major faults: waits for memory of its own that the host had taken from it while it "
            "slept; each costs processor time that is the host's and not the program's."
        ),
    ),
)

if __name__ == "__main__":
    run(BENCH)
