import logging
from collections.abc import Iterator
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from sereno.model.ledger import Claim
from sereno.model.run import Outcome
from sereno.tracing import begun, ended
from sereno.tracing.otel import OtelTracer

TOKEN = UUID(int=7)
NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Traced:
    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = OtelTracer(self.provider, "0f-node")

    def run(self, outcome: dict[str, Any] | None = None, **claim: Any) -> ReadableSpan:
        """Trace one attempt, and return its span."""
        span = copy_context().run(begun, self.tracer, claimed(**claim))
        ended(span, over(**(outcome or {})))
        return self.exporter.get_finished_spans()[-1]


@pytest.fixture
def traced() -> Iterator[Traced]:
    found = Traced()
    yield found
    found.provider.shutdown()


def claimed(**changed: Any) -> Claim:
    return Claim(
        **{
            "run_id": 7,
            "job": "etl.sync",
            "attempt": 2,
            "token": TOKEN,
            "params": {},
            "policies": {},
        }
        | changed
    )


def over(**changed: Any) -> Outcome:
    return Outcome(
        **{
            "run_id": 7,
            "job": "etl.sync",
            "attempt": 2,
            "token": TOKEN,
            "state": "succeeded",
            "started_at": NOW,
            "finished_at": NOW + timedelta(seconds=1),
        }
        | changed
    )


def test_a_span_tells_what_the_attempt_is_of(traced: Traced) -> None:
    span = traced.run(slot=NOW, schedule="etl.sync", cause="slot")

    assert span.name == "run etl.sync"
    assert span.parent is None
    assert span.kind is SpanKind.INTERNAL
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}) == {
        "sereno.job": "etl.sync",
        "sereno.run.id": 7,
        "sereno.attempt": 2,
        "sereno.cause": "slot",
        "sereno.schedule": "etl.sync",
        "sereno.slot": "2026-03-01T08:00:00+00:00",
        "sereno.node": "0f-node",
        "sereno.state": "succeeded",
    }


def test_what_was_raised_is_an_event_with_its_traceback(traced: Traced) -> None:
    error = "ValueError: password=*** is refused: at line 3"
    span = traced.run({"state": "failed", "error": error, "traceback": "Traceback ..."})

    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == error
    assert (span.attributes or {})["error.type"] == "ValueError"
    (event,) = span.events
    assert event.name == "exception"
    assert dict(event.attributes or {}) == {
        "exception.type": "ValueError",
        "exception.message": "password=*** is refused: at line 3",
        "exception.stacktrace": "Traceback ...",
    }


@pytest.mark.parametrize(
    ("state", "shown", "status"),
    [
        ("timed_out", "timed_out", StatusCode.ERROR),
        ("lost", "lost", StatusCode.ERROR),
        ("queued", "retried", StatusCode.ERROR),
        ("cancelled", "cancelled", StatusCode.UNSET),
    ],
)
def test_each_end_has_its_status(
    traced: Traced, state: str, shown: str, status: StatusCode
) -> None:
    span = traced.run({"state": state, "error": "it was stopped", "traceback": "(left behind)"})

    attributes = dict(span.attributes or {})
    assert attributes["sereno.state"] == shown
    assert attributes.get("error.type", shown) == shown
    assert span.status.status_code is status
    assert not span.events


def test_a_run_belongs_below_what_it_was_asked_for_with(traced: Traced) -> None:
    span = traced.run(trace_context=f"{GIVEN} {OTHER}", cause="program")

    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}" == GIVEN[3:35]
    assert f"{span.parent.span_id:016x}" == GIVEN[36:52]
    assert span.kind is SpanKind.CONSUMER
    assert [f"{link.context.span_id:016x}" for link in span.links] == [OTHER[36:52]]


def test_a_context_that_is_broken_begins_a_new_trace(traced: Traced) -> None:
    assert traced.run(trace_context="00-xyz").parent is None


def test_who_does_not_sample_is_heard(traced: Traced) -> None:
    span = copy_context().run(begun, traced.tracer, claimed(trace_context=GIVEN[:-2] + "00"))
    assert span is not None
    ended(span, over())

    assert span.traceparent.endswith("-00")
    assert not traced.exporter.get_finished_spans()


def test_the_jobs_own_spans_are_below_the_attempts(traced: Traced) -> None:
    def page() -> None:
        with traced.provider.get_tracer("job").start_as_current_span("page"):
            pass

    job = copy_context()
    span = job.run(begun, traced.tracer, claimed())
    assert span is not None
    job.run(page)
    assert ended(span, over()).trace_context == span.traceparent

    page, attempt = traced.exporter.get_finished_spans()
    assert page.parent == attempt.context
    assert span.traceparent.split("-")[1:3] == [span.trace_id, f"{attempt.context.span_id:016x}"]


def test_a_span_may_be_ended_outside_the_context_that_it_is_current_in(
    traced: Traced, caplog: pytest.LogCaptureFixture
) -> None:
    job = copy_context()
    span = job.run(begun, traced.tracer, claimed())
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert job.run(trace.get_current_span) is not trace.INVALID_SPAN
    ended(span, over())

    assert len(traced.exporter.get_finished_spans()) == 1
    assert not caplog.records


def test_a_run_is_no_child_of_what_happens_to_be_current_where_it_is_started(
    traced: Traced,
) -> None:
    with traced.provider.get_tracer("other").start_as_current_span("a page of the kernel"):
        assert traced.run().parent is None


class Broken(TracerProvider):
    def get_tracer(self, *args: Any, **kwargs: Any) -> Any:
        return object()


def test_a_tracer_that_fails_costs_a_span_and_no_run(caplog: pytest.LogCaptureFixture) -> None:
    tracer = OtelTracer(Broken(shutdown_on_exit=False), "node")

    with caplog.at_level(logging.ERROR, "sereno.tracing"):
        assert begun(tracer, claimed()) is None

    assert "an attempt is not traced" in caplog.text
    assert ended(None, over()) == over()
