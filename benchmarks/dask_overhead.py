"""What Dask distributed adds to a call on a local cluster: submit to result, of a function that
does nothing.

    .venv/bin/python benchmarks/dask_overhead.py [--n 300] [--repeat 3] [--write]

For docs/scaling.md: the floor under an executor that hands runs to other machines. Dask has a
virtual environment of its own; one scheduler and one worker process of one thread, on this machine,
over TCP, with an asynchronous client in the caller's loop, as an executor would use it.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig.contender import ROOT, Contender, ContenderError
from benchmarks.rig.process import wait_for_calm
from benchmarks.rig.report import (
    RESULTS,
    Column,
    Result,
    busiest,
    check_markers,
    keep,
    ms,
    spread,
    write_section,
)

NAME = "dask_overhead"
COLUMNS = (
    Column("start of the cluster s", "start", ".2f"),
    Column("p50 ms", "p50", ms),
    Column("p99 ms", "p99", ms),
    Column("in bulk, calls/s", "rate", ",.0f"),
)
NEEDS = ("distributed==2026.8.0",)
PROGRAM = """
import asyncio, json, sys, time
from distributed import Client, LocalCluster

def noop(i):
    return i

async def main(n):
    begun = time.perf_counter()
    cluster = await LocalCluster(n_workers=1, threads_per_worker=1, processes=True,
                                 dashboard_address=None, asynchronous=True)
    client = await Client(cluster, asynchronous=True)
    start = time.perf_counter() - begun
    for i in range(20):
        await client.submit(noop, -1 - i, pure=False)
    took = []
    for i in range(n):
        begun = time.perf_counter()
        await client.submit(noop, i, pure=False)
        took.append(time.perf_counter() - begun)
    begun = time.perf_counter()
    await client.gather(client.map(noop, range(n, 3 * n), pure=False))
    many = time.perf_counter() - begun
    print(json.dumps({"start": start, "took": took, "rate": 2 * n / many}), flush=True)
    await client.close()
    await cluster.close()

if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
"""


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--n", type=int, default=300, help="calls, one after another")
    options.add_argument("--repeat", type=int, default=3)
    options.add_argument("--results", type=Path, default=RESULTS / f"{NAME}.jsonl")
    options.add_argument("--write", action="store_true", help="write the table into the page")
    options.add_argument("--page", type=Path, default=ROOT / "docs" / "scaling.md")
    chosen = options.parse_args()
    if chosen.write:
        check_markers(chosen.page, NAME)
    dask = Contender("dask", "Dask distributed", "", (), "", NEEDS)
    try:
        python = dask.interpreter()
    except ContenderError as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        sys.exit(2)
    found: list[Result] = []
    for _ in range(chosen.repeat):
        busy = wait_for_calm()
        found.append({"bench": NAME, "busy_before": busy, "figures": once(python, chosen.n)})
        keep(chosen.results, found[-1])
    text = "\n".join(section(found, chosen))
    print(text)
    if chosen.write:
        write_section(chosen.page, NAME, text)


def section(found: list[Result], chosen: argparse.Namespace) -> Iterator[str]:
    """Write the command, the table and what was measured with."""
    yield f"    .venv/bin/python benchmarks/{NAME}.py --n {chosen.n} --repeat {chosen.repeat}"
    yield ""
    yield "| " + " | ".join(c.title for c in COLUMNS) + " |"
    yield "|---" * len(COLUMNS) + "|"
    yield "| " + " | ".join(c.cell(found) for c in COLUMNS) + " |"
    yield ""
    yield f"Medians of {chosen.repeat} (least to most). {', '.join(NEEDS)}; one worker, one thread."
    yield f"Other work before a run: {busiest(found)} of the processors at most."


def once(python: Path, n: int) -> dict[str, float | None]:
    """Run the program in Dask's environment and return its figures."""
    program = python.parent / "dask_overhead_program.py"  # a file: workers import what they run
    program.write_text(PROGRAM)
    ended = subprocess.run([python, program, str(n)], capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"dask_overhead: the cluster failed: {ended.stderr[-2000:]}")
    told = json.loads(ended.stdout.splitlines()[-1])
    return {"start": told["start"], **spread(told["took"]), "rate": told["rate"]}


if __name__ == "__main__":
    main()
