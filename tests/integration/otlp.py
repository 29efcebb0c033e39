"""A collector of spans: a real HTTP server that reads what OTLP exporters post to it."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from ..servers.web import Handler, serving


@dataclass(frozen=True, slots=True)
class Span:
    """A span as it arrived; ids in hex, `parent` is "" for the first of a trace."""

    name: str
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]
    attributes: dict[str, Any]
    failed: bool
    events: tuple[dict[str, Any], ...]
    resource: dict[str, Any]

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace}-{self.id}-01"


@dataclass
class Collector:
    url: str = ""
    headers: list[dict[str, str]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str, **attributes: Any) -> Span | None:
        """Return the one span of that name with these attributes, their dots as underscores."""
        wanted = {key.replace("_", "."): value for key, value in attributes.items()}
        found = [s for s in self.named(name) if wanted.items() <= s.attributes.items()]
        assert len(found) < 2, found
        return found[0] if found else None


@contextmanager
def collecting() -> Iterator[Collector]:
    found = Collector()

    class Posted(Handler):
        def do_POST(self) -> None:
            body = self.body()
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/traces":
                found.headers.append({k.lower(): v for k, v in self.headers.items()})
                found.spans += _read(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    with serving(Posted) as found.url:
        yield found


def _read(body: bytes) -> Iterator[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    for resource_spans in request.resource_spans:
        resource = _values(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield Span(
                    name=span.name,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    links=tuple(link.span_id.hex() for link in span.links),
                    attributes=_values(span.attributes),
                    failed=span.status.code == 2,
                    events=tuple(_values(event.attributes) for event in span.events),
                    resource=resource,
                )


def _values(pairs: Any) -> dict[str, Any]:
    return {p.key: getattr(p.value, str(p.value.WhichOneof("value"))) for p in pairs}
