"""What Dask distributed adds to a call on a local cluster: submit to result, of a function that
does nothing.

    .venv/bin/python benchmarks/dask_overhead.py [--n 500] [--repeat 3]

For docs/scaling.md: the floor under an executor that hands runs to other machines. Dask has a
virtual environment of its own; one scheduler and one worker process of one thread, on this machine,
over TCP, with an asynchronous client in the caller's loop, as an executor would use it.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.rig.contender import Contender, ContenderError
from benchmarks.rig.process import wait_for_calm
from benchmarks.rig.report import RESULTS, keep, percentile

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
    await client.gather(client.map(noop, range(n, n + 10 * n), pure=False))
    many = time.perf_counter() - begun
    print(json.dumps({"start": start, "took": took, "rate": 10 * n / many}), flush=True)
    await client.close()
    await cluster.close()

if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
"""


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--n", type=int, default=500, help="calls, one after another")
    options.add_argument("--repeat", type=int, default=3)
    options.add_argument("--results", type=Path, default=RESULTS / "dask_overhead.jsonl")
    chosen = options.parse_args()
    dask = Contender("dask", "Dask distributed", "", (), "", NEEDS)
    try:
        python = dask.interpreter()
    except ContenderError as error:
        sys.exit(f"dask_overhead: {error}")
    found = []
    for _ in range(chosen.repeat):
        busy = wait_for_calm()
        figures = once(python, chosen.n)
        found.append(figures)
        keep(chosen.results, {"bench": "dask_overhead", "busy_before": busy, "figures": figures})
    print("| start of the cluster s | p50 ms | p99 ms | in bulk, calls/s |\n|---|---|---|---|")
    cells = (("start", 1, ".2f"), ("p50", 1000, ".2f"), ("p99", 1000, ".2f"), ("rate", 1, ",.0f"))
    print(
        "| " + " | ".join(written([key[1] * f[key[0]] for f in found], key[2]) for key in cells),
        "|",
    )
    print(f"\nMedians of {chosen.repeat} (least to most). {', '.join(NEEDS)}, 1 worker, 1 thread.")


def once(python: Path, n: int) -> dict[str, float]:
    """Run the program in Dask's environment and return its figures."""
    program = python.parent / "dask_overhead_program.py"  # a file: workers import what they run
    program.write_text(PROGRAM)
    ended = subprocess.run([python, program, str(n)], capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(f"dask_overhead: the cluster failed: {ended.stderr[-2000:]}")
    told = json.loads(ended.stdout.splitlines()[-1])
    took = told["took"]
    return {
        "start": told["start"],
        "p50": percentile(took, 0.5),
        "p99": percentile(took, 0.99),
        "rate": told["rate"],
    }


def written(values: list[float], form: str) -> str:
    """Return the median, with least and most."""
    least, most = min(values), max(values)
    return f"{statistics.median(values):{form}} ({least:{form}} to {most:{form}})"


if __name__ == "__main__":
    main()
