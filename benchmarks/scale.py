"""Many schedules, none of them due, and many runs kept: what grows with them and what does not.

    .venv/bin/python benchmarks/scale.py [--schedules 1000,10000] [--runs 1000000] [--repeat 1]

Schedules and runs are made in SQL. One job more runs each second. Per size: the start of a leader
(until a run that was queued before begins), its memory, what a second with one slot in it costs the
leader and PostgreSQL, the time from SIGKILL of the leader to the next run's start on a standby, and
the time of the pages that monitoring asks for, of lists of runs, and of a batch of pruning.
"""

import argparse
import asyncio
import signal
import statistics
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig.adapter import Adapter
from benchmarks.rig.contender import Contender
from benchmarks.rig.process import memory_mb
from benchmarks.rig.program import Bench, Figures, run
from benchmarks.rig.report import Column, ms
from benchmarks.rig.server import BenchServer, execute
from sereno.store import search
from sereno.store.filters import RunFilter
from sereno.store.pool import Database
from sereno.triggers.rule_version import rules

PATIENCE = 300.0
SLICE = 1_000_000
MADE = "s.name LIKE 'bench.kept@%%'"
SCHEDULES = (
    """
INSERT INTO sereno.schedule (name, job, origin, declared, drift)
SELECT 'bench.kept@n' || n, 'bench.kept', 'user',
       jsonb_build_object('trigger', 'cron 0 3 * * * UTC', 'params', '{}'::jsonb),
       jsonb_build_object('at', now(), 'version', 1, 'rules', %s::text, 'trigger',
                          'cron 0 3 * * * UTC', 'slots', '[]'::jsonb)
  FROM generate_series(1, %s::bigint) n""",
    f"""
INSERT INTO sereno.schedule_version
       (schedule_id, version, valid_from, state, trigger, params, policies, changed_by)
SELECT s.id, 1, now(), 'active', 'cron 0 3 * * * UTC', '{{}}', '{{}}', 'bench'
  FROM sereno.schedule s WHERE {MADE}""",
    f"""
INSERT INTO sereno.watermark (schedule_id, job, settled_to, next_slot, wake_at)
SELECT s.id, s.job, now(), now() + interval '2d' + s.id * interval '10ms',
       now() + interval '2d' + s.id * interval '10ms'
  FROM sereno.schedule s WHERE {MADE}""",
)
KEPT = """
  FROM (SELECT n, now() - (%s::bigint - n) * interval '100ms' AS at,
               (SELECT min(s.id) FROM sereno.schedule s WHERE s.job = 'bench.kept') + n %% %s AS id
          FROM generate_series(%s::bigint, %s::bigint) n) AS past"""
RUNS = f"""
INSERT INTO sereno.run (id, job, state, cause, schedule_id, slot, run_at, queued_at, attempt, term,
                        started_at, finished_at, result) OVERRIDING SYSTEM VALUE
SELECT %s + n, 'bench.kept', 'succeeded', 'slot', id, at, at, at, 1, 1, at, at,
       '{{"rows": 1}}' {KEPT}"""
SLOTS = f"""
INSERT INTO sereno.slot (schedule_id, slot, verdict, run_id, term)
SELECT id, at, 'ran', %s + n, 1 {KEPT}"""
NUMBERED = "SELECT setval('sereno.run_id_seq', nextval('sereno.run_id_seq') + %s) - %s"
WITHOUT = (
    "DROP INDEX sereno.run_job",
    "ALTER TABLE sereno.slot DROP CONSTRAINT slot_pkey",
)
WITH = (
    "CREATE INDEX run_job ON sereno.run (job, id)",
    "ALTER TABLE sereno.slot ADD PRIMARY KEY (schedule_id, slot)",
)
ROOMY = "-c maintenance_work_mem=512MB"
BATCH = "SELECT sereno.prune('10 years', 1000, 1000)"


def measure(
    server: BenchServer, contender: Contender, variant: str, options: argparse.Namespace
) -> Figures:
    schedules, runs = (int(part.split()[0].replace(",", "")) for part in variant.split(" + "))
    with server.database() as dsn:
        wanted = {"dsn": dsn, "lease": "3s"}
        with Adapter(contender, "scale", **wanted) as adapter:
            adapter.event("ready", PATIENCE)
            time.sleep(0.5)  # its outcome is to be written before it is killed
        fill(dsn, schedules, runs)
        execute(dsn, "SELECT sereno.enqueue('bench.probe')")
        with Adapter(contender, "scale", **wanted) as leader:
            start = leader.event("ready", PATIENCE)["heard"] - leader.began
            time.sleep(options.settle)
            figures: Figures = {"start": start, "rss": memory_mb(leader.pid)[0]}
            figures |= second(server, leader, options.seconds)
            pages = leader.event("pages")["address"]
            figures |= {
                "metrics": timed(f"{pages}/metrics", options.asks),
                "health": timed(f"{pages}/health", options.asks),
                "tasks": timed(f"{pages}/health/tasks", options.asks),
            }
            figures |= listed(dsn, options.asks)
            with Adapter(contender, "scale", **wanted) as standby:
                standby.event("pages", PATIENCE)
                time.sleep(options.settle)
                leader.signal(signal.SIGKILL)
                killed = time.time()
                figures["leading"] = standby.event("leading")["at"] - killed
                figures["takeover"] = standby.event("ran")["at"] - killed
    return figures


