"""Says durations of policies and jitter as people write them: the database keeps ISO 8601."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
from msgspec.structs import fields

from sereno.model.duration import format_duration
from sereno.model.policies import Policies

_DURATIONS = {f.name for f in fields(Policies) if "timedelta" in str(f.type)}
_OF_RETRY = ("delay", "max_delay")


def legible(policies: Mapping[str, Any]) -> dict[str, Any]:
    """Return policies as they are kept with ``10m`` in the place of ``PT600S``."""
    return {name: _legible(name, value) for name, value in policies.items()}


def legible_version(version: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the trail keeps of a schedule likewise: its policies, and its jitter."""
    found = dict(version)
    if isinstance(found.get("policies"), dict):
        found["policies"] = legible(found["policies"])
    if isinstance(found.get("jitter"), str):
        jitter = _duration(found["jitter"])
        found["jitter"] = jitter.replace("-", "±", 1)
    return found


def _legible(name: str, value: Any) -> Any:
    if isinstance(value, str) and name in _DURATIONS:
        return _duration(value)
    if isinstance(value, dict) and name == "retry":
        return {k: _duration(v) if k in _OF_RETRY else v for k, v in value.items()}
    return value


def _duration(kept: Any) -> Any:
    try:
        return format_duration(msgspec.convert(kept, timedelta))
    except msgspec.ValidationError:  # what somebody has written into the table by hand
        return kept
