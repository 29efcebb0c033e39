"""One job a second beside an app that computes 60 ms for a page: how late each start is, with
nobody asking and with 200 requests a second, which are more than the app can answer.

    .venv/bin/python benchmarks/apps.py [--seconds 60] [--repeat 3] [--rate 200]

Lateness is from the slot to the job's first line, by this machine's clock. The load comes from this
program: it takes processor time of its own, as its readers would.
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.servers.waiting import wait_until

from benchmarks.rig.contender import Contender
from benchmarks.rig.program import Bench, Figures, run
from benchmarks.rig.report import Column, ms, spread
from benchmarks.rig.server import BenchServer

ROOT = Path(__file__).parents[1]
LATE = """
SELECT extract(epoch FROM slot)::float8, (result->>'late')::float8 FROM sereno.run
 WHERE job = 'bench.tick' AND state = 'succeeded' AND slot >= to_timestamp(%s) AND slot < to_timestamp(%s)
"""  # noqa: E501
OTHERS = ["etl_ivr", "cleanup", "reports", "notify", "sun", "console", "django"]
PATIENCE = 5.0
"""Seconds until what has not come is counted as lost."""
REQUEST = b"GET /computing/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def measure(
    server: BenchServer, contender: Contender, variant: str, options: argparse.Namespace
) -> Figures:
    rate = options.rate if variant.endswith("requests/s") else 0.0
    with (
        server.database() as dsn,
        tempfile.TemporaryDirectory() as place,
        replica(dsn, Path(place)) as log,
    ):
        port = int(said(log, "apps are served")["at"].rstrip("/").rpartition(":")[2])
        time.sleep(options.settle)
        begin = int(time.time()) + 1
        answers = asyncio.run(load(port, rate, options.seconds))
        end = max(begin, int(time.time()))
        found = ticks(dsn, begin, end)
        terms = sum('"event":"leading"' in line for line in log.read_text().splitlines())
    late = [seconds for _, seconds in found]
    return {
        **spread(late),
        "lost": end - begin - len({slot for slot, _ in found}),
        "doubled": len(found) - len({slot for slot, _ in found}),
        "terms": terms,
        "answered": answers["answered"] / options.seconds,
        "asked": sum(answers.values()) / options.seconds,
    }


def ticks(dsn: str, begin: int, end: int) -> list[tuple[float, float]]:
    """Return slot and lateness of each run due from `begin` until `end`, of those that came.

    What was due in the last second may start late, and is waited for.
    """
    until = time.monotonic() + PATIENCE
    with psycopg.connect(dsn, autocommit=True) as connection:
        while True:
            found = connection.execute(LATE, (begin, end)).fetchall()
            if len(found) >= end - begin or time.monotonic() > until:
                return found
            time.sleep(0.1)


@contextlib.contextmanager
def replica(
    dsn: str,
    place: Path,
    module: str = "benchmarks.apps_plugin",
    without: Sequence[str] = OTHERS,
) -> Iterator[Path]:
    """Run a replica with the bench's plugin, and no other of those `without`; give its log."""
    info = place / "sereno_bench_apps-1.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sereno-bench-apps\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[sereno]\nbench_apps = {module}\n")
    log = place / "replica.log"
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("SERENO_", "PYTHON"))}
    own = {
        "PYTHONPATH": f"{ROOT}:{place}",
        "SERENO_DATABASE_URL": dsn,
        "SERENO_HTTP__PORT": "0",
        "SERENO_APPS__PORT": "0",
        "SERENO_LOG__FORMAT": "json",
        "SERENO_DISABLED_PLUGINS": json.dumps(list(without)),
    }
    with log.open("wb") as out:
        command = [sys.executable, "-m", "sereno", "run"]
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=place, env=bare | own)
        (place / "pid").write_text(str(process.pid))
    try:
        yield log
    finally:
        process.terminate()
        process.wait(60)


def said(log: Path, event: str) -> dict[str, Any]:
    """Return a line of the log, once it is there."""

    def lines() -> list[dict[str, Any]]:
        whole = [t for t in log.read_text().splitlines() if t.startswith("{") and t.endswith("}")]
        return [line for t in whole if (line := json.loads(t))["event"] == event]

    wait_until(lines, f"'{event}' in {log.read_text()}", 60)
    return lines()[-1]


async def load(port: int, rate: float, seconds: float) -> "Counter[str]":
    """Ask `rate` times a second, whether or not the answers keep up; count what came of it."""
    answers: Counter[str] = Counter()
    if not rate:
        await asyncio.sleep(seconds)
        return answers
    asked = []
    loop = asyncio.get_running_loop()
    began = loop.time()
    for n in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + n / rate - loop.time()))
        asked.append(asyncio.create_task(ask(port, answers)))
    await asyncio.wait(asked, timeout=PATIENCE)
    for task in asked:
        task.cancel()
    return answers


async def ask(port: int, answers: "Counter[str]") -> None:
    """Ask for a page once."""
    fate = "failed"
    writer = None
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"GET /computing/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            )
            answer = await reader.read()
            fate = "answered" if answer.startswith(b"HTTP/1.1 200") else "refused"
    if writer is not None:
        writer.close()
    answers[fate] += 1


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--settle", type=float, default=5.0, help="seconds before the first")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")


BENCH = Bench(
    name="apps",
    title="One job a second beside an app",
    columns=(
        Column("p50 ms", "p50", ms),
        Column("p99 ms", "p99", ms),
        Column("max ms", "max", ms),
        Column("slots not run", "lost", ".0f"),
        Column("doubled", "doubled", ".0f"),
        Column("terms", "terms", ".0f"),
        Column("requests/s", "asked", ".0f"),
        Column("answered/s", "answered", ".1f"),
    ),
    measure=measure,
    add_options=add_options,
    variants=lambda options: ["no requests", f"{options.rate:g} requests/s"],
)

if __name__ == "__main__":
    run(BENCH)
