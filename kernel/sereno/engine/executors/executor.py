"""Whether it is too late to begin: what every executor asks before it calls a function."""

from typing import Any

from sereno.engine.clock import steady
from sereno.engine.context import RunContext
from sereno.model.errors import RunError


class TooLateError(RunError):
    """The function was not called in time: the run may be another node's by now."""


class CutOffError(RunError):
    """The function was ended, as the run may be another node's before long."""


def make_sure(context: RunContext[Any]) -> None:
    """Raise TooLateError when it is too late to call the function, or to have it called; to be
    asked just before.

    A process may be frozen after it has decided to begin: what wakes may find its run another's.
    """
    if context.begin_by is not None and steady() >= context.begin_by:
        raise TooLateError(f"run {context.run_id} of job '{context.job}' could not begin in time")
