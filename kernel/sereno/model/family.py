"""Decides whether a metric of a plugin may stand on the page, by the rules that Prometheus' own
libraries hold their callers to."""

import re
from collections.abc import Iterable, Mapping
from math import inf, isinf, isnan
from typing import Any

from sereno.model.errors import DeclarationError
from sereno.model.metric import Metric, Sample

_NAME = re.compile(r"(?!sereno_|process_|python_)[a-z][a-z0-9_]{0,199}")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]{0,199}")
_KINDS = ("counter", "gauge")
_MAX_VALUE = 1_000
_REFUSED = re.compile("[\x00\ud800-\udfff]")


def check_metric(metric: object) -> None:
    """Raise DeclarationError, a sentence, when `metric` would make the page unreadable."""
    if not isinstance(metric, Metric):
        raise DeclarationError(f"{metric!r:.100} is no Metric")
    name: object = metric.name
    kind: object = metric.kind
    meaning: object = metric.meaning
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DeclarationError(
            f"the metric {name!r:.100} needs a name of lower-case letters, digits and '_', 200 at "
            "most; sereno_, process_ and python_ are the kernel's"
        )
    if kind not in _KINDS:
        raise DeclarationError(
            f"the metric '{name}' is a {kind!r:.40}; a collector gives counters and gauges"
        )
    if name.endswith("_total") != (kind == "counter"):
        raise DeclarationError(
            f"the metric '{name}' is a {kind}; a counter's name, and no other, ends in _total"
        )
    if not isinstance(meaning, str) or _REFUSED.search(meaning):
        raise DeclarationError(
            f"the metric '{name}': its meaning is {meaning!r:.100}, it must be a text"
        )


def names_of(metric: Metric) -> Iterable[str]:
    """Return every name that `metric` takes: a counter's series have others in OpenMetrics."""
    base = metric.name.removesuffix("_total")
    if metric.kind == "counter":
        return (metric.name, base, f"{base}_created")
    return (metric.name,)


def check_labels(metric: Metric, labels: Mapping[Any, Any]) -> Mapping[str, str]:
    """Return `labels`; raises ValueError when no page may hold them."""
    for name, value in labels.items():
        if not isinstance(name, str) or not _LABEL.fullmatch(name):
            raise ValueError(f"{metric.name}: {name!r:.60} is no name of a label")
        if not isinstance(value, str):
            raise ValueError(f"{metric.name}: label '{name}' is {value!r:.60}, it must be a text")
        if len(value) > _MAX_VALUE:
            raise ValueError(
                f"{metric.name}: label '{name}' has {len(value)} characters, {_MAX_VALUE} are the "
                "most"
            )
        if _REFUSED.search(value):
            raise ValueError(f"{metric.name}: label '{name}' is {value!r:.60}, which no page holds")
    return labels


def checked_value(sample: Sample) -> float:
    """Return the sample's value; raises ValueError when it is no number, or no count."""
    value, name = float(sample.value), sample.metric.name
    if isnan(value):
        raise ValueError(f"{name}: its value is no number")
    if sample.metric.kind == "counter" and not 0 <= value < inf:
        raise ValueError(f"{name}: its value is {value}; a counter counts from 0 on")
    return value


def number(value: float) -> str:
    """Return `value` as pages write it."""
    if isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(value)
