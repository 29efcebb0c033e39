"""Decides whether what a collector of prometheus_client gives may stand on the page, and writes it
as that library does.

The library writes what it is given: it is the rules of its metrics, and of Prometheus, that are
checked here, of collectors that somebody has written as of its own Counter, Gauge and Histogram.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from math import isnan
from typing import Any

from sereno.observe.client_library import (
    UNDERSCORES,
    Metric,
    escape_label_name,
    escape_metric_name,
    floatToGoString,
    write_openmetrics,
)
from sereno.observe.exposition import escaped, escaped_help

MOST_SAMPLES = 10_000
"""More of one collector are an accident: a label that should have been none."""

MOST_FAMILIES = 1_000

_END = b"# EOF\n"
_SUFFIXES = {
    "counter": ("_total", "_created"),
    "summary": ("", "_sum", "_count", "_created"),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
    "gaugehistogram": ("_bucket", "_gsum", "_gcount"),
    "info": ("_info",),
}
_TITLES = {
    "counter": ("_total", "counter"),
    "info": ("_info", "gauge"),
    "stateset": ("", "gauge"),
    "gaugehistogram": ("", "histogram"),
    "unknown": ("", "untyped"),
}
"""What the text format calls types that it does not have, and what their names end in there."""

_APART = ("_created", "_gsum", "_gcount")
"""Samples that the text format knows as families of their own."""

_COUNTS = ("_total", "_bucket", "_count", "_gcount")


class LibraryText:
    """What one collector shows: the names that it takes, as pages write them, and its lines."""

    def __init__(self, names: frozenset[str], lines: bytes) -> None:
        self.names = names
        self.lines = lines


class _Given:
    """Families that are at hand, as the library's writer wants to be given them."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def read_collector(collector: Any, *, in_openmetrics: bool) -> LibraryText:
    """Ask `collector`, a collector of the library, once. Raises ValueError, and what it raises."""
    families = list(islice(collector.collect(), MOST_FAMILIES + 1))
    if len(families) > MOST_FAMILIES:
        raise ValueError(f"it gives more than {MOST_FAMILIES} metrics")
    names: set[str] = set()
    room = MOST_SAMPLES
    for family in families:
        if not isinstance(family, Metric):
            raise ValueError(f"{family!r:.100} is no metric of prometheus_client")
        own = _names(family)
        if twice := names.intersection(own):
            raise ValueError(f"the metric '{min(twice)}' is there twice")
        names.update(own)
        room -= len(family.samples)
        if room < 0:
            raise ValueError(f"it gives more than {MOST_SAMPLES} samples")
        _check_samples(family)
    if not in_openmetrics:
        return LibraryText(frozenset(names), "".join(map(_text, families)).encode())
    written: bytes = write_openmetrics(_Given(families))  # type: ignore[no-untyped-call]
    return LibraryText(frozenset(names), written.removesuffix(_END))


def _names(family: Metric) -> list[str]:
    """Return the names that a family takes: pages write other names than Python may give."""
    name = escape_metric_name(family.name, UNDERSCORES)
    return [name, *(name + suffix for suffix in _SUFFIXES.get(family.type, ()) if suffix)]


def _check_samples(family: Metric) -> None:
    suffixes = _SUFFIXES.get(family.type, ("",))
    allowed = {family.name + suffix: suffix for suffix in suffixes}
    seen = set()
    for sample in family.samples:
        suffix = allowed.get(sample.name)
        if suffix is None:
            raise ValueError(
                f"'{sample.name!s:.100}' is no sample of the {family.type} '{family.name:.100}'"
            )
        names = [escape_label_name(name, UNDERSCORES) for name in sample.labels]
        if len(set(names)) < len(names) or any(n.startswith("__") or not n for n in names):
            raise ValueError(f"{sample.name}: its labels {names!r:.200} cannot stand on a page")
        # Neither order nor a label without a value tells two series apart.
        key = (sample.name, frozenset((k, v) for k, v in sample.labels.items() if v))
        if key in seen and sample.timestamp is None:
            raise ValueError(f"{sample.name}{dict(sample.labels)!r:.200} is there twice")
        seen.add(key)
        if suffix in _COUNTS and (isnan(float(sample.value)) or float(sample.value) < 0):
            raise ValueError(f"{sample.name}: its value is {sample.value}; it counts from 0 on")


def _text(family: Metric) -> str:
    """Write a family as the library does in text format 0.0.4; its writer would load servers."""
    name = escape_metric_name(family.name, UNDERSCORES)
    ending, kind = _TITLES.get(family.type, ("", family.type))
    lines = [_head(name + ending, family.documentation, kind)]
    apart: dict[str, list[str]] = {}
    for sample in family.samples:
        suffix = sample.name.removeprefix(family.name)
        pairs = sorted(sample.labels.items())
        inner = ",".join(f'{escape_label_name(k, UNDERSCORES)}="{escaped(v)}"' for k, v in pairs)
        shown = f"{name}{suffix}{{{inner}}}" if inner else name + suffix
        at = "" if sample.timestamp is None else f" {int(float(sample.timestamp) * 1000)}"
        number = floatToGoString(sample.value)  # type: ignore[no-untyped-call]
        line = f"{shown} {number}{at}\n"
        (apart.setdefault(suffix, []) if suffix in _APART else lines).append(line)
    for suffix, written in sorted(apart.items()):
        lines += [_head(name + suffix, family.documentation, "gauge"), *written]
    return "".join(lines)


def _head(name: str, meaning: str, kind: str) -> str:
    return f"# HELP {name} {escaped_help(meaning)}\n# TYPE {name} {kind}\n"
