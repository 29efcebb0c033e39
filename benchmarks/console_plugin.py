"""The plugin of benchmarks/console.py: a job a second, and a hundred with a history made in SQL."""

from typing import Any

from benchmarks.apps_plugin import tick
from sereno import RunContext, hookimpl, job

JOBS = 100


def kept(number: int) -> Any:
    """Return a job that has runs, and makes none."""

    @job(f"bench.j{number}", schedule=None, title=f"Job {number}", tags=("bench",))
    async def nothing(run: RunContext) -> None:
        return None

    return nothing


@hookimpl
def sereno_register_jobs() -> list[Any]:
    return [tick, *(kept(number) for number in range(JOBS))]
