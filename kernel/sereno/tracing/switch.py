"""Decides whether attempts are traced: the setting, then OpenTelemetry's own variables."""

import logging
import os
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec

from sereno.model.errors import ConfigurationError
from sereno.settings import TracingSettings
from sereno.tracing.tracer import Tracer

log = logging.getLogger("sereno.tracing")

_WHERE = (
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
)
_REMEDY = 'install it with: pip install "sereno[otel]"'


def is_on(settings: TracingSettings, environ: Mapping[str, str]) -> bool:
    """Tell whether attempts are to be traced; `environ` may switch off what is switched on."""
    off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if off or environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return False
    if settings.enabled != "auto":
        return settings.enabled == "on"
    return settings.endpoint is not None or any(environ.get(name) for name in _WHERE)


def open_tracer(
    settings: TracingSettings,
    node: str,
    *,
    place: str = "tracing.enabled",
    environ: Mapping[str, str] = os.environ,
) -> Tracer | None:
    """Return the tracer of this process, None where none is wanted.

    `node`: this replica's id. `place`: where the setting stands. Raises ConfigurationError
    when it is asked for and cannot be; a variable that every container of a cluster has is a wish.
    """
    if not is_on(settings, environ):
        return None
    asked = settings.enabled == "on" or settings.endpoint is not None
    try:
        if find_spec("opentelemetry.sdk") is None:
            raise ModuleNotFoundError
    except ModuleNotFoundError:
        if asked:
            raise ConfigurationError(
                f"{place}: tracing is on, and OpenTelemetry is not installed; {_REMEDY}"
            ) from None
        log.warning(
            "not traced: the environment asks for it, and OpenTelemetry is not installed",
            extra={"remedy": _REMEDY},
        )
        return None
    # Loaded by name: the module imports opentelemetry, which a node without tracing does not pay.
    tracer: Tracer = import_module("sereno.tracing.otel").set_up(settings, node, environ)
    return tracer
