"""Gives what the kernel needs of prometheus_client, without its servers, which no node needs.

The package's ``__init__`` imports an HTTP server, a WSGI server and an HTTP client: 2.3 MB in every
replica, against a quarter of one for registry and metrics (docs/adr/0006). So it is run once
somebody asks the package for a name of its own, as ``from prometheus_client import Counter`` does.
"""

# ruff: noqa: E402 - the package is prepared before its parts are imported

import sys
import threading
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

_NAME = "prometheus_client"
_OPENING = threading.RLock()
_opened: set[str] = set()


class _Unopened(ModuleType):
    """The package, until a name is asked for that only its ``__init__`` can give."""

    def __getattr__(self, name: str) -> Any:
        # The import system asks for names that need not be there.
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)
        if find_spec(f"{_NAME}.{name}") is not None:
            return import_module(f"{_NAME}.{name}")
        with _OPENING:  # others wait until all names are there
            _open(self)
        if name not in self.__dict__:
            raise AttributeError(f"module '{_NAME}' has no attribute '{name}'")
        return self.__dict__[name]


def _open(package: ModuleType) -> None:
    if _NAME in _opened:
        return
    _opened.add(_NAME)  # before: what it imports may ask it in turn
    spec: Any = package.__spec__
    spec.loader.exec_module(package)
    object.__setattr__(package, "__class__", ModuleType)


def _prepare() -> None:
    spec = None if _NAME in sys.modules else find_spec(_NAME)
    if spec is not None:
        package = module_from_spec(spec)
        object.__setattr__(package, "__class__", _Unopened)
        sys.modules[_NAME] = package


_prepare()

from prometheus_client.core import (
    Counter,
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.gc_collector import GC_COLLECTOR
from prometheus_client.openmetrics.exposition import (
    UNDERSCORES,
    escape_label_name,
    escape_metric_name,
)
from prometheus_client.openmetrics.exposition import generate_latest as write_openmetrics
from prometheus_client.platform_collector import PLATFORM_COLLECTOR
from prometheus_client.process_collector import PROCESS_COLLECTOR
from prometheus_client.registry import REGISTRY, CollectorRegistry
from prometheus_client.utils import floatToGoString

__all__ = [
    "GC_COLLECTOR",
    "PLATFORM_COLLECTOR",
    "PROCESS_COLLECTOR",
    "REGISTRY",
    "UNDERSCORES",
    "CollectorRegistry",
    "Counter",
    "CounterMetricFamily",
    "GaugeMetricFamily",
    "Metric",
    "escape_label_name",
    "escape_metric_name",
    "floatToGoString",
    "write_openmetrics",
]
