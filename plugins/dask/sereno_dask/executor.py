"""The executors as a replica has them: known to its jobs, with places on workers alone."""

import asyncio
from typing import Any

from sereno import DeclarationError, Executor, ExecutorNode, FinalError, InProcess, Job
from sereno_dask.link import Link
from sereno_dask.settings import Settings

_CHILDREN = InProcess(1)
"""What runs a job on a worker, here only asked what it takes."""


class Elsewhere(Executor):
    """Has no places on a replica. `settings`: of the cluster that it keeps a link to, None where
    another one does."""

    capacity = 0

    def __init__(self, settings: Settings | None) -> None:
        self._settings = settings
        self._link: Link | None = None

    async def begin(self, node: ExecutorNode) -> None:
        """Have the workers host nodes from now on."""
        if self._settings is not None and self._settings.connects:
            self._link = Link(self._settings, node)
            self._link.start()

    async def close(self) -> None:
        """Drop the link: workers go on; those that are this replica's own end."""
        if self._link is not None:
            await asyncio.to_thread(self._link.stop)

    def check(self, job: Job) -> None:
        """Raise DeclarationError where a worker's child could not find the function."""
        _CHILDREN.check(job)
        if job.policies.runs_on == "leader":
            raise DeclarationError(
                f"job '{job.name}': executor '{job.policies.executor}' works on workers alone, and "
                "runs_on is 'leader'; leave that out"
            )

    async def execute(self, job: Job, context: Any, policies: Any) -> Any:
        """Raise FinalError: the leader never has a place here."""
        raise FinalError(f"job '{job.name}': executor '{policies.executor}' works on workers alone")
