"""What the engine asks of a tracer, and that no fault of one reaches a run."""

import logging
from typing import Protocol

import msgspec

from sereno.model.ledger import Claim
from sereno.model.run import Outcome

log = logging.getLogger("sereno.tracing")


class AttemptSpan(Protocol):
    """The span of one attempt. `traceparent`: for what belongs below it; `trace_id`: hex."""

    traceparent: str
    trace_id: str

    def end(self, outcome: Outcome) -> None:
        """End it as the attempt has ended."""
        ...


class Tracer(Protocol):
    """Makes spans, and sends them from a thread of its own."""

    def begin(self, claim: Claim) -> AttemptSpan | None:
        """Begin the span of an attempt, and make it the current one of this context.

        None when the provider makes none that another could belong to.
        """
        ...

    def enter(self, traceparent: str) -> None:
        """Make what follows in this context belong below `traceparent`: in a child process."""
        ...

    def close(self, limit: float) -> None:
        """Send what is left; blocks, for `limit` seconds at most."""
        ...


def begun(tracer: Tracer | None, claim: Claim) -> AttemptSpan | None:
    """Return the span of an attempt, the current one from now on, None without tracing."""
    if tracer is None:
        return None
    try:
        return tracer.begin(claim)
    except Exception:
        log.exception("an attempt is not traced", extra={"run": claim.run_id})
        return None


def ended(span: AttemptSpan | None, outcome: Outcome) -> Outcome:
    """End `span` as `outcome` tells, and return it with the context of what follows from it."""
    if span is None:
        return outcome
    try:
        span.end(outcome)
    except Exception:
        log.exception("a span cannot be ended", extra={"run": outcome.run_id})
    return msgspec.structs.replace(outcome, trace_context=span.traceparent)