def fill(dsn: str, schedules: int, runs: int) -> None:
    """Make both in SQL, and have the planner know of them.

    Runs and slots are made side by side; indexes whose order is another than theirs come after.
    """
    for statement in SCHEDULES:
        execute(dsn, statement, *([rules(), schedules] if "%s" in statement else []))
    if runs:
        first = execute(dsn, NUMBERED, runs, runs)[0][0]
        for statement in WITHOUT:
            execute(dsn, statement)
        with ThreadPoolExecutor(2) as two:
            list(two.map(lambda rows: kept(dsn, rows, first, schedules, runs), (RUNS, SLOTS)))
            list(two.map(lambda index: execute(dsn, index, options=ROOMY), WITH))
    execute(dsn, "VACUUM ANALYZE")
    execute(dsn, "CHECKPOINT")


def kept(dsn: str, statement: str, first: int, schedules: int, runs: int) -> None:
    """Make the rows of so many runs, one slice after another; the oldest have the lowest ids."""
    for begin in range(1, runs + 1, SLICE):
        end = min(runs, begin + SLICE - 1)
        execute(dsn, statement, first, runs, schedules, begin, end)


def second(server: BenchServer, leader: Adapter, seconds: float) -> Figures:
    """Return what a second with one slot in it costs, in seconds of a processor."""
    before, began = (leader.cpu_seconds(), server.cpu_seconds()), time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    return {
        "cpu": (leader.cpu_seconds() - before[0]) / passed,
        "postgres_cpu": (server.cpu_seconds() - before[1]) / passed,
    }


def timed(address: str, times: int) -> float:
    """Return the median time of so many answers, in seconds, each read anew from the database."""
    took = []
    for _ in range(1 + times):
        time.sleep(1.1)  # an answer is given again for a second
        began = time.perf_counter()
        try:
            with urllib.request.urlopen(address, timeout=60) as page:
                page.read()
        except urllib.error.HTTPError as error:  # "not well" is an answer too, as the table says
            error.read()
        took.append(time.perf_counter() - began)
    return statistics.median(took[1:])


def listed(dsn: str, times: int) -> Figures:
    """Return how long it takes to list the newest runs, and those that failed or run now; and to
    prune a batch, which is taken back. Seconds."""

    async def ask() -> Figures:
        database = Database(dsn, timeout=60)
        await database.open()
        took: Figures = {}
        for key, states in (("runs", ()), ("failed_runs", ("failed", "running"))):
            each = []
            for _ in range(1 + times):  # the first fills caches
                began = time.perf_counter()
                await search.runs(database, RunFilter(states=states), limit=20)
                each.append(time.perf_counter() - began)
            took[key] = statistics.median(each[1:])
        async with database.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            began = time.perf_counter()
            await connection.fetchval(BATCH)
            took["prune"] = time.perf_counter() - began
            await transaction.rollback()
        await database.close()
        return took

    return asyncio.run(ask())


def variants(options: argparse.Namespace) -> list[str]:
    sizes = [int(s) for s in options.schedules.split(",")]
    kept = [int(s) for s in options.runs.split(",") if s]
    return [f"{n:,} + 0" for n in sizes] + [f"{sizes[0]:,} + {r:,}" for r in kept]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--schedules", default="1000,10000,100000", help="how many, with commas")
    parser.add_argument("--runs", default="1000000", help="runs kept beside the fewest schedules")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long a leader is watched")
    parser.add_argument("--settle", type=float, default=3.0)
    parser.add_argument("--asks", type=int, default=5, help="how often each page is asked for")


BENCH = Bench(
    name="scale",
    title="Many schedules and many runs kept",
    columns=(
        Column("start s", "start", ".2f"),
        Column("RSS MB", "rss", ".1f"),
        Column("a second: CPU ms", "cpu", ms),
        Column("PostgreSQL CPU ms", "postgres_cpu", ms),
        Column("new leader s", "leading", ".2f"),
        Column("next run s", "takeover", ".2f"),
        Column("/metrics ms", "metrics", ms),
        Column("/health ms", "health", ms),
        Column("/health/tasks ms", "tasks", ms),
        Column("newest runs ms", "runs", ms),
        Column("failed runs ms", "failed_runs", ms),
        Column("1,000 runs pruned ms", "prune", ms),
    ),
    measure=measure,
    add_options=add_options,
    variants=variants,
    varied="schedules + runs kept",
    notes=(
        "CPU: of the first seconds; the look ahead at each schedule's slots is in it.",
        "Pages of monitoring answer 503 after 2 s. Failed: or running, there are hardly any.",
        "Pruned: of a job that keeps 1,000; where it has no more, one look at each schedule.",
    ),
)

if __name__ == "__main__":
    run(BENCH)
