"""Writes metrics in Prometheus' two text formats: 0.0.4, and OpenMetrics 1.0 with exemplars.

Our own, because a page may hold 480,000 lines of jobs: prometheus_client takes 16 µs for each
(docs/adr/0006). The tests read what is written here with its parsers and with promtool.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from sereno.model.family import number

Kind = Literal["gauge", "counter", "histogram"]
Sample = tuple[str, float]
"""Labels as `labels` writes them (or ""), and the value."""

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_ESCAPES_OF_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})


def labels(pairs: Mapping[str, str]) -> str:
    """Return ``{name="value",...}``, escaped."""
    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in pairs.items()) + "}"


def escaped(value: str) -> str:
    """Return `value` as it may stand between a label's quotes."""
    return value.translate(_ESCAPES)


def escaped_help(meaning: str) -> str:
    """Return `meaning` as it may stand behind ``# HELP`` in the text format."""
    return meaning.translate(_ESCAPES_OF_HELP)


def wants_openmetrics(accept: str) -> bool:
    """Tell whether an Accept header asks for OpenMetrics."""
    return any(
        part.partition(";")[0].strip() == "application/openmetrics-text"
        and part.replace(" ", "").rpartition(";q=")[2] != "0"
        for part in accept.split(",")
    )


class MetricsPage:
    """One page under construction, in one format."""

    def __init__(self, *, openmetrics: bool = False) -> None:
        self.openmetrics = openmetrics
        self._lines: list[str] = []

    @property
    def content_type(self) -> str:
        """Return the Content-Type of what `text` returns."""
        return _OPENMETRICS if self.openmetrics else _TEXT

    def family(self, name: str, kind: Kind, meaning: str, samples: Iterable[Sample] = ()) -> None:
        """Begin a family, and write `samples`. A counter's `name` ends in ``_total``."""
        title = name.removesuffix("_total") if self.openmetrics and kind == "counter" else name
        told = escaped(meaning) if self.openmetrics else escaped_help(meaning)
        self._lines.append(f"# HELP {title} {told}\n# TYPE {title} {kind}\n")
        self._lines += [f"{name}{labels} {number(value)}\n" for labels, value in samples]

    def lines(self, written: Iterable[str]) -> None:
        """Add lines of the newest family that are written already, each with its newline."""
        self._lines += written

    def text(self) -> bytes:
        """Return the page."""
        end = "# EOF\n" if self.openmetrics else ""
        return ("".join(self._lines) + end).encode(errors="backslashreplace")
