"""What a scrape of 10,000 scheduled jobs costs a replica, listed one by one and by plugin."""

import asyncio
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.servers.postgres import PostgresServer, installed_programs

from sereno.engine.status import Status
from sereno.observe.job_watch import JobWatch
from sereno.observe.metrics import Metrics
from sereno.store.migrator import migrate
from sereno.store.pool import Database

JOBS, RUNS_EACH = 10_000, 30
SCENE = f"""
INSERT INTO sereno.job (name, plugin, policies, overdue_after)
SELECT 'plugin' || n % 20 || '.job_' || n, 'plugin' || n % 20,
       '{{"grace": "PT60S", "timeout": "PT600S"}}', '7h' FROM generate_series(1, {JOBS}) n;
INSERT INTO sereno.job_stat (job) SELECT name FROM sereno.job;
INSERT INTO sereno.schedule (name, job, origin, declared) SELECT name, name, 'plugin', '{{}}' FROM sereno.job;
INSERT INTO sereno.schedule_version (schedule_id, version, valid_from, state, trigger, params, policies, changed_by)
SELECT id, 1, now(), 'active', 'every 6h', '{{}}', '{{}}', 'benchmark' FROM sereno.schedule;
INSERT INTO sereno.watermark (schedule_id, job, settled_to, next_slot, wake_at)
SELECT id, job, now(), now() + interval '1h', now() + interval '1h' FROM sereno.schedule;
INSERT INTO sereno.run (job, state, cause, slot, started_at)
SELECT name, 'succeeded', 'slot', now(), now() FROM sereno.job, generate_series(1, {RUNS_EACH});
INSERT INTO sereno.slot (schedule_id, slot, verdict, term)
SELECT id, now() - n * interval '6h', 'ran', 1 FROM sereno.schedule, generate_series(1, {RUNS_EACH}) n;
ANALYZE
"""  # noqa: E501


async def scrape(database: Database, limit: int) -> tuple[float, float, int]:
    """Return seconds, own processor seconds and lines, of the quickest of five scrapes."""
    found = []
    for _ in range(5):
        status = Status(node=uuid.uuid4(), label="bench", version="0")
        metrics = Metrics(status, JobWatch(database), lambda: [], job_limit=limit)
        begun, used = time.perf_counter(), time.process_time()
        page, _type = await metrics.page()
        found.append((time.perf_counter() - begun, time.process_time() - used, page.count(b"\n")))
    return min(found)


async def measure(dsn: str) -> None:
    """Fill the database, and print."""
    await migrate(dsn)
    database = Database(dsn)
    await database.open()
    async with database.connection() as connection:
        await connection.execute(SCENE, timeout=120)
        print(f"{JOBS} jobs with a schedule each, {JOBS * RUNS_EACH} runs kept")
        for state in ("all fresh", "all overdue by age"):
            for limit, words in ((1000, "by plugin"), (2 * JOBS, "one by one")):
                wall, own, lines = await scrape(database, limit)
                print(f"{state}, {words}: {wall:.3f} s, own {own:.3f} s, {lines} lines")
            await connection.execute("UPDATE sereno.job SET registered_at = now() - interval '1d'")
            await connection.execute("VACUUM ANALYZE sereno.job")
    await database.close()


def main() -> None:
    """Run it on the newest PostgreSQL there is."""
    programs = installed_programs()
    server = PostgresServer(programs[max(programs)])
    server.start()
    try:
        server.execute("CREATE DATABASE scrape")
        asyncio.run(measure(server.dsn("scrape")))
    finally:
        server.remove()


if __name__ == "__main__":
    main()
