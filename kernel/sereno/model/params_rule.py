"""What ``sereno.enqueue`` holds the params of a job to: the part of its Struct's JSON Schema that
SQL can check and means the same there.

Anything else (formats, what nested objects and lists hold, a Struct's own checks) the run itself
finds out as it begins.
"""

import re
from typing import Any

import msgspec

_TYPES = {
    "integer": "number",
    "number": "number",
    "string": "string",
    "boolean": "boolean",
    "array": "array",
    "object": "object",
}
_LIMITS = {
    "minimum": "min",
    "exclusiveMinimum": "above",
    "maximum": "max",
    "exclusiveMaximum": "below",
    "multipleOf": "multiple",
    "minLength": "shortest",
    "maxLength": "longest",
    "minItems": "shortest",
    "maxItems": "longest",
    "enum": "enum",
    "pattern": "pattern",
}

_ESCAPED = r"\\(?:[dws]|[^\sA-Za-z0-9])"
_REPEATED = r"(?:[*+?]|\{\d{1,2}(?:,\d{0,2})?\})\??(?![*+?{])"
_SAME = re.compile(
    rf"(?:\(\?:|\((?!\?)|[)|^$.]|(?:[^][\\(){{}}*+?|.^$]|{_ESCAPED}"
    rf"|\[\^?(?:[^][\\^]|{_ESCAPED})+\])|{_REPEATED})*"
)
"""Patterns that mean the same to Python and to PostgreSQL, in printable ASCII: no look around, no
references, no flags, no possessive repetition."""


def params_rule(params: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the rule of each param: `type` (None: any), `required`, and `limits` where it has
    some."""
    schema = msgspec.json.schema(params)
    body = schema["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    required = set(body.get("required", ()))
    shared = schema.get("$defs", {})
    return {
        name: _rule(field, name in required, shared)
        for name, field in body.get("properties", {}).items()
    }


def _rule(field: dict[str, Any], required: bool, shared: dict[str, Any]) -> dict[str, Any]:
    found = {"type": _TYPES.get(str(field.get("type"))), "required": required}
    limits = _limits(field, shared)
    return {**found, "limits": limits} if limits else found


def _limits(field: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """Return the limits of a field; of one that may be null or something else, those of the
    something: they are of one JSON type, and hold for a value of that type alone."""
    choices = [c for c in field.get("anyOf", [field]) if c.get("type") != "null"]
    if len(choices) != 1:
        return {}
    chosen = shared.get(choices[0].get("$ref", "").rsplit("/", 1)[-1], choices[0])
    if chosen.get("type") == "object":
        return {}
    limits = {ours: chosen[name] for name, ours in _LIMITS.items() if name in chosen}
    if "anyOf" in field and "enum" in limits:
        limits["enum"] = [*limits["enum"], None]
    if "enum" in limits and not _all_texts(limits["enum"]):
        del limits["enum"]  # numbers may be given as texts: the run takes both
    if "pattern" in limits and not is_same(limits["pattern"]):
        del limits["pattern"]
    if "multiple" in limits and not float(limits["multiple"]).is_integer():
        del limits["multiple"]  # of floats it is no question of exact numbers
    if chosen.get("type") == "integer":
        limits["whole"] = True
    return limits


def _all_texts(values: list[Any]) -> bool:
    return all(isinstance(value, str | None) for value in values)


def is_same(pattern: str) -> bool:
    """Tell whether `pattern` means the same to PostgreSQL, for texts of printable ASCII."""
    return pattern.isascii() and pattern.isprintable() and bool(_SAME.fullmatch(pattern))
