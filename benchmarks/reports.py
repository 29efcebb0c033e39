"""How long a report takes: a day of 500,000 records of calls, and a month of 10,000,000.

    .venv/bin/python benchmarks/reports.py [--legs 500000] [--days 20] [--repeat 3]
        [--only-counting]

A day's records (three to a call: a menu and queue, an agent's ring or two; 300 agents, 12 queues,
6 numbers) with the queue's events, counted by `etl_ivr.aggregate`. Its figures and facts are then
repeated on the days before, which is what aggregating as many records each day would keep. Each
report is made `--repeat` times from there, whole: figures, page, CSV, and kept; another zone each
time, so that none is found made already. Processor seconds of ours and the server's together are
told too: unlike the others they hardly depend on what else the machine does. The aggregation is
timed as well, from scratch and for a quarter hour whose rows were written anew: it is done once, as
calls come, and not by a report. `--only-counting` ends there.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig.server import BenchServer
from sereno.testing import run_context
from sereno_etl_ivr.aggregate import rules
from sereno_etl_ivr.feed import feeds
from sereno_etl_ivr.settings import Settings as EtlSettings
from sereno_etl_ivr.target import Aggregates
from sereno_reports.folders import found
from sereno_reports.report_job import job_of
from sereno_reports.settings import Settings

DAY = "2024-11-29"
ZONES = ("UTC", "Atlantic/Reykjavik", "Africa/Abidjan", "Africa/Accra", "Africa/Dakar")
"""All the same clock: the figures are equal, and each zone's report is another."""

REPEATED = """
INSERT INTO ivr.{table} ({columns})
SELECT {values} FROM ivr.{table} AS t CROSS JOIN generate_series(1, $1) AS back
WHERE t.quarter >= $2
"""


QUARTER = """
INSERT INTO ivr.touched (source, target, first, past, rows, changed)
SELECT 'pbx', target, $1, $2, 0, true FROM unnest(ARRAY['ivr.calls', 'ivr.queue_events']) AS target
"""


async def fill(
    connection: asyncpg.Connection, server: BenchServer, url: str, legs: int
) -> AsyncIterator[str]:
    """Load a day's records and count them; yield what the counting took."""
    settings = EtlSettings(source_url=url)
    async with Aggregates.connected(url, [*feeds(settings).values()], rules(settings)) as counted:
        day = Path(__file__).with_suffix(".sql").read_text()
        await connection.execute(day.format(day=DAY, calls=legs // 3), timeout=900)
        for table in ("calls", "queue_events"):
            await connection.execute(f"VACUUM ANALYZE ivr.{table}")
        await counted.lock()
        yield await timed(counted, server, rebuild=True)
        calls = counted.calls
        span = (int(f"{DAY.replace('-', '')}{clock}") for clock in ("120000", "121500"))
        await connection.execute(QUARTER, *span)
        took = await timed(counted, server, rebuild=False)
        yield f"{took}, a quarter hour's change ({counted.calls - calls:,} calls)"
        await counted.finish()


async def timed(counted: Aggregates, server: BenchServer, *, rebuild: bool) -> str:
    """Count what is to be counted; write the seconds that it took, and the processor's."""
    begun, worked = time.perf_counter(), time.process_time() + server.cpu_seconds()
    await counted.begin(rebuild=rebuild)
    while await counted.chunk(20_000):
        pass
    worked = time.process_time() + server.cpu_seconds() - worked
    return f"{time.perf_counter() - begun:.1f} s, processor {worked:.1f} s"


async def repeat_days(connection: asyncpg.Connection, days: int) -> None:
    """Repeat the figures and facts of the day on the days before it."""
    first = datetime.fromisoformat(f"{DAY}T00:00:00+00:00")
    for table in ("quarter_hours", "call_facts"):
        columns = [
            row["attname"]
            for row in await connection.fetch(
                "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass"
                " AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                f"ivr.{table}",
            )
        ]
        moved = {
            name: f"t.{name} - back * interval '1 day'"
            for name in ("quarter", "started_at", "ended_at")
        }
        moved["call"] = "t.call || '-' || back"
        statement = REPEATED.format(
            table=table,
            columns=", ".join(columns),
            values=", ".join(moved.get(name, f"t.{name}") for name in columns),
        )
        await connection.execute(statement, days - 1, first, timeout=900)
        await connection.execute(f"VACUUM ANALYZE ivr.{table}", timeout=900)
    await connection.execute("UPDATE ivr.aggregated SET reached = '2025-01-01+00'")


async def made(url: str, report: str, zone: str) -> tuple[float, dict[str, Any]]:
    """Make a report once; return the seconds that it took and what it told."""
    settings = Settings(zone=zone, recheck_days=0)
    job = job_of(found(())[report], settings)
    at = datetime(2024, 12, 2, 8, tzinfo=UTC)
    run = run_context(job, {"day": DAY}, settings=settings, database_url=url, clock=lambda: at)
    begun = time.perf_counter()
    told: dict[str, Any] = await job.function(run)
    return time.perf_counter() - begun, told


async def measure(server: BenchServer, url: str, options: argparse.Namespace) -> None:
    """Fill the database and make each report; print what it took."""
    connection = await asyncpg.connect(url)
    async for took in fill(connection, server, url, options.legs):
        print(f"{options.legs:,} records counted by etl_ivr.aggregate: {took}", flush=True)
    if options.only_counting:
        await connection.close()
        return
    await repeat_days(connection, options.days)
    rows = await connection.fetchval("SELECT count(*) FROM ivr.quarter_hours")
    print(f"{options.days} days of them: {rows:,} rows of ivr.quarter_hours", flush=True)
    await connection.close()
    for report, legs in (("daily", options.legs), ("monthly", options.legs * options.days)):
        took, worked = [], []
        for zone in ZONES[: options.repeat]:
            before = time.process_time() + server.cpu_seconds()
            seconds, told = await made(url, report, zone)
            worked.append(time.process_time() + server.cpu_seconds() - before)
            took.append(seconds)
        print(
            f"{report}: {spread(took)}, processor {spread(worked)}, {legs:,} records,"
            f" {told['offered']:,} offered, level {told['service_level']}"
        )


def spread(seconds: list[float]) -> str:
    """Write the median, the least and the most."""
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--legs", type=int, default=500_000)
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=3, choices=range(1, len(ZONES) + 1))
    parser.add_argument("--only-counting", action="store_true")
    options = parser.parse_args()
    with BenchServer() as server, server.database() as dsn:
        asyncio.run(measure(server, dsn, options))


if __name__ == "__main__":
    main()
