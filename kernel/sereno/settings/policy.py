"""Reads the policies that a job's or a schedule's table overrides, from text too."""

from typing import Any

import msgspec

from sereno.model.policies import Policies, checked

POLICIES: tuple[str, ...] = tuple(f.name for f in msgspec.structs.fields(Policies))
_NUMBERS = frozenset(f.name for f in msgspec.structs.fields(Policies) if "int" in str(f.type))


def read_policy(name: str, value: Any, subject: str, *, lax: bool) -> Any:
    """Return `value` as the policy `name` holds it. `lax`: `value` may be a text.

    Raises DeclarationError, which begins with `subject`.
    """
    if lax and isinstance(value, str):
        value = _from_text(name, value)
    return checked({name: value}, subject)[name]


def _from_text(name: str, text: str) -> Any:
    """Return what `text` stands for where the policy is no text; a bad one stays, to be refused."""
    if name in _NUMBERS or name == "retry":
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    return text
