"""Reads the policies that a job's or a schedule's table overrides, from text too."""

from typing import Any

import msgspec

from sereno.model.policies import POLICY_NAMES, Policies, checked_policy

POLICIES = POLICY_NAMES
_TABLES = ("retry", "concurrency", "unique_by", "runs_on")
_NO_TEXTS = frozenset(
    f.name for f in msgspec.structs.fields(Policies) if f.type is bool or "int" in str(f.type)
)


def read_policy(name: str, value: Any, subject: str, *, lax: bool) -> Any:
    """Return `value` as the policy `name` holds it. `lax`: `value` may be a text.

    Raises DeclarationError, which begins with `subject`.
    """
    if lax and isinstance(value, str):
        value = _from_text(name, value)
    return checked_policy(name, value, subject)


def _from_text(name: str, text: str) -> Any:
    """Return what `text` stands for where the policy is no text; a bad one stays, to be refused."""
    if name in _NO_TEXTS or name in _TABLES:
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    return text
