"""What a value from outside may be at most, so that everybody who reads it can hold it.

PostgreSQL holds more than Python: instants before the year 1 and after 9999, numbers of 100,000
digits, JSON thousands of levels deep. The SQL of ``sereno.enqueue`` names the same bounds.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

import msgspec

from sereno.model.errors import ParamsError, SerenoError

FIRST_INSTANT = datetime(1, 1, 2, tzinfo=UTC)
LAST_INSTANT = datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC)
"""A day within what Python holds, so that an instant can be told in every time zone. They stand for
what lies beyond: ``-infinity`` and ``infinity``."""

LONGEST = timedelta(days=999_999_000)
"""Stands for a longer duration, ``infinity`` among them; its negative for those below."""

MAX_PARAMS_LEVELS = 100
"""How deep params may be: nobody's are, and whoever goes through them by recursion has room."""

MAX_PARAMS_BYTES = 1_000_000
"""As results: a thousand runs are claimed and checked at once. What is larger belongs in a table or
a file, and its key or path into the params."""

MAX_LEVELS = 500
"""How deep a result may be that is kept: decoders and `repr` give up at 1,000 levels of calls."""

MAX_NUMBER = 1.7976931348623157e308
"""The largest number that a float holds; what JSON says of a larger one no decoder agrees on."""

_LONG_NUMBER = re.compile(rb"\d{308}")


_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_CONTAINERS = (dict, list, tuple)


def checked_instant(
    instant: datetime, subject: str, error: type[SerenoError] = ParamsError
) -> datetime:
    """Return `instant`; raises `error`, a sentence that begins with `subject`, when it is out of
    range or has no time zone."""
    if instant.tzinfo is None:
        raise error(f"{subject} is {instant}, it must carry a time zone")
    if not FIRST_INSTANT < instant < LAST_INSTANT:
        raise error(
            f"{subject} is {instant}, it must lie in the years 1 to 9999, a day from either end; "
            "leave it out for none"
        )
    return instant


def checked_json(value: Any, subject: str) -> bytes:
    """Return params as JSON text; raises ParamsError, a sentence that begins with `subject`, on
    what PostgreSQL or some reader could not hold."""
    try:
        text = msgspec.json.encode(value)
    except RecursionError:
        raise ParamsError(f"{subject} are more than {MAX_PARAMS_LEVELS} levels deep") from None
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        raise ParamsError(f"{subject} cannot be written as JSON: {error}") from error
    if len(text) > MAX_PARAMS_BYTES:
        raise ParamsError(
            f"{subject} are of {len(text)} bytes, they may be of {MAX_PARAMS_BYTES} at most; keep "
            "what is larger elsewhere, and its key in them"
        )
    if holds_nul(text):
        raise ParamsError(f"{subject} hold U+0000, which PostgreSQL cannot keep")
    if is_deep(text, MAX_PARAMS_LEVELS):
        raise ParamsError(
            f"{subject} are more than {MAX_PARAMS_LEVELS} levels deep, which no reader could be "
            "sure to hold"
        )
    if _LONG_NUMBER.search(text) and any(map(_is_too_large, _leaves(value))):
        raise ParamsError(
            f"{subject} hold a number beyond 1.8e308, which no reader could hold; write it as a "
            "text"
        )
    return text


def holds_nul(json: bytes) -> bool:
    """Tell whether this JSON text holds U+0000, which jsonb cannot."""
    return b"\\u0000" in json and _NUL.search(json) is not None


def is_deep(json: bytes, most: int) -> bool:
    """Tell whether more than `most` lists and objects lie in one another in this JSON text, which
    can be read."""
    # So deep can only be what is as long, and has as many.
    if len(json) <= 2 * most or json.count(b"[") + json.count(b"{") <= most:
        return False
    try:
        return levels(msgspec.json.decode(json), most) > most
    except RecursionError:
        return True


def levels(value: Any, most: int) -> int:
    """Return how many lists and objects lie in one another in a JSON `value`, counting no further
    than `most` and one."""
    found, layer = 0, [value]
    while found <= most and (layer := [v for v in layer if isinstance(v, _CONTAINERS)]):
        found += 1
        layer = list(chain.from_iterable(map(_inside, layer)))
    return found


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _leaves(value: Any) -> Iterator[Any]:
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, _CONTAINERS):
            waiting.extend(_inside(found))
        else:
            yield found


def _is_too_large(value: Any) -> bool:
    return isinstance(value, int) and abs(value) > MAX_NUMBER
