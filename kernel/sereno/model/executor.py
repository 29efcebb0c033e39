"""Where a job's function runs: what every executor promises, and by which names jobs ask for them.

The names are this process's: plugins' executors are learnt before any plugin is asked for jobs, as
kinds of trigger are, so that each job can be held to those that there are.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from sereno.model.errors import DeclarationError, RunError
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


def _always() -> bool:
    return True


class ExecutorNode(msgspec.Struct, frozen=True, kw_only=True):
    """The node that an executor is of.

    `id`, `label`: how it is known. `lease`: how long nobody takes its runs after it has fallen
    silent. `in_touch`: whether that cannot have begun: the database has said something of late.
    `worker_settings`: what ``sereno.Sereno(...)`` makes another node of, which only works
    for this one's cluster: on the same database, with the same jobs (it holds secrets: never log
    it). `tracing`, `clients`: for children of this node, None where there are none.
    """

    id: UUID
    label: str
    lease: timedelta
    in_touch: Callable[[], bool] = _always
    worker_settings: Any = None
    tracing: Any = None
    clients: type[Any] | None = None


class Executor(ABC):
    """Runs one attempt of a job's function and returns its result or raises what it raised.

    The node has claimed the attempt before, under a token, and writes its outcome after; it alone
    tries again. See docs/executors.md for what is promised.
    """

    capacity: int | None = None
    """Attempts at once on this node, None for no limit of its own, 0: on other nodes alone.

    A limit may change at any time, and be 0 for a while: what is at work goes on, and what was
    handed to the node and has not begun is taken elsewhere.
    """

    busy: int = 0
    """Attempts whose function is at work, also those that were left behind."""

    async def begin(self, node: ExecutorNode) -> None:  # noqa: B027 - most need none
        """Be opened, before the first attempt; what it raises ends the node."""

    async def close(self) -> None:  # noqa: B027
        """Be closed, after the last attempt."""

    def check(self, job: Job) -> None:  # noqa: B027
        """Raise DeclarationError where this executor cannot run `job`, whatever its params."""

    def process_of(self, token: UUID) -> int | None:
        """Return the number of the process in which the attempt of `token` works, None for none."""
        return os.getpid()

    @abstractmethod
    async def execute(self, job: Job, context: Any, policies: Policies) -> Any:
        """Run `job` once, unless `make_sure` says that it is too late. `context`: the RunContext
        that the function is given.

        Cancelling this coroutine asks the function to stop; it returns as soon as the function has,
        or raises at once where the function cannot be made to stop. Raises what the function
        raised.
        """


_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def check_executor_name(name: object) -> str:
    """Return the name of a plugin's executor; raises DeclarationError."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DeclarationError(
            f"the executor {name!r:.100} needs a name of lower-case letters, digits, '_' and '-', "
            "of 40 at most"
        )
    return name
