"""The jobs of `benchmarks/dask.py`: one function, on a Dask worker and in a replica's process; and
one that is due on the leader each second."""

import time
from typing import Any

from sereno import RunContext, every, job


def computed(seconds: float) -> int:
    """Compute for so much processor time of this thread."""
    end, turns = time.thread_time() + seconds, 0
    while time.thread_time() < end:
        turns += 1
    return turns


def work(run: RunContext[dict[str, Any]]) -> int:
    """Compute as long as its params say."""
    return computed(run.params["seconds"])


far = job("dask_jobs.far", executor="dask")(work)
near = job("dask_jobs.near", executor="process")(work)


@job("dask_jobs.tick", schedule=every("1s"), runs_on="leader")
async def tick(run: RunContext[Any]) -> None:
    """Begin on the leader."""
