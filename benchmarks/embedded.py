"""What a node in a FastAPI application's process costs: memory over the same application without.

    .venv/bin/python benchmarks/embedded.py [--repeat 3]

The application has loaded asyncpg and prometheus_client itself, as most do that would have a node.
Measured in turn under uvicorn, on both event loops: alone; with a node that leads and has run a job
and been scraped. USS is what would be free again if the process ended. Bytecode is compiled
beforehand, as in `overhead.py`.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.servers.supervised import free_port

from benchmarks.rig.server import BenchServer

APPLICATION = """
import sys
import asyncpg, prometheus_client, uvicorn
from fastapi import FastAPI

kind, loop, port, dsn = sys.argv[1:]
if kind == "node":
    from sereno import RunContext, Sereno, asgi, every, job

    @job("bench.beat", schedule=every("1s"))
    async def beat(run: RunContext) -> None:
        run.log.info("beat")

    node = Sereno({"database_url": dsn}, plugins=[beat], entry_points=False)
    app = FastAPI(lifespan=node.lifespan)
    app.mount("/health", asgi.health(node))
    app.mount("/metrics", asgi.metrics(node))
else:
    app = FastAPI()


@app.get("/up")
async def up() -> str:
    return "up"


uvicorn.run(app, port=int(port), loop=loop, log_level="error")
"""

PRIVATE = ("Private_Clean:", "Private_Dirty:")
KINDS = ("alone", "node")
LOOPS = ("asyncio", "uvloop")
SETTLE = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with BenchServer() as server, tempfile.TemporaryDirectory() as cache:
        for number in range(options.repeat + 1):
            for loop in LOOPS:
                for kind in KINDS:
                    with server.database() as dsn:
                        figures = measured(kind, loop, dsn, cache)
                    if number:  # the first round compiles
                        found.setdefault((loop, kind), []).append(figures)
    print("| loop | application alone: USS MB | with a node | **over it** | RSS over it |")
    print("|---|---|---|---|---|")
    for loop in LOOPS:
        alone, node = found[loop, "alone"], found[loop, "node"]
        over = [n[0] - a[0] for n, a in zip(node, alone, strict=True)]
        rss = [n[1] - a[1] for n, a in zip(node, alone, strict=True)]
        shown = [f"{statistics.median(f[0] for f in kind):.1f}" for kind in (alone, node)]
        spread = f"**{statistics.median(over):.1f}** ({min(over):.1f} to {max(over):.1f})"
        print(f"| {loop} | {' | '.join(shown)} | {spread} | {statistics.median(rss):.1f} |")


def measured(kind: str, loop: str, dsn: str, cache: str) -> tuple[float, float]:
    """Return USS and RSS in MB of an application that has been asked, and settled."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", APPLICATION, kind, loop, str(port), dsn],
        env={**os.environ, "PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""},
    )
    try:
        asked(f"http://127.0.0.1:{port}/up", 60)
        time.sleep(SETTLE)  # some slots
        if kind == "node":
            for page in ("health", "metrics"):
                asked(f"http://127.0.0.1:{port}/{page}", 10)
            if b'sereno_runs_total{job="bench.beat",state="succeeded"} 0' in asked(
                f"http://127.0.0.1:{port}/metrics", 10
            ):
                raise SystemExit("the node has run nothing")
        return memory_mb(process.pid)
    finally:
        process.terminate()
        process.wait(60)


def asked(url: str, seconds: float) -> bytes:
    """Return a page, as soon as it is there; a redirect is followed."""
    until = time.monotonic() + seconds
    while True:
        with suppress(OSError):
            body: bytes = urllib.request.urlopen(url, timeout=10).read()
            return body
        if time.monotonic() > until:
            raise SystemExit(f"{url} does not answer")
        time.sleep(0.1)


def memory_mb(pid: int) -> tuple[float, float]:
    """Return USS and RSS."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kilobytes = {line.split()[0]: int(line.split()[1]) for line in lines[1:]}
    return sum(kilobytes[k] for k in PRIVATE) / 1024, kilobytes["Rss:"] / 1024


if __name__ == "__main__":
    main()
