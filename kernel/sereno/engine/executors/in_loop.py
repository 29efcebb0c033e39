"""Runs ``async def`` jobs in the kernel's own event loop."""

from typing import Any

from sereno.engine.context import RunContext
from sereno.engine.executors.executor import make_sure
from sereno.model.executor import Executor
from sereno.model.job import Job
from sereno.model.policies import Policies


class InLoop(Executor):
    """The cheapest executor: a job that never awaits holds everything up, and is named for it."""

    async def execute(self, job: Job, context: RunContext[Any], policies: Policies) -> Any:
        """Await the function."""
        make_sure(context)
        return await job.function(context)
