"""The jobs of `benchmarks/replicas.py`: one that computes, and two that are due each second."""

import time
from typing import Any

from sereno import RunContext, every, hookimpl, job

COMPUTED = 0.005
"""Seconds of processor time of one run."""

EVERY_SECOND = every("1s")


@job("replicas.compute")
def compute(run: RunContext[Any]) -> int:
    """Compute for 5 ms of processor time of this thread."""
    end, turns = time.thread_time() + COMPUTED, 0
    while time.thread_time() < end:
        turns += 1
    return turns


@job("replicas.here", schedule=EVERY_SECOND, runs_on="leader")
async def here(run: RunContext[Any]) -> None:
    """Begin on the leader."""


@job("replicas.there", schedule=EVERY_SECOND, runs_on=["there"])
async def there(run: RunContext[Any]) -> None:
    """Begin on a replica with a label."""


@hookimpl
def sereno_register_jobs() -> list[Any]:
    return [compute, here, there]
