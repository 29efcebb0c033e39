"""Runs that compute, on the workers of a Dask cluster: as runs of Sereno, as bare calls of Dask's
client, and beside them in processes of a replica.

    .venv/bin/python benchmarks/dask.py [--work 0.01 0.1 1] [--workers 1 2 4] [--budget 4]
        [--bulk 10000] [--late 20] [--nice 5]

Scheduler, workers and replica are processes of their own on this machine, each worker has one
thread. `budget`: seconds of computing for each worker in one cell; all are warm before. Rates are
runs a second, from the queueing of all at once to the last outcome: in the database, or the client.
`bulk`: so many runs of 1 ms. `late`: for so many seconds, how late slots begin on the leader, with
idle workers and with runs of 1 s for all of them. Both on the most workers; 0 leaves them out.
`nice`: as the plugin's setting; the leader and PostgreSQL are on the workers' machine.
"""

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, whose `dask` is this file

from distributed import Client  # noqa: E402
from tests.servers.supervised import free_port  # noqa: E402

from benchmarks.dask_jobs import computed  # noqa: E402
from benchmarks.replicas import MIGRATED, PATIENCE, program, until  # noqa: E402
from benchmarks.rig.report import lateness  # noqa: E402
from benchmarks.rig.server import BenchServer, execute  # noqa: E402

OTHERS = '["etl_ivr", "cleanup", "reports", "notify", "console", "sun", "django"]'
KNOWN = "SELECT count(*) FROM sereno.job WHERE name = 'dask_jobs.far'"
PLACES = (
    "SELECT coalesce(sum((places ->> '{executor}')::int), 0)::int FROM sereno.node"
    " WHERE left_at IS NULL"
)
ENQUEUE = (
    "SELECT count(sereno.enqueue('{job}', '{{\"seconds\": {seconds}}}'::jsonb))"
    " FROM generate_series(1, {n})"
)
CLEAR = "DELETE FROM sereno.run WHERE job = '{job}'"
OVER = "SELECT count(*) FROM sereno.run WHERE state = 'succeeded' AND job = '{job}'"
TOOK = (
    "SELECT extract(epoch FROM max(finished_at) - min(queued_at))::float8, max(attempt)"
    " FROM sereno.run WHERE job = '{job}'"
)
NOW = "SELECT clock_timestamp()::text"
LATE = (
    "SELECT extract(epoch FROM started_at - slot)::float8 * 1000 FROM sereno.run"
    " WHERE job = 'dask_jobs.tick' AND slot > '{since}'"
)
LEFT = "SELECT count(*) FROM sereno.run WHERE job = 'dask_jobs.far' AND state <> 'succeeded'"


def of_sereno(dsn: str, job: str, seconds: float, n: int, workers: int) -> float:
    """Return the runs a second of a job."""
    for count in (2 * workers, n):  # all are warm
        execute(dsn, CLEAR.format(job=job))
        execute(dsn, ENQUEUE.format(job=job, seconds=seconds, n=count))
        until(dsn, OVER.format(job=job), count, 600)
    ((took, attempts),) = execute(dsn, TOOK.format(job=job))
    assert attempts == 1, attempts
    return n / float(took)


def of_dask(client: Client, seconds: float, n: int, workers: int) -> float:
    """Return the bare calls a second."""
    client.gather(client.map(computed, [seconds] * 2 * workers, pure=False))
    begun = time.perf_counter()
    client.gather(client.map(computed, [seconds] * n, pure=False))
    return n / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description="What a run on a Dask worker costs.")
    parser.add_argument("--work", type=float, nargs="+", default=[0.01, 0.1, 1.0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--budget", type=float, default=4.0)
    parser.add_argument("--bulk", type=int, default=10_000)
    parser.add_argument("--late", type=float, default=20.0)
    parser.add_argument("--nice", type=int, default=5)
    parser.add_argument("--postgres", type=int)
    options = parser.parse_args()
    print("| workers | work ms | bare Dask, calls/s | Sereno on Dask, runs/s | of bare | process |")
    print("|---|---|---|---|---|---|")
    with BenchServer(options.postgres, {}) as server:
        for workers in options.workers:
            with server.database() as dsn, ExitStack() as stack:
                measure(dsn, stack, workers, options)


def measure(dsn: str, stack: ExitStack, workers: int, options: argparse.Namespace) -> None:
    """Print the rows of so many workers."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    at = ("--host", "127.0.0.1", "--no-dashboard")
    cli = "distributed.cli.dask"
    stack.enter_context(program(f"{cli}_scheduler", "--port", str(port), "--no-show", *at))
    for _ in range(workers):
        words = (address, "--no-nanny", "--nthreads", "1", *at)
        stack.enter_context(program(f"{cli}_worker", *words))
    stack.enter_context(
        program(
            "sereno",
            "run",
            SERENO_DATABASE_URL=dsn,
            SERENO_MODULES='["benchmarks.dask_jobs"]',
            SERENO_DISABLED_PLUGINS=OTHERS,
            SERENO_HTTP__ENABLED="false",
            SERENO_PROCESSES=str(workers),
            SERENO_PLUGINS__DASK__ADDRESS=address,
            SERENO_PLUGINS__DASK__NICE=str(options.nice),
        )
    )
    client = stack.enter_context(Client(address, timeout="60s", set_as_default=False))
    client.wait_for_workers(workers, timeout=PATIENCE)
    until(dsn, MIGRATED, 3)
    until(dsn, KNOWN, 1)
    until(dsn, PLACES.format(executor="dask"), workers)
    for seconds in options.work:
        n = max(2 * workers, round(options.budget * workers / seconds))
        bare = of_dask(client, seconds, n, workers)
        far = of_sereno(dsn, "dask_jobs.far", seconds, n, workers)
        near = of_sereno(dsn, "dask_jobs.near", seconds, min(n, 8 * workers), workers)
        share = f"{100 * far / bare:.0f} %"
        print(f"| {workers} | {seconds * 1000:g} | {bare:.1f} | {far:.1f} | {share} | {near:.1f} |")
    if workers == max(options.workers):
        if options.bulk:
            bare = of_dask(client, 0.001, options.bulk, workers)
            far = of_sereno(dsn, "dask_jobs.far", 0.001, options.bulk, workers)
            share = f"{100 * far / bare:.0f} %"
            print(f"{options.bulk:,} runs of 1 ms: {far:.0f}/s, {share} of {bare:.0f}")
        if options.late:
            late(dsn, workers, options.late)


def late(dsn: str, workers: int, seconds: float) -> None:
    """Print how late slots begin on the leader, with idle workers and with full ones."""
    for what, n in (("idle", 0), ("full", round(workers * (seconds + 4)))):
        execute(dsn, ENQUEUE.format(job="dask_jobs.far", seconds=1.0, n=n))
        time.sleep(2)  # they are at work
        ((since,),) = execute(dsn, NOW)
        time.sleep(seconds)
        found = [ms for (ms,) in execute(dsn, LATE.format(since=since)) if ms is not None]
        ((left,),) = execute(dsn, LEFT)
        assert not n or left, "the workers had nothing more to do"
        print(f"workers {what}: {lateness(found)}")


if __name__ == "__main__":
    main()
