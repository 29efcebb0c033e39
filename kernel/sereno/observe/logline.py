"""Writes one log record as a line: JSON with stable keys for machines, aligned text for people.

Keys: ``time level logger event``, then ``job run attempt trace node term`` where they are known,
then the record's own facts, then ``error`` and ``traceback`` of an exception. Every text is
redacted.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from sereno.settings import hidden, redact

Facts = Callable[[], Mapping[str, Any]]
"""What is known of the code that logs: its run, its node."""

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}
_HEAD = ("time", "level", "logger", "event")
_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}


def line_of(record: logging.LogRecord, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is to be written of `record`, in the order of the keys."""
    line: dict[str, Any] = {
        "time": _instant(record),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": _event(record),
    }
    extra = {key: value for key, value in vars(record).items() if key not in _OWN}
    for key, value in {**facts, **extra}.items():
        line[f"{key}_" if key in _HEAD else key] = hidden(key, value)
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        line.setdefault("error", redact(f"{type(error).__name__}: {error}"))
        line["traceback"] = redact(logging.Formatter().formatException(record.exc_info))
    if record.stack_info:
        line["stack"] = redact(record.stack_info)
    return line


class JsonLine(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, facts: Facts) -> None:
        super().__init__()
        self._facts = facts

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` as JSON; a value that JSON cannot hold becomes its text."""
        line = line_of(record, self._facts())
        try:
            return _encoder.encode(line).decode()
        except (TypeError, ValueError, RecursionError, UnicodeError):
            return _encoder.encode({key: _plain(value) for key, value in line.items()}).decode()


class TextLine(logging.Formatter):
    """Time, level, event and facts for a person; a traceback on the lines below."""

    def __init__(self, facts: Facts, *, colour: bool) -> None:
        super().__init__()
        self._facts = facts
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` as text."""
        line = line_of(record, self._facts())
        below = [str(line.pop(key)) for key in ("traceback", "stack") if key in line]
        _, level, logger, event = (line.pop(key) for key in _HEAD)
        for key in ("node", "term", *(["error"] if below else [])):
            line.pop(key, None)  # the same on every line of this terminal, or told below
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        shown = " ".join(f"{key}={_worded(value)}" for key, value in line.items())
        name = logger.removeprefix("sereno.")
        start = f"{time} {self._painted(level, f'{level:<8}')} {name:<12} {event}"
        return "\n".join([f"{start}  {self._painted('debug', shown)}" if shown else start, *below])

    def _painted(self, level: str, text: str) -> str:
        return f"\x1b[{_COLOURS.get(level, '0')}m{text}\x1b[0m" if self._colour else text


def _instant(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _event(record: logging.LogRecord) -> str:
    try:
        return redact(record.getMessage())
    except Exception:  # a bad log call still says something, and ends nothing
        return redact(f"{record.msg} {record.args!r}")


def _plain(value: Any) -> str:
    return redact(str(value)).encode(errors="backslashreplace").decode()


_encoder = msgspec.json.Encoder(enc_hook=_plain)


def _worded(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = _plain(value)
    return repr(text) if not text or any(c.isspace() or c == '"' for c in text) else text
