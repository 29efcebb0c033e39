"""What every executor promises."""

from abc import ABC, abstractmethod
from typing import Any

from sereno.engine.clock import steady
from sereno.engine.context import RunContext
from sereno.model.errors import RunError
from sereno.model.job import Job
from sereno.model.policies import Policies


class ChildError(RunError):
    """What a job raised in another process, or how that process ended; `traceback`: its text.

    `final`: another attempt would meet the same.
    """

    def __init__(self, sentence: str, traceback: str | None = None, *, final: bool = False) -> None:
        super().__init__(sentence)
        self.traceback = traceback
        self.final = final


class TooLateError(RunError):
    """The function was not called in time: the run may be another node's by now."""


def make_sure(context: RunContext[Any]) -> None:
    """Raise TooLateError when it is too late to call the function, or to have it called; to be
    asked just before.

    A process may be frozen after it has decided to begin: what wakes may find its run another's.
    """
    if context.begin_by is not None and steady() >= context.begin_by:
        raise TooLateError(f"run {context.run_id} of job '{context.job}' could not begin in time")


class Executor(ABC):
    """Runs one attempt of a job's function and returns its result or raises what it raised."""

    capacity: int | None = None
    """Attempts at once on one node, None for no limit of its own."""

    busy: int = 0
    """Attempts whose function is at work, also those that were left behind."""

    @abstractmethod
    async def execute(self, job: Job, context: RunContext[Any], policies: Policies) -> Any:
        """Run `job` once, unless `make_sure` says that it is too late.

        Cancelling this coroutine asks the function to stop; it returns as soon as the function has,
        or raises at once where the function cannot be made to stop. Raises what the function
        raised.
        """
