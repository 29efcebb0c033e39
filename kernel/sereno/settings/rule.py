"""Brings one value into the type that its setting declares, and words what that type asks."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from sereno.model.duration import format_duration, parse_duration
from sereno.model.suggestion import suggestion

_SEQUENCES = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)
_MANY = "a list, or texts with commas between them"
_SWITCHES = {"yes": True, "on": True, "no": False, "off": False}
"""What people write for true and false."""


def convert(value: Any, declared: Any, *, lax: bool) -> Any:
    """Return `value` as `declared` (a type with its msgspec.Meta). `lax`: `value` may be a text.

    Durations are read as people write them. Raises ValueError with the rule, as "it must be ...".
    """
    kind = inspect.type_info(declared)
    if lax and value == "null" and _takes_none(kind):
        return None
    try:
        prepared = _prepared(value, kind, lax)
        found = msgspec.convert(prepared, declared, strict=not lax, dec_hook=_foreign)
        if isinstance(found, float) and not math.isfinite(found):
            raise ValueError("it must be finite")  # no limit, rate or length is without an end
    except (msgspec.ValidationError, ValueError, RecursionError) as error:
        raise ValueError(_sentence(value, kind, error)) from error
    _check_bounds(found, kind)
    return found


def _prepared(value: Any, kind: inspect.Type, lax: bool) -> Any:
    if type(value) in (int, float) and value and _needs_unit(kind):
        raise ValueError(
            f"{value} has no unit, and would be seconds: write it as '{value}d', or '{value}s'"
        )
    kind = _bare(kind)
    if isinstance(kind, inspect.TimeDeltaType) and not _is_iso(value):
        return parse_duration(value)
    if isinstance(kind, inspect.BoolType) and lax and isinstance(value, str):
        return _SWITCHES.get(value.lower(), value)
    if isinstance(kind, _SEQUENCES):
        items = _split(value) if lax and isinstance(value, str) else value
        return [_prepared(i, kind.item_type, lax) for i in items] if _is_many(items) else items
    if isinstance(kind, inspect.DictType | inspect.StructType) and lax and isinstance(value, str):
        value = msgspec.json.decode(value)
    if isinstance(kind, inspect.DictType) and isinstance(value, dict):
        return {k: _prepared(v, kind.value_type, lax) for k, v in value.items()}
    if isinstance(kind, inspect.StructType) and isinstance(value, dict):
        types = {field.encode_name: field.type for field in kind.fields}
        return {k: _prepared(v, types[k], lax) if k in types else v for k, v in value.items()}
    return value


def _bare(kind: inspect.Type) -> inspect.Type:
    """Return the type under annotations, and the one beside None."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        others = [t for t in kind.types if not isinstance(t, inspect.NoneType)]
        return _bare(others[0]) if len(others) == 1 else kind
    return kind


def _needs_unit(kind: inspect.Type) -> bool:
    """Tell whether a duration says so (``Meta(extra={"needs_unit": True})``): for how long data are
    kept must not be seconds where days were meant."""
    if isinstance(kind, inspect.UnionType):
        return any(map(_needs_unit, kind.types))
    if isinstance(kind, inspect.Metadata):
        return bool((kind.extra or {}).get("needs_unit")) or _needs_unit(kind.type)
    return False


def _takes_none(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.UnionType) and kind.includes_none


def _is_iso(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value.startswith(("P", "-P")))


def _is_many(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset)


def _split(text: str) -> Any:
    if text.lstrip().startswith("["):
        return msgspec.json.decode(text)
    return [item.strip() for item in text.split(",") if item.strip()]


def _foreign(wanted: type, value: Any) -> Any:
    if issubclass(wanted, Path) and isinstance(value, str):
        return wanted(value).expanduser()
    raise ValueError(f"it must be a {wanted.__name__}")


def _check_bounds(found: Any, kind: inspect.Type) -> None:
    extra = (kind.extra or {}) if isinstance(kind, inspect.Metadata) else {}
    if "min" in extra and not extra["min"] <= found <= extra["max"]:
        low, high = format_duration(extra["min"]), format_duration(extra["max"])
        raise ValueError(f"it must be from {low} to {high}")


def _sentence(value: Any, kind: inspect.Type, error: Exception) -> str:
    described = _description(kind)
    if described:
        return f"it must be {described}"
    bare = _bare(kind)
    if isinstance(bare, inspect.LiteralType):
        hint = suggestion(str(value), [str(v) for v in bare.values], "")
        return f"it must be one of {', '.join(map(str, bare.values))}{hint}"
    if isinstance(bare, _SEQUENCES) and _is_many(value):  # it is one: a part of it does not fit
        return f"it must be a list whose parts fit: {error}"
    for known, words in _WORDS.items():
        if isinstance(bare, known):
            return f"it must be {words(bare)}"
    reason = str(error)
    return reason[:1].lower() + reason[1:]


def _description(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.UnionType):
        return next(filter(None, map(_description, kind.types)), "")
    if isinstance(kind, inspect.Metadata):
        return str((kind.extra_json_schema or {}).get("description") or _description(kind.type))
    return ""


def _number(noun: str) -> Callable[[Any], str]:
    def words(kind: Any) -> str:
        low, high = kind.ge, kind.le
        if low is not None and high is not None:
            return f"{noun} from {low} to {high}"
        bounds = ((low, "from"), (kind.gt, "above"), (high, "up to"), (kind.lt, "below"))
        return " ".join([noun, *(f"{word} {bound}" for bound, word in bounds if bound is not None)])

    return words


def _text(kind: Any) -> str:
    words = "a text"
    if kind.min_length:
        words += f" of at least {kind.min_length} characters"
    if kind.max_length is not None:
        words += f" of at most {kind.max_length} characters"
    return words + (f" that fits {kind.pattern}" if kind.pattern else "")


_WORDS: dict[type[inspect.Type], Callable[[Any], str]] = {
    inspect.IntType: _number("a whole number"),
    inspect.FloatType: _number("a number"),
    inspect.BoolType: lambda _: "true or false",
    inspect.StrType: _text,
    inspect.TimeDeltaType: lambda _: "a duration, as 90s, 10m, 6h, 1d12h or 250ms",
    inspect.DateTimeType: lambda _: "a date and time, as 2026-01-31T08:00:00Z",
    inspect.ListType: lambda _: _MANY,
    inspect.VarTupleType: lambda _: _MANY,
    inspect.DictType: lambda _: "a table",
}
