"""Shows rows to people: each field of a view from its column, without the secrets in it."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

import asyncpg
import msgspec

from sereno.model.ledger import ScheduleVersion
from sereno.model.stored_json import json_object
from sereno.settings import hidden, redact

_SPOKEN = (
    *("error", "traceback", "message", "note"),
    *("requested_by", "unique_key", "concurrency_key", "cancel_reason", "verdict_reason", "reason"),
)
"""What a job or a caller said in words of their own, which may hold a password."""

_GIVEN = ("params", "upstream", "result", "checkpoint")
"""What a run was given and what it found, as JSON."""

_DEPTH = 1_000
"""Deeper than any JSON is read: nothing of a result is left out."""

_TITLES = ("title", "written", "owner", "runbook", "tags", "job_tags", "schedule_tags")
"""What a job, a schedule or a run may be known by, null where it is not."""

_OBJECTS = ("params", "policies", "upstream", "takes")

V = TypeVar("V", bound=msgspec.Struct)


class _Shape(msgspec.Struct, frozen=True):
    """Which fields of a view its rows have, and which of them are not shown as they are: found out
    once for thousands of rows."""

    names: tuple[str, ...]
    objects: tuple[str, ...]
    titles: tuple[str, ...]
    spoken: tuple[str, ...]
    given: tuple[str, ...]
    secrets: bool


@lru_cache(256)
def _shape(columns: tuple[str, ...], view: type[msgspec.Struct]) -> _Shape:
    names = tuple(name for name in view.__struct_fields__ if name in columns)

    def of(some: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in some if name in names)

    kinds = (of(_OBJECTS), of(_TITLES), of(_SPOKEN), of(_GIVEN))
    return _Shape(names, *kinds, "secrets" in columns)


def shown(rows: Sequence[asyncpg.Record], view: type[V]) -> list[V]:
    """Return `rows` as they are shown: each field of `view` from its column, secrets masked."""
    if not rows:
        return []
    shape = _shape(tuple(rows[0].keys()), view)
    return [view(**_picked(row, shape)) for row in rows]


def picked(
    row: asyncpg.Record, view: type[msgspec.Struct], *, reveal: bool = False
) -> dict[str, Any]:
    """Return the fields of `view` that `row` has; `reveal`: with their secrets."""
    return _picked(row, _shape(tuple(row.keys()), view), reveal=reveal)


def _picked(row: asyncpg.Record, shape: _Shape, *, reveal: bool = False) -> dict[str, Any]:
    found = {name: row[name] for name in shape.names}
    for name in shape.objects:
        if found[name] is not None:
            found[name] = json_object(found[name])
    for name in shape.titles:
        if found[name] is None:
            del found[name]
    if "after" in found:
        found["after"] = [name for name in found["after"] if isinstance(name, str)]
    if not reveal:
        _mask(found, row["secrets"] if shape.secrets else None, shape)
    return found


def _mask(found: dict[str, Any], secrets: Sequence[str] | None, shape: _Shape) -> None:
    """Put signs in the place of what is secret; `secrets`: names of params that are so by the job's
    word, whatever they are called."""
    if secrets and found.get("params"):
        hidden_params = {n: "***" for n in secrets if found["params"].get(n) is not None}
        found["params"] = found["params"] | hidden_params
    for name in shape.spoken:
        if isinstance(found[name], str):
            found[name] = redact(found[name])
    for name in shape.given:
        if found[name]:
            found[name] = hidden(name, found[name], depth=_DEPTH)


def masked(found: ScheduleVersion) -> ScheduleVersion:
    """Return a version without the secrets in its params."""
    return msgspec.structs.replace(found, params=hidden("params", found.params))
