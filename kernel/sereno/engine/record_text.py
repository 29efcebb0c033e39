"""Words a log record: its message and traceback, cut while they are made."""

import logging
from collections.abc import Mapping
from typing import Any

from sereno.model import fault
from sereno.model.text import cut, shortened

_LARGE = (str, bytes, bytearray, list, tuple, dict, set, frozenset)
_SMALL = 100
_SMALL_KINDS = (int, float, bool, type(None))


class _Cut:
    """An argument of a log call that may be large, written no further than the line goes."""

    __slots__ = ("_limit", "_value")

    def __init__(self, value: Any, limit: int) -> None:
        self._value = value
        self._limit = limit

    def __str__(self) -> str:
        if isinstance(self._value, BaseException):
            return fault.message(self._value, self._limit)
        if isinstance(self._value, str):
            return cut(self._value, self._limit)
        return repr(self)

    def __repr__(self) -> str:
        return fault.written(self._value, self._limit)


def message(record: logging.LogRecord, limit: int) -> str:
    """Return what was logged; a call whose arguments do not fit says so."""
    try:
        words = record.msg if isinstance(record.msg, str) else str(_bounded(record.msg, limit))
        if record.args:
            words = cut(words, limit) % _arguments(record.args, limit)
    except Exception:  # a bad log call still says something, and ends nothing
        half = limit // 2
        words = record.msg if isinstance(record.msg, str) else fault.written(record.msg, half)
        words = f"{cut(words, half)} {fault.written(record.args, half)}"
    return shortened(words, limit)


def whole(record: logging.LogRecord, limit: int) -> str:
    """Return the message, and below it the traceback and the stack that were logged with it."""
    parts = [message(record, limit)]
    if record.exc_info and record.exc_info[1] is not None:
        parts.append(fault.traceback_of(record.exc_info[1], record.exc_info[2], limit))
    elif record.exc_text:  # as a QueueHandler leaves it
        parts.append(cut(record.exc_text, limit))
    if record.stack_info:
        parts.append(cut(record.stack_info, limit))
    return parts[0] if len(parts) == 1 else cut("\n".join(parts), limit)


def _arguments(given: Any, limit: int) -> Any:
    if isinstance(given, Mapping):
        return {key: _bounded(value, limit) for key, value in given.items()}
    if all(type(value) in _SMALL_KINDS for value in given):
        return given
    return tuple(_bounded(value, limit) for value in given)


def _bounded(value: Any, limit: int) -> Any:
    if isinstance(value, BaseException):
        return _Cut(value, limit)
    if type(value) in _LARGE and len(value) > _SMALL:
        return _Cut(value, limit)
    return value
