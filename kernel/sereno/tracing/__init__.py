"""A span of OpenTelemetry for each attempt, where the extra ``sereno[otel]`` is set on.

Nothing of opentelemetry is loaded otherwise. What goes wrong here costs a span, never a run.
"""

from sereno.tracing.switch import can_trace, open_tracer
from sereno.tracing.tracer import AttemptSpan, Tracer, begun, ended

__all__ = ["AttemptSpan", "Tracer", "begun", "can_trace", "ended", "open_tracer"]
