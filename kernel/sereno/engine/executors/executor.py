"""What every executor promises."""

from abc import ABC, abstractmethod
from typing import Any

from sereno.engine.context import RunContext
from sereno.model.errors import RunError
from sereno.model.job import Job
from sereno.model.policies import Policies


class ChildError(RunError):
    """What a job raised in another process, or how that process ended; `traceback`: its text."""

    def __init__(self, sentence: str, traceback: str | None = None) -> None:
        super().__init__(sentence)
        self.traceback = traceback


class Executor(ABC):
    """Runs one attempt of a job's function and returns its result or raises what it raised."""

    capacity: int | None = None
    """Attempts at once on one node, None for no limit of its own."""

    @abstractmethod
    async def execute(self, job: Job, context: RunContext[Any], policies: Policies) -> Any:
        """Run `job` once.

        Cancelling this coroutine asks the function to stop; it returns as soon as the function has,
        or raises at once where the function cannot be made to stop. Raises what the function
        raised.
        """
