"""Decides when a job that works in batches stops before its time limit."""

from datetime import timedelta
from typing import Any

from sereno import RunContext

MARGIN = timedelta(seconds=15)


def out_of_time(run: RunContext[Any]) -> bool:
    """Tell whether less time is left than one batch may take."""
    return run.deadline is not None and run.now() >= run.deadline - MARGIN
