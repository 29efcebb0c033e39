"""What is given to operations of runs."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Instant = Annotated[datetime, Meta(tz=True)]
Limit = Annotated[int, Meta(ge=1, le=1_000)]
LISTED = 50
"""So many are on a page, where nobody says how many."""

Text = Annotated[str, Meta(max_length=1_000)]
Name = Annotated[str, Meta(min_length=1, max_length=1_000)]
State = Literal["queued", "running", "succeeded", "failed", "timed_out", "cancelled", "lost"]
Cause = Literal["slot", "person", "program", "chain", "retry", "backfill", "part"]


class RunWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run to be queued. `delay`: in place of `run_at`; it, `unique_for` and `start_by` are
    durations, as ``10m``."""

    params: dict[str, Any] = {}
    run_at: Instant | None = None
    delay: Text | None = None
    priority: int | None = None
    unique_key: Text | None = None
    unique_for: Text | None = None
    unique_by: tuple[str, ...] | None = None
    start_by: Text | None = None
    traceparent: Text | None = None
    tags: tuple[str, ...] = ()
    alone: bool = False
    place: Name | None = None


class BatchWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Runs to be queued: one for each of `params`."""

    params: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=10_000)]
    run_at: Instant | None = None
    delay: Text | None = None
    priority: int | None = None
    unique_keys: list[str] | None = None
    unique_for: Text | None = None
    unique_by: tuple[str, ...] | None = None
    start_by: Text | None = None
    tags: tuple[str, ...] = ()


class FilterQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which runs. `params`: a JSON object that is among the run's."""

    job: Text | None = None
    states: tuple[State, ...] = ()
    causes: tuple[Cause, ...] = ()
    tags: tuple[Name, ...] = ()
    schedule: Name | None = None
    node: Name | None = None
    requested_by: Name | None = None
    since: Instant | None = None
    until: Instant | None = None
    params: Text | None = None
    error: Name | None = None


class RunsQuery(FilterQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which runs, and which page of them."""

    limit: Limit = 50
    cursor: Text | None = None


class LogsQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which lines, and which page of them. `level`: the least; `text`: in the message."""

    level: Name | None = None
    job: Text | None = None
    since: Instant | None = None
    until: Instant | None = None
    text: Name | None = None
    limit: Limit = 100
    cursor: Text | None = None


class RunQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of a run. `reveal`: with its secrets, which is noted."""

    lines: Annotated[int, Meta(ge=0, le=1_000)] = 20
    reveal: bool = False


class WaitQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long to wait for a run's end, in seconds."""

    seconds: Annotated[float, Meta(ge=0, le=30)] = 20


class RunLogQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lines after the last one that is known."""

    attempt: Annotated[int, Meta(ge=1, le=2_000_000_000)] = 1
    line: Annotated[int, Meta(ge=-1, le=2_000_000_000)] = -1
    limit: Limit = 1_000


class Reason(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why."""

    reason: Text = ""


class RetryWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run to be queued again. `params`: the secret ones, which were not kept."""

    params: dict[str, Any] = {}


class QueuedRun(Struct, frozen=True):
    """The number of a run that was queued."""

    run_id: int
