"""What runs and log lines can be looked for by, each checked before anything is asked."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from sereno.model.bounds import checked_instant, checked_json, holds_nul
from sereno.model.errors import ParamsError
from sereno.model.run import Cause, RunState
from sereno.model.titles import checked_tags
from sereno.settings import hidden

_Name = Annotated[str, Meta(max_length=1_000)]
_Text = Annotated[str, Meta(min_length=1, max_length=1_000)]
_DEPTH = 1_000
_GLOB = frozenset("*?[")

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""Levels of log lines, the least first."""


class RunFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs are meant; what is left out narrows nothing.

    `job`: a name, or a pattern with ``*`` and ``?``. `schedule`: its name. `node`: a replica's
    label, or the beginning of its id. `requested_by`: with or without the host. `since`, `until`:
    queued then or later, and before. `params`: those among the run's that are so. `error`: a text
    in it, in whatever case. `tags`: that each has, itself, by its job or by its schedule.
    """

    job: _Name | None = None
    states: tuple[RunState, ...] = ()
    causes: tuple[Cause, ...] = ()
    schedule: _Text | None = None
    node: _Text | None = None
    requested_by: _Text | None = None
    since: datetime | None = None
    until: datetime | None = None
    params: dict[str, Any] = {}
    error: _Text | None = None
    tags: tuple[_Text, ...] = ()


class LogFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which log lines are meant; what is left out narrows nothing.

    `level`: the least, as ``WARNING``. `job`: a name, or a pattern. `since`, `until`: said then or
    later, and before. `text`: in the message, in whatever case.
    """

    level: _Text | None = None
    job: _Name | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: _Text | None = None

    @property
    def levels(self) -> list[str] | None:
        """Return the levels that are meant, None for all."""
        if self.level is None:
            return None
        return list(LEVELS[LEVELS.index(self.level.upper()) :])


F = TypeVar("F", RunFilter, LogFilter)


def checked(wanted: F) -> F:
    """Return `wanted` as it is asked by; raises ParamsError on what is no value of its field."""
    try:
        found = msgspec.convert(_plain(wanted), type(wanted))
    except (msgspec.ValidationError, TypeError) as error:
        raise ParamsError(f"filter: {error}") from error
    for name in ("since", "until"):
        instant = getattr(found, name)
        if instant is not None:
            checked_instant(instant, f"filter: {name}")
    if found.since is not None and found.until is not None and found.since >= found.until:
        raise ParamsError(f"filter: since {found.since} is not before until {found.until}")
    if any(isinstance(v, str) and "\0" in v for v in _plain(found).values()):
        raise ParamsError("filter: a text holds U+0000, which no run can have")
    if isinstance(found, LogFilter):
        if found.level is not None and found.level.upper() not in LEVELS:
            raise ParamsError(f"filter: level is '{found.level}', it must be {', '.join(LEVELS)}")
    else:
        _check_params(found.params)
        checked_tags(found.tags, "filter", ParamsError)
    return found


def _plain(wanted: RunFilter | LogFilter) -> dict[str, Any]:
    found = {name: getattr(wanted, name) for name in wanted.__struct_fields__}
    return {k: list(v) if isinstance(v, tuple | set) else v for k, v in found.items()}


def _check_params(params: Mapping[str, Any]) -> None:
    """Raise ParamsError on params that no run can have, or that would be guessed from answers."""
    if holds_nul(checked_json(params, "filter: params")):
        raise ParamsError("filter: params hold U+0000, which no run can have")
    for name, value in params.items():
        if hidden(str(name), value, depth=_DEPTH) != value:
            raise ParamsError(f"filter: param '{name}' holds a secret; nothing is found by it")


def is_pattern(name: str) -> bool:
    """Tell whether a job's name stands for many."""
    return not _GLOB.isdisjoint(name)
