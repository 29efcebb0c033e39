"""Makes the spans with OpenTelemetry; the only module that knows it, and loaded on demand.

An application that has set a tracer provider of its own (`opentelemetry-instrument sereno run`)
keeps it: spans then go where it sends them.
"""

import logging
import re
import threading
from collections.abc import Mapping
from importlib.metadata import entry_points, version
from typing import Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode, TraceFlags

from sereno.model.errors import ConfigurationError
from sereno.model.ledger import Claim
from sereno.model.run import SNOOZED, Outcome
from sereno.model.trace import traceparents
from sereno.settings import TracingSettings, redact

log = logging.getLogger("sereno.tracing")

_GROUP = "opentelemetry_traces_exporter"
_PROTOCOLS = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
_RAISED = re.compile(r"([A-Za-z_]\w*): ")
_BAD = frozenset({"failed", "timed_out", "lost", "queued"})


class OtelSpan:
    """The span of one attempt: the current one of the context that began it, the job's own. It may
    be ended in any other."""

    def __init__(self, span: Span) -> None:
        self._span = span
        found = span.get_span_context()
        self.trace_id = f"{found.trace_id:032x}"
        self.traceparent = f"00-{self.trace_id}-{found.span_id:016x}-{found.trace_flags:02x}"
        contexts.attach(trace.set_span_in_context(span, contexts.Context()))

    def end(self, outcome: Outcome) -> None:
        """End it as the attempt has ended; its texts are redacted already."""
        span, error = self._span, outcome.error
        snoozed = outcome.became == SNOOZED
        state = "retried" if outcome.state == "queued" else outcome.state
        span.set_attribute("sereno.state", SNOOZED if snoozed else state)
        if outcome.state in _BAD and not snoozed:
            raised = _RAISED.match(error or "")
            span.set_attribute("error.type", raised[1] if raised else state)
            span.set_status(StatusCode.ERROR, (error or state).partition("\n")[0])
            if raised and error and outcome.traceback:
                span.add_event(
                    "exception",
                    {
                        "exception.type": raised[1],
                        "exception.message": error[raised.end() :],
                        "exception.stacktrace": outcome.traceback,
                    },
                )
        span.end()


class OtelTracer:
    """Makes spans with `provider`. `node`: this replica's id."""

    def __init__(self, provider: trace.TracerProvider, node: str) -> None:
        self._provider = provider
        self._node = node
        self._tracer = provider.get_tracer("sereno", version("sereno"))

    def begin(self, claim: Claim) -> OtelSpan | None:
        """Begin the span of an attempt, and make it the current one of this context."""
        found = [_span_context(text) for text in traceparents(claim.trace_context)]
        parent = found[0] if found else None
        facts: dict[str, str | int | None] = {
            "sereno.job": claim.job,
            "sereno.run.id": claim.run_id,
            "sereno.attempt": claim.attempt,
            "sereno.cause": claim.cause,
            "sereno.schedule": claim.schedule,
            "sereno.slot": None if claim.slot is None else claim.slot.isoformat(),
            "sereno.node": self._node,
        }
        span = self._tracer.start_span(
            f"run {claim.job}",
            context=_below(parent),
            kind=SpanKind.INTERNAL if parent is None else SpanKind.CONSUMER,
            attributes={key: value for key, value in facts.items() if value is not None},
            links=[Link(other) for other in found[1:]],
        )
        return OtelSpan(span) if span.get_span_context().is_valid else None

    def enter(self, traceparent: str) -> None:
        """Make what follows in this context belong below `traceparent`: in a child process.

        What the exporter complains of there would stand among the words of the job.
        """
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        for found in traceparents(traceparent)[:1]:
            contexts.attach(_below(_span_context(found)))

    def close(self, limit: float) -> None:
        """Send what is left; blocks, for `limit` seconds at most."""
        flush: Any = getattr(self._provider, "force_flush", None)
        if flush is None:
            return
        # A thread that may be left behind: the SDK does not keep to the limit it is given.
        flushing = threading.Thread(target=flush, daemon=True, name="spans")
        flushing.start()
        flushing.join(limit)
        if flushing.is_alive():
            log.warning("spans are left behind", extra={"seconds": limit})


def set_up(settings: TracingSettings, node: str, environ: Mapping[str, str]) -> OtelTracer:
    """Return this process's tracer, with the provider that is set, or with a new one of ours.

    Raises ConfigurationError when the exporter that is asked for cannot be had.
    """
    found = trace.get_tracer_provider()
    if isinstance(found, trace.ProxyTracerProvider):
        exporter = _exporter(settings, environ)
        logging.getLogger("urllib3").setLevel(logging.WARNING)  # each batch would have its line
        facts = {"service.instance.id": node, "service.version": version("sereno")}
        if not environ.get("OTEL_SERVICE_NAME") and "service.name=" not in environ.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        ):
            facts["service.name"] = settings.service_name
        # It is closed by us, within a limit; its own way at exit waits for half a minute.
        provider = TracerProvider(resource=Resource.create(facts), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(provider)
        found = provider
    return OtelTracer(found, node)


def _exporter(settings: TracingSettings, environ: Mapping[str, str]) -> SpanExporter:
    name = environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp"
    if name == "otlp":
        protocol = (
            environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
            or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
            or "http/protobuf"
        )
        name = _PROTOCOLS.get(protocol, protocol)
    chosen: dict[str, str] = {}
    if name == "otlp_proto_http" and settings.endpoint is not None and not _placed(environ):
        chosen["endpoint"] = f"{settings.endpoint.rstrip('/')}/v1/traces"
    for point in entry_points(group=_GROUP, name=name):
        try:
            exporter: SpanExporter = point.load()(**chosen)
        except Exception as error:
            raise ConfigurationError(
                f"tracing: the exporter '{name}' cannot be used: "
                + redact(f"{type(error).__name__}: {error}")
            ) from error
        return exporter
    known = ", ".join(sorted({point.name for point in entry_points(group=_GROUP)}))
    raise ConfigurationError(
        f"tracing: no exporter '{name}' is installed, which OTEL_TRACES_EXPORTER and "
        f"OTEL_EXPORTER_OTLP_PROTOCOL ask for; there are: {known}"
    )


def _placed(environ: Mapping[str, str]) -> bool:
    names = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return any(environ.get(name) for name in names)


def _span_context(traceparent: str) -> SpanContext:
    _, trace_id, span_id, flags = traceparent.split("-")[:4]
    sampled = TraceFlags(int(flags, 16) & TraceFlags.SAMPLED)
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=sampled)


def _below(parent: SpanContext | None) -> contexts.Context:
    empty = contexts.Context()
    if parent is None:
        return empty  # not below whatever is current where the run was started
    return trace.set_span_in_context(trace.NonRecordingSpan(parent), empty)
