"""The pages and lists of the console over a long history: how long each takes, what it reads, and
what people who look cost those who work.

    .venv/bin/python benchmarks/console.py [--runs 1000000,10000000] [--schedules 10000]

History is made in SQL. Each page and list is asked for in turn over HTTP, of a replica that runs a
job a second. `pages read`: of tables and indexes, by EXPLAIN (ANALYZE, BUFFERS) of each statement
that the page sends. Then 20 pages are open and follow what happens, as the console's own script
does; and the job's lateness is taken without requests, and with so many a second.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.plugins.console.conftest import serving
from tests.servers.pages_read import listening, pages_read

from benchmarks.apps import OTHERS, replica, said, ticks
from benchmarks.console_history import fill
from benchmarks.rig.contender import Contender
from benchmarks.rig.process import family_cpu_seconds
from benchmarks.rig.program import Bench, Figures, run
from benchmarks.rig.report import Column, ms, percentile
from benchmarks.rig.server import BenchServer
from sereno.store.pool import Database

PAGES = (
    *("", "jobs", "jobs/bench.j7", "jobs/bench.j7/ledger", "schedules", "schedules?text=n77"),
    *("schedules/bench.j7@n7", "load", "runs", "runs?q=job:bench.j7", "runs?q=state:failed"),
    *("runs?q=params.site:12", "runs/{run}", "runs-changed", "logs", "cluster", "changes"),
    *("changes?subject=bench.j7", "plugins", "proof", "search?q=j77", "people"),
)
LISTS = (
    *(
        "jobs?limit=50",
        "schedules?limit=50",
        "runs?limit=50",
        "runs?states=failed",
        "logs?limit=50",
    ),
    *("runs?job=bench.j7", "changes", "bulks", "terms", "totals", "overdue", "slots/coming"),
    *("jobs/bench.j7/slots?limit=50", "runs/{run}", "cluster"),
)
OPEN_PAGES = 20
SOONEST, FIRST_GAP, LAST_GAP = 0.4, 1.0, 15.0
"""Seconds until an open page looks, and between two looks, as in the console's own script."""
LOOK = {"x-sereno-look": "1"}


def measure(
    server: BenchServer, contender: Contender, variant: str, options: argparse.Namespace
) -> Figures:
    runs = int(variant.partition(" ")[0].replace(",", ""))
    others = [name for name in OTHERS if name != "console"]
    with server.database() as dsn, tempfile.TemporaryDirectory() as place:
        told = {"module": "benchmarks.console_plugin", "without": others}
        with replica(dsn, Path(place), **told) as log:
            said(log, "apps are served")  # all jobs are declared
        newest = fill(dsn, options.schedules, runs)
        figures: Figures = dict(asyncio.run(read_by_each(dsn, newest)))
        with replica(dsn, Path(place), **told) as log:
            url = said(log, "apps are served")["at"].rstrip("/")
            time.sleep(options.settle)
            figures |= asyncio.run(timed(url, newest, options.asks))
            pid = int((Path(place) / "pid").read_text())
            figures |= asyncio.run(followed(server, pid, url, options))
            for key, rate in (("alone", 0.0), ("asked", options.rate)):
                began = int(time.time()) + 1
                answered = asyncio.run(load(url, newest, rate, options.seconds))
                until = max(began, int(time.time()))
                late = [seconds for _, seconds in ticks(dsn, began, until)]
                figures[f"late_{key}"] = percentile(late, 0.99)
                figures[f"not_run_{key}"] = until - began - len(late)
            figures["answered"] = answered / options.seconds
    print_pages(figures, newest)
    return figures


def addresses(newest: int) -> list[str]:
    """Return all that is asked for."""
    pages = [f"/console/{path}" for path in PAGES] + [f"/api/v1/{path}" for path in LISTS]
    return [path.replace("{run}", str(newest)) for path in pages]


async def read_by_each(dsn: str, newest: int) -> Figures:
    """Return how many pages of the database each address reads, and at most."""
    found: Figures = {}
    with listening() as statements:
        async with serving(dsn, console={"local": "admin"}) as web:
            db = Database(dsn, timeout=120)
            await db.open()
            async with db.connection() as connection:
                for at in addresses(newest):
                    statements.taken()
                    answer = await web.get(at, timeout=120)
                    answer.raise_for_status()
                    read = await pages_read(connection, statements.taken())
                    found[f"read {at}"] = read
            await db.close()
    found["read"] = max(value or 0 for value in found.values())
    return found


async def timed(url: str, newest: int, asks: int) -> Figures:
    """Return p50 and p99 of each address, in seconds, of all, and of the slowest."""
    found: Figures = {}
    every: list[float] = []
    async with httpx.AsyncClient(base_url=url, timeout=120) as web:
        took: dict[str, list[float]] = {at: [] for at in addresses(newest)}
        for _ in range(1 + asks):
            for at, each in took.items():
                began = time.perf_counter()
                (await web.get(at)).raise_for_status()
                each.append(time.perf_counter() - began)
        for at, each in took.items():
            del each[0]  # the first fills caches
            found[f"p50 {at}"], found[f"p99 {at}"] = percentile(each, 0.5), percentile(each, 0.99)
            every += each
    slowest = max(value or 0 for name, value in found.items() if name.startswith("p99"))
    whole = {"p50": percentile(every, 0.5), "p99": percentile(every, 0.99), "slowest": slowest}
    return found | whole


