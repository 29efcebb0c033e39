"""The policies as people write them, for type checkers; `Policies` holds them as checked."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, TypedDict

from sereno.model.error_names import Errors
from sereno.model.policies import CatchUp, LogLevel, OnLost, Overlap, Scope, Severity
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


class ConcurrencyTable(TypedDict, total=False):
    """Of the runs that share a key, how many may work at once; ``{name}`` stands for a param."""

    key: str | None
    limit: int


class SchedulePolicies(TypedDict, total=False):
    """What a schedule may override."""

    timeout: Duration | None
    retry: Retry | RetryTable | int
    overlap: Overlap
    catch_up: CatchUp
    max_catch_up: int | None
    grace: Duration
    start_by: Duration | None
    max_running: int | None
    concurrency: ConcurrencyTable | None
    concurrency_key: str | None
    concurrency_limit: int
    priority: int
    on_lost: OnLost
    executor: str
    runs_on: Literal["any", "leader"] | Sequence[str]
    memory_limit_mb: int | None
    keep_result: bool
    log_level: LogLevel | None
    stalled_after: Duration | None


class JobPolicies(SchedulePolicies, total=False):
    """What a job may say: these are of the job as a whole, over its schedules."""

    keep_for: Duration | None
    keep_runs: int | None
    min_interval: Duration | None
    unique_for: Duration | None
    unique_by: Sequence[str] | None
    overdue_after: Duration | None
    severity: Severity
    scope: Scope
