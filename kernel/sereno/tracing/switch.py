"""Decides whether attempts are traced: the setting, then OpenTelemetry's own variables."""

import logging
import os
from collections.abc import Mapping
from importlib.util import find_spec

from sereno.model.errors import ConfigurationError
from sereno.model.lazy import lazy
from sereno.settings import Settings, TracingSettings
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


def can_trace(settings: Settings, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether attempts are to be traced, and OpenTelemetry is installed.

    Raises ConfigurationError when the settings ask for it in vain; a variable, which every
    container of a cluster may have, is a wish alone.
    """
    chosen = settings.tracing
    if not is_on(chosen, environ):
        return False
    try:
        if find_spec("opentelemetry.sdk") is not None:
            return True
    except ModuleNotFoundError:
        pass
    if chosen.enabled == "on" or chosen.endpoint is not None:
        place = settings.place("tracing", "enabled" if chosen.enabled == "on" else "endpoint")
        raise ConfigurationError(
            f"{place}: tracing is on, and OpenTelemetry is not installed; {_REMEDY}"
        )
    log.warning(
        "not traced: the environment asks for it, and OpenTelemetry is not installed",
        extra={"remedy": _REMEDY},
    )
    return False


def open_tracer(
    settings: TracingSettings, node: str, environ: Mapping[str, str] = os.environ
) -> Tracer:
    """Return the tracer of this process, where `can_trace` is true. `node`: this replica's id.

    Raises ConfigurationError when the exporter that is asked for cannot be had.
    """
    # It imports opentelemetry, which a node without tracing does not pay.
    tracer: Tracer = lazy("sereno.tracing.otel").set_up(settings, node, environ)
    return tracer