async def followed(
    server: BenchServer, replica_id: int, url: str, options: argparse.Namespace
) -> Figures:
    """Return which share of a processor open pages take, of the replica and of PostgreSQL."""

    def spent() -> tuple[float, float]:
        return family_cpu_seconds(replica_id), server.cpu_seconds()

    seconds = options.seconds
    before = spent()
    await asyncio.sleep(seconds)
    bare = [now - then for now, then in zip(spent(), before, strict=True)]
    limits = httpx.Limits(max_connections=2 * OPEN_PAGES)
    async with httpx.AsyncClient(base_url=url, timeout=None, limits=limits) as web:
        paths = [f"/console/{path}" for path in ("", "jobs", "runs", "cluster")]
        pages = [
            asyncio.create_task(open_page(web, paths[n % len(paths)])) for n in range(OPEN_PAGES)
        ]
        await asyncio.sleep(options.warm)
        before = spent()
        await asyncio.sleep(seconds)
        busy = [now - then for now, then in zip(spent(), before, strict=True)]
        for page in pages:
            page.cancel()
        await asyncio.wait(pages)
    share = [max(0.0, much - less) / seconds for much, less in zip(busy, bare, strict=True)]
    return {"open": share[0], "open_postgres": share[1]}


async def open_page(web: httpx.AsyncClient, path: str) -> None:
    """Be an open page: hear the stream, and look again as the console's script does."""
    gap, looked = FIRST_GAP, time.time()
    news = asyncio.Event()

    async def hear() -> None:
        while True:
            async with web.stream("GET", "/api/v1/events") as stream:
                async for line in stream.aiter_lines():
                    if line.startswith("event: news"):
                        news.set()

    hearing = asyncio.create_task(hear())
    try:
        while True:
            await news.wait()
            news.clear()
            now = time.time()
            rested = now - looked > 2 * gap
            gap = FIRST_GAP if rested else min(gap * 2, LAST_GAP)
            due = looked + gap if rested else round((looked + gap) / gap) * gap
            await asyncio.sleep(max(SOONEST, due - now) + SOONEST * (random.random() - 0.5))
            (await web.get(path, headers=LOOK)).raise_for_status()
            looked = time.time()
    finally:
        hearing.cancel()


async def load(url: str, newest: int, rate: float, seconds: float) -> int:
    """Ask so often a second, whether or not the answers keep up; return how many came."""
    if not rate:
        await asyncio.sleep(seconds)
        return 0
    every = addresses(newest)
    became: Counter[str] = Counter()

    async def ask(web: httpx.AsyncClient, at: str) -> None:
        try:
            became[str((await web.get(at)).status_code)] += 1
        except httpx.HTTPError as error:
            became[type(error).__name__] += 1

    loop = asyncio.get_running_loop()
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(base_url=url, timeout=10, limits=limits) as web:
        began, asked = loop.time(), []
        for n in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + n / rate - loop.time()))
            asked.append(asyncio.create_task(ask(web, every[n % len(every)])))
        await asyncio.gather(*asked)
    print(f"{rate:g} requests a second: {dict(became)}", file=sys.stderr)
    return became["200"]


def print_pages(figures: Figures, newest: int) -> None:
    """Print what each address has taken, the slowest first."""
    print(f"{'p50 ms':>8} {'p99 ms':>8} {'read':>8}", file=sys.stderr)
    for at in sorted(addresses(newest), key=lambda at: -(figures[f"p99 {at}"] or 0)):
        p50, p99 = ((figures[f"{name} {at}"] or 0) * 1000 for name in ("p50", "p99"))
        print(f"{p50:8.1f} {p99:8.1f} {figures[f'read {at}']:8.0f} {at}", file=sys.stderr)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", default="1000000,10000000", help="how many, with commas")
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--asks", type=int, default=100, help="how often each page is asked for")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each of the other figures")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    parser.add_argument("--settle", type=float, default=5.0)
    parser.add_argument(
        "--warm",
        type=float,
        default=40.0,
        help="seconds until open pages look as seldom as they do",
    )


BENCH = Bench(
    name="console",
    title="Pages and lists of the console over a long history",
    columns=(
        Column("p50 ms", "p50", ms),
        Column("p99 ms", "p99", ms),
        Column("p99 of the slowest ms", "slowest", ms),
        Column("pages read at most", "read", ",.0f"),
        Column("20 open pages: share of a processor", "open", ".1%"),
        Column("of PostgreSQL", "open_postgres", ".1%"),
        Column("a job a second: late p99 ms", "late_alone", ms),
        Column("asked 50 times a second ms", "late_asked", ms),
        Column("answered/s", "answered", ".1f"),
    ),
    measure=measure,
    add_options=add_options,
    variants=lambda options: [f"{int(n):,} runs" for n in options.runs.split(",")],
    notes=(
        "p50 and p99: of all pages and lists alike, each asked for as often.",
        "Open pages: what they take above the same time without them.",
    ),
)

if __name__ == "__main__":
    run(BENCH)
