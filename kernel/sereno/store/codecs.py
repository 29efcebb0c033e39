"""What PostgreSQL holds and Python cannot, read as what it can: no value stops a reader.

An instant or a duration out of Python's range is read as the first or the last of ours, and these
are written as the infinities. JSON that cannot be held is read as `Unreadable`, an object that says
why: whoever shows it shows that, and whoever needs the value fails what it belongs to, alone.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from sereno.model.bounds import FIRST_INSTANT, LAST_INSTANT, LONGEST, MAX_LEVELS, levels
from sereno.model.stored_json import Unreadable

MAX_BYTES = 16_000_000
"""The longest JSON text that is decoded: a tenth of a second in which nothing else is done."""

_MOST = MAX_LEVELS + 10
"""The deepest JSON that is decoded: a result with what it is kept in, as among upstreams."""

_JSONB_VERSION = b"\x01"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = (FIRST_INSTANT - _EPOCH) // _MICROSECOND
_LAST = (LAST_INSTANT - _EPOCH) // _MICROSECOND
_INFINITY = 2**63 - 1
_LONGEST = LONGEST // _MICROSECOND


def _encode_json(value: Any) -> bytes:
    """Return jsonb's binary form; bytes are JSON text already."""
    return _JSONB_VERSION + (value if isinstance(value, bytes) else msgspec.json.encode(value))


def json_writer(fitted: Callable[[bytes], bytes]) -> Callable[[Any], bytes]:
    """Return what writes JSON for jsonb as `fitted` makes it fit."""
    return lambda value: _JSONB_VERSION + fitted(_encode_json(value)[1:])


def _decode_json(value: bytes) -> Any:
    if len(value) > MAX_BYTES:
        return Unreadable(f"is of {len(value) - 1:,} bytes, at most {MAX_BYTES:,} are read")
    try:
        found = msgspec.json.decode(value[1:])
    except RecursionError:
        return Unreadable(f"is more than {_MOST} levels deep")
    except (msgspec.MsgspecError, ValueError) as error:
        return Unreadable(f"cannot be held by Python: {error}")
    # So deep can only be what is as long, and has as many.
    many = len(value) > 2 * _MOST and value.count(b"[") + value.count(b"{") > _MOST
    if many and levels(found, _MOST) > _MOST:
        return Unreadable(f"is more than {_MOST} levels deep")
    return found


def _encode_instant(value: datetime) -> tuple[int]:
    try:
        found = (value - _EPOCH) // _MICROSECOND
    except TypeError:  # on this machine's clock, as the driver reads one without a zone
        found = (value.astimezone() - _EPOCH) // _MICROSECOND
    if _FIRST < found < _LAST:
        return (found,)
    return (_INFINITY,) if found > 0 else (-_INFINITY - 1,)


def _decode_instant(value: tuple[int]) -> datetime:
    found = value[0]
    if _FIRST <= found <= _LAST:
        return _EPOCH + timedelta(0, 0, found)
    return FIRST_INSTANT if found < 0 else LAST_INSTANT


def _encode_duration(value: timedelta) -> tuple[int, int, int]:
    return 0, value.days, value.seconds * 1_000_000 + value.microseconds


def _decode_duration(value: tuple[int, int, int]) -> timedelta:
    """Years are of 365 days and months of 30, as the driver has them."""
    months, days, rest = value
    years, months = divmod(abs(months), 12)
    days += (years * 365 + months * 30) * (1 if value[0] >= 0 else -1)
    total = days * 86_400_000_000 + rest
    if -_LONGEST < total < _LONGEST:
        return timedelta(days, 0, rest)
    return LONGEST if total > 0 else -LONGEST


CODECS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], str]] = {
    "jsonb": (_encode_json, _decode_json, "binary"),
    "timestamptz": (_encode_instant, _decode_instant, "tuple"),
    "interval": (_encode_duration, _decode_duration, "tuple"),
}
"""By type: what writes a value, what reads one, and the form in which the driver gives it. Of
instants these are as fast as the driver's own."""
