"""Writes one log record as a line: JSON with stable keys for machines, aligned text for people.

Keys: ``time level logger event``, then ``job run attempt trace node term`` where they are known,
then the record's own facts, then ``error`` and ``traceback`` of an exception. Every text is cut to
its limit, then redacted; what would move a terminal's cursor or hide a letter is written out.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

import msgspec

from sereno.engine.record_text import message
from sereno.model import fault
from sereno.model.text import cut, visible, visible_json, visible_line
from sereno.settings import hidden, redact

Facts = Callable[[], Mapping[str, Any]]
"""What is known of the code that logs: its run, its node."""

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}
MAX_TEXT = 8_000
"""Characters of an event, and of each text among a record's facts."""

_MAX_TRACE = 20_000
_MOST_VALUES = 1_000
"""Values of a record's fact, in all of its lists and tables; the rest is left out."""

_PLAIN = (int, float, bool, type(None))
_HEAD = ("time", "level", "logger", "event")
_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}


def line_of(record: logging.LogRecord, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is to be written of `record`, in the order of the keys."""
    line: dict[str, Any] = {
        "time": _instant(record),
        "level": str(record.levelname).lower(),
        "logger": cut(str(record.name), MAX_TEXT),
        "event": _event(record),
    }
    extra = {key: value for key, value in vars(record).items() if key not in _OWN}
    for key, value in {**facts, **extra}.items():
        line[f"{key}_" if key in _HEAD else key] = _shown(key, value)
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        line.setdefault("error", redact(fault.sentence(error, MAX_TEXT)))
        line["traceback"] = redact(fault.traceback_of(error, record.exc_info[2], _MAX_TRACE))
    if record.stack_info:
        line["stack"] = redact(cut(record.stack_info, _MAX_TRACE))
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
            encoded = _encoder.encode(line)
        except Exception:  # a number past JSON's, half a surrogate pair, a key that is no text
            encoded = _encoder.encode({_plain(k): _plain(v) for k, v in line.items()})
        return visible_json(encoded.decode())


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
        shown = " ".join(f"{key}={worded(value)}" for key, value in line.items())
        name = logger.removeprefix("sereno.")
        painted = self._painted(level, f"{visible_line(level):<8}")
        # A line of the job's own that looked like ours would begin where ours do.
        told = visible(event).replace("\n", "\n    ")
        start = f"{time} {painted} {visible_line(name):<12} {told}"
        first = f"{start}  {self._painted('debug', visible_line(shown))}" if shown else start
        return "\n    ".join([first, *(visible(text).replace("\n", "\n    ") for text in below)])

    def _painted(self, level: str, text: str) -> str:
        return f"\x1b[{_COLOURS.get(level, '0')}m{text}\x1b[0m" if self._colour else text


def _instant(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _event(record: logging.LogRecord) -> str:
    return redact(message(record, MAX_TEXT))


def _shown(key: str, value: Any) -> Any:
    """Return a fact cut to what a line has room for, without its secrets."""
    kind = type(value)
    if kind in _PLAIN or (kind is str and len(value) <= MAX_TEXT):  # as nearly all are
        return hidden(key, value)
    return hidden(key, _within(value, [_MOST_VALUES], 20))


def _within(value: Any, room: list[int], depth: int) -> Any:
    room[0] -= 1
    if isinstance(value, str):
        return cut(str.__str__(value), MAX_TEXT)
    if isinstance(value, bytes | bytearray):
        return bytes(value[:MAX_TEXT])
    if isinstance(value, BaseException):
        return fault.message(value, MAX_TEXT)
    if type(value) is dict and depth:
        pairs = takewhile(lambda _: room[0] > 0, value.items())
        return {
            cut(key, MAX_TEXT) if isinstance(key, str) else key: _within(item, room, depth - 1)
            for key, item in pairs
        }
    if type(value) in (list, tuple, set, frozenset) and depth:
        items = takewhile(lambda _: room[0] > 0, value)
        return [_within(item, room, depth - 1) for item in items]
    return value


def _plain(value: Any) -> str:
    try:
        text = cut(str(value), MAX_TEXT)
    except Exception as error:  # its own code
        text = f"(a value that cannot be told: {type(error).__name__})"
    return redact(text).encode(errors="backslashreplace").decode()


_encoder = msgspec.json.Encoder(enc_hook=_plain)


def worded(value: Any) -> str:
    """Return a fact as a line of text has it."""
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        value = ", ".join(value)
    text = _plain(value)
    return repr(text) if not text or any(c.isspace() or c == '"' for c in text) else text
