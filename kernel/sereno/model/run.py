"""States of a run, verdicts of a slot, and what may follow what.

queued ──► running ──► succeeded | failed | timed_out | cancelled | lost
  ▲           │
  └── retry ──┘        a retry goes back to `queued` with its next attempt's instant, and so does a
                       run that puts itself off (`snoozed`), which uses up none of its attempts

A slot whose run does not begin at once:

waiting ──► ran | late                 by the statement that claims the run
  ▲   │        │
  │   │        └── given back, never begun
  │   └────► skipped (cancelled) | missed (beyond `start_by`)
  └─────────────┘
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from sereno.model.message import Message

SNOOZED: Literal["snoozed"] = "snoozed"
"""How an attempt ended that put its run off. It is a state of ended attempts, and never a run's."""

RunState = Literal["queued", "running", "succeeded", "failed", "timed_out", "cancelled", "lost"]
Verdict = Literal["waiting", "ran", "late", "coalesced", "skipped", "missed"]
Cause = Literal["slot", "person", "program", "chain", "retry", "backfill", "part"]

FILLED = "backfilled"
"""Stands where a verdict does for a run that a slot had beside its own: of a back-fill, or as its
schedule was resumed."""

FINAL: frozenset[RunState] = frozenset({"succeeded", "failed", "timed_out", "cancelled", "lost"})

LOST_ATTEMPTS = 3
"""A run whose owner died is tried again at most so often, whatever its retry policy says: a job
that kills its process may not depose one leader after another for ever."""


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line that a run said. `at`: aware UTC."""

    at: datetime
    level: str
    logger: str
    message: str


class ProgressUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """The newest words of one attempt. `checkpoint`: JSON bytes, None keeps the old one."""

    run_id: int
    attempt: int
    token: UUID
    done: float | None = None
    total: float | None = None
    note: str | None = None
    checkpoint: bytes | None = None


class RunWarning(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt has warned of, as the `number`-th text, and how often so far."""

    number: int
    message: str
    times: int


class SaidMessage(msgspec.Struct, frozen=True):
    """What an attempt has to say to people. `token`: what the message is known by everywhere."""

    token: UUID
    message: Message


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt ended, written only while this node still owns the run.

    `token`: what the attempt is known by. `state` ``queued``: the run is tried again at `retry_at`;
    `became`: how this attempt ended then, None for ``failed``, `SNOOZED` where it put itself off.
    `result`: JSON text. `begun`: false for an attempt that never was, so it does not count.
    `first_line`: the number of the first of `lines`. `words`: its last, which a retry goes on from.
    `warnings`: all of them. `messages`: those to people that may not be written yet.
    `trace_context`: what follows from it belongs to.
    """

    run_id: int
    job: str
    attempt: int
    token: UUID
    state: RunState
    started_at: datetime
    finished_at: datetime
    result: bytes | None = None
    error: str | None = None
    traceback: str | None = None
    retry_at: datetime | None = None
    became: RunState | Literal["snoozed"] | None = None
    begun: bool = True
    lines: tuple[LogLine, ...] = ()
    first_line: int = 0
    words: ProgressUpdate | None = None
    warnings: tuple[RunWarning, ...] = ()
    messages: tuple[SaidMessage, ...] = ()
    slot: datetime | None = None
    trace_context: str | None = None

    @property
    def released(self) -> bool:
        """Tell whether the run is given back: it waits again, as if it had not been claimed."""
        return self.state == "queued" and not self.begun
