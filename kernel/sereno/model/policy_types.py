"""The policies as people write them, for type checkers; `Policies` holds them as checked."""

from datetime import timedelta
from typing import Literal, TypedDict

from sereno.model.error_names import Errors
from sereno.model.policies import CatchUp, OnLost, Overlap, Severity
from sereno.model.retry import Retry

Duration = str | float | timedelta
"""As people write one: "5m", seconds, or a timedelta."""


class RetryTable(TypedDict, total=False):
    """The fields of `Retry`."""

    attempts: int
    delay: Duration
    factor: float
    max_delay: Duration
    jitter: float
    on: Errors
    final: Errors


class SchedulePolicies(TypedDict, total=False):
    """What a schedule may override."""

    timeout: Duration | None
    retry: Retry | RetryTable | int
    overlap: Overlap
    catch_up: CatchUp
    max_catch_up: int | None
    grace: Duration
    max_running: int | None
    concurrency_key: str | None
    priority: int
    on_lost: OnLost
    executor: Literal["async", "thread", "process"]
    memory_limit_mb: int | None


class JobPolicies(SchedulePolicies, total=False):
    """What a job may say: `overdue_after` and `severity` are of the job as a whole."""

    overdue_after: Duration | None
    severity: Severity
