"""Memory of a leader over a bare asyncio process, and its idle share of a processor.

    .venv/bin/python benchmarks/overhead.py [--seconds 30] [--repeat 3]

Runs side by side, in turn: a process that only runs an asyncio loop; a leader without plugins; a leader
with every installed plugin. Each works on a throw-away PostgreSQL. Prints medians and a JSON line.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from sereno.embedded import EmbeddedPostgres

BARE = "import asyncio; asyncio.run(asyncio.sleep(10_000))"
CONDITIONS = ("bare", "kernel", "kernel and plugins")


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=30.0, help="how long idle CPU is watched")
    options.add_argument("--repeat", type=int, default=3)
    chosen = options.parse_args()
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONDITIONS}
    with EmbeddedPostgres.temporary() as postgres:
        for _ in range(chosen.repeat):
            for name in CONDITIONS:
                found[name].append(measure(name, postgres.dsn, chosen.seconds))
    medians = {
        name: {key: statistics.median(r[key] for r in rows) for key in rows[0]}
        for name, rows in found.items()
    }
    bare = medians["bare"]
    for name, row in medians.items():
        print(
            f"{name:<20} RSS {row['rss_mb']:6.1f} MB (+{row['rss_mb'] - bare['rss_mb']:5.1f})   "
            f"PSS {row['pss_mb']:6.1f} MB (+{row['pss_mb'] - bare['pss_mb']:5.1f})   "
            f"CPU {row['cpu_percent']:5.2f} %"
        )
    print(json.dumps({"bench": "overhead", "python": sys.version.split()[0], "runs": found}))


def measure(name: str, dsn: str, seconds: float) -> dict[str, float]:
    """Start one process, let it settle, watch it for `seconds`; MB and percent of one processor."""
    with tempfile.TemporaryDirectory() as empty:
        process = subprocess.Popen(
            command(name), env=environment(name, dsn), cwd=empty, stderr=subprocess.DEVNULL
        )
        try:
            if name == "bare":
                time.sleep(1)
            else:
                wait_until_leading(process)
            time.sleep(2)
            before, began = cpu_seconds(process.pid), time.monotonic()
            time.sleep(seconds)
            used = cpu_seconds(process.pid) - before
            return {
                "rss_mb": status_kb(process.pid, "status", "VmRSS:") / 1024,
                "pss_mb": status_kb(process.pid, "smaps_rollup", "Pss:") / 1024,
                "cpu_percent": 100 * used / (time.monotonic() - began),
            }
        finally:
            process.terminate()
            process.wait(20)


def command(name: str) -> list[str]:
    """Return what to start."""
    if name == "bare":
        return [sys.executable, "-c", BARE]
    return [sys.executable, "-m", "sereno", "run"]


def environment(name: str, dsn: str) -> dict[str, str]:
    """Return a clean environment for a node on `dsn`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SERENO_")}
    kept |= {"SERENO_DATABASE_URL": dsn, "SERENO_HTTP__PORT": "8799"}
    if name == "kernel":
        kept["SERENO_DISABLED_PLUGINS"] = "etl_ivr,cleanup,reports"
    return kept


def wait_until_leading(process: "subprocess.Popen[bytes]") -> None:
    """Return once the node's own page says that it leads."""
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"the node ended with {process.returncode}")
        try:
            page = urllib.request.urlopen("http://127.0.0.1:8799/health", timeout=2).read()
        except OSError:
            time.sleep(0.05)
            continue
        if json.loads(page)["node"]["role"] == "leader":
            return
        time.sleep(0.05)
    raise SystemExit("the node did not lead within 30 s")


def status_kb(pid: int, file: str, key: str) -> float:
    """Return a figure of /proc, in kB."""
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(key):
            return float(line.split()[1])
    raise KeyError(key)


def cpu_seconds(pid: int) -> float:
    """Return the processor time used so far, in seconds, as finely as the kernel tells it."""
    return float(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


if __name__ == "__main__":
    main()
