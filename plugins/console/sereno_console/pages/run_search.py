"""Reads what is written into the search field: ``job:etl.* state:failed since:24h params.site:12``.

A value with spaces stands in double quotes. Words without a qualifier are looked for in the name of
the job. What cannot be read is a sentence, shown beside the field.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time
from typing import Any, get_args

import msgspec

from sereno import ParamsError, RunFilter, TriggerError, parse_duration, suggestion
from sereno_console.pages.presentation import Presentation

_TERM = re.compile(r'\s*(?:([A-Za-z][\w.-]*):)?(?:"((?:[^"\\]|\\.)*)"|(\S+))')
_LONGEST = 2_000
_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""What pages show lies between them: days are added to it, and months counted back."""


QUALIFIERS = {
    "job": "job",
    "state": "states",
    "cause": "causes",
    "schedule": "schedule",
    "node": "node",
    "by": "requested_by",
    "error": "error",
    "tag": "tags",
    "since": "since",
    "until": "until",
}
"""What may stand before a colon, and the filter's field that it sets; ``params.NAME`` beside."""

_LISTS = ("states", "causes", "tags")


def read_search(text: str, told: Presentation) -> RunFilter:
    """Return the filter that `text` says; raises ParamsError.

    Instants are read in the zone in which the page shows them.
    """
    if len(text) > _LONGEST:
        raise ParamsError(f"the search is longer than {_LONGEST:,} characters")
    found: dict[str, Any] = {}
    for name, value in _terms(text):
        if name.startswith("params."):
            found.setdefault("params", {})[name.removeprefix("params.")] = _param(value)
            continue
        field = QUALIFIERS.get(name)
        if field is None:
            hint = suggestion(name, [*QUALIFIERS, "params.NAME"])
            raise ParamsError(f"'{name}:' is nothing that runs are looked for by{hint}")
        if field in _LISTS:
            found[field] = (*found.get(field, ()), _listed(field, value))
        elif field in found:
            raise ParamsError(f"'{name}:' stands there twice")
        else:
            found[field] = read_instant(name, value, told) if name in ("since", "until") else value
    return RunFilter(**found)


def _terms(text: str) -> Iterator[tuple[str, str]]:
    place, end = 0, len(text.rstrip())
    while place < end:
        match = _TERM.match(text, place)
        if match is None or match.end() == place:
            raise ParamsError(f"the search cannot be read from {text[place : place + 40]!r} on")
        name, quoted, bare = match.groups()
        value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
        if name is None:
            pattern = value if set("*?[") & set(value) else f"*{value}*"
            yield "job", pattern
        else:
            yield name.lower() if not name.startswith("params.") else name, value
        place = match.end()


def _listed(field: str, value: str) -> str:
    known = _choices(field)
    if known and value not in known:
        hint = suggestion(value, known)
        raise ParamsError(f"'{value}' is no {field.removesuffix('s')}{hint}")
    return value


def _choices(field: str) -> tuple[str, ...]:
    if field == "tags":
        return ()
    kind = next(f.type for f in msgspec.structs.fields(RunFilter) if f.name == field)
    return tuple(get_args(get_args(kind)[0]))


def _param(value: str) -> Any:
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value


def read_instant(name: str, value: str, told: Presentation) -> datetime:
    """Return the instant that `value` says in the zone of the page; raises ParamsError, which names
    `name`."""
    found = _instant(name, value, told)
    if found is None or not _FIRST <= found <= _LAST:
        raise ParamsError(f"'{name}:{value:.60}' lies beyond the calendar")
    return found


def _instant(name: str, value: str, told: Presentation) -> datetime | None:
    """Return it; None where the calendar has none."""
    text = value.strip().removeprefix("-")
    try:
        return told.now - parse_duration(text)
    except OverflowError:
        return None
    except (TriggerError, ValueError):
        pass
    try:
        clock = time.fromisoformat(text)
    except ValueError:
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            raise ParamsError(
                f"'{name}:{value:.60}' is no instant; write 24h (ago), 08:30, 2026-11-29 or "
                "2026-11-29T08:30"
            ) from None
    else:
        found = datetime.combine(told.local(told.now).date(), clock)
    if found.tzinfo is None:
        found = found.replace(tzinfo=told.zone)
    try:
        return found.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
