"""Formats lines for an application's own handlers: what a line of a run has besides its text."""

import logging
from typing import Any

from sereno.observe.logline import line_of, worded

_NAMED = ("job", "run", "attempt")
_UNTOLD = frozenset(("time", "level", "logger", "event", "node", "term", "trace", *_NAMED))


class RunFormatter(logging.Formatter):
    """As ``logging.Formatter``, with ``{job}``, ``{run}``, ``{attempt}``: dashes outside of a run.

    What else a line tells stands behind its text, its traceback below; what is secret is masked.
    """

    def __init__(
        self,
        fmt: str = "{asctime} {levelname} [{job} {run}] {name}: {message}",
        datefmt: str | None = None,
        style: Any = "{",
        validate: bool = True,
        *,
        defaults: dict[str, Any] | None = None,
    ) -> None:
        known = dict.fromkeys(_NAMED, "-") | (defaults or {})
        super().__init__(fmt, datefmt, style, validate, defaults=known)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as its parent's
        """Return the line with its facts, and the traceback that a run has left."""
        line = line_of(record, {})
        record.message = line["event"]
        told = super().formatMessage(record)
        below = [] if record.exc_info else [line.pop(k) for k in ("traceback",) if k in line]
        untold = _UNTOLD | ({"error", "traceback"} if below or record.exc_info else set())
        facts = " ".join(f"{k}={worded(v)}" for k, v in line.items() if k not in untold)
        return "\n".join([f"{told}  {facts}" if facts else told, *map(str, below)])
