"""The form for a run's params: a field for each that the job takes, or one for all as JSON."""

from collections.abc import Mapping
from typing import Any

import msgspec

from sereno import ParamsError

_PREFIX = "param."
_WHOLE = "params"
_SHORT = 200

MASK = "***"
"""What stands in the place of a secret."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the form. `kind`: ``number``, ``string``, ``boolean``, ``choice`` or ``json``;
    `value`: as it is written into it; `choices`: texts to choose from; `secret`: it had a value
    that nobody is shown."""

    name: str
    label: str
    kind: str
    required: bool = False
    value: str = ""
    checked: bool = False
    choices: tuple[str, ...] = ()
    limits: dict[str, Any] = {}
    secret: bool = False


def fields_of(
    takes: Mapping[str, Any] | None, given: Mapping[str, Any] | None = None
) -> list[Field]:
    """Return the fields for what a job takes, filled with what was `given`."""
    given = given or {}
    if takes is None:
        text = msgspec.json.format(msgspec.json.encode(given), indent=2).decode() if given else ""
        return [Field(name=_WHOLE, label=_WHOLE, kind="json", value=text)]
    return [_field(name, rule, given.get(name)) for name, rule in takes.items()]


def _field(name: str, rule: Mapping[str, Any], value: Any) -> Field:
    limits = rule.get("limits") or {}
    choices = tuple(str(choice) for choice in limits.get("enum", ()) if choice is not None)
    kind = "choice" if choices else rule.get("type")
    if kind not in ("number", "string", "boolean", "choice"):
        kind = "json"
    if kind == "string" and isinstance(value, str) and ("\n" in value or len(value) > _SHORT):
        kind = "text"
    return Field(
        name=_PREFIX + name,
        label=name,
        kind=kind,
        required=bool(rule.get("required")) and kind != "boolean",
        value=_written(value, kind),
        checked=value is True,
        choices=choices,
        limits=limits,
    )


def _written(value: Any, kind: str) -> str:
    if value is None:
        return ""
    if kind in ("string", "text", "choice") and isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def again_fields(takes: Mapping[str, Any] | None, given: Mapping[str, Any]) -> list[Field]:
    """Return the fields for a run again: those that are secret are empty, to be written anew."""
    return [
        msgspec.structs.replace(field, value="", secret=True)
        if given.get(field.label) == MASK and takes is not None
        else field
        for field in fields_of(takes, given)
    ]


def check_written(shown: Any, given: Any, name: str = "") -> None:
    """Raise ParamsError where `given` still has the mask in the place of a secret of `shown`."""
    if shown == MASK and given in (MASK, None):
        raise ParamsError(
            f"param '{name}' is secret, and its value was not kept: write it again, or have the "
            "run queued again as it was"
        )
    if isinstance(shown, dict) and isinstance(given, dict):
        for key, value in shown.items():
            check_written(value, given.get(key), f"{name}.{key}" if name else str(key))
    if isinstance(shown, list) and isinstance(given, list):
        for value, other in zip(shown, given, strict=False):
            check_written(value, other, name)


def params_given(takes: Mapping[str, Any] | None, form: Mapping[str, str]) -> dict[str, Any]:
    """Return the params that a filled form holds; raises ParamsError.

    A field that is left empty is a param that is not given.
    """
    if takes is None:
        found = _read(_WHOLE, form.get(_WHOLE, "").strip() or "{}")
        if not isinstance(found, dict):
            raise ParamsError("params must be an object, as {}".replace("{}", '{"site": 12}'))
        return found
    read = {field.label: _value(field, form) for field in fields_of(takes)}
    return {name: value for name, value in read.items() if value is not None}


def _value(field: Field, form: Mapping[str, str]) -> Any:
    text = form.get(field.name, "")
    if field.kind == "boolean":
        return text == "on" if field.name + ".seen" in form else None
    if field.kind in ("string", "choice"):
        return text or None
    return _read(field.label, text) if text.strip() else None


def _read(name: str, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ParamsError(f"param '{name}': {text[:60]!r} is no JSON: {error}") from None
