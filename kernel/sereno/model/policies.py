"""The policies of a job, and how a schedule, the configuration or a person overrides them."""

from datetime import timedelta
from math import inf
from typing import Any, Literal, get_args

import msgspec
from msgspec.structs import asdict, fields, replace

from sereno.model.duration import parse_duration
from sereno.model.errors import DeclarationError
from sereno.model.registrable import check_text
from sereno.model.retry import Retry
from sereno.model.suggestion import suggestion

Overlap = Literal["skip", "queue", "allow", "cancel_previous"]
CatchUp = Literal["last", "none", "all"]
OnLost = Literal["retry", "fail"]
Executor = str  # "async", "thread", "process", or one that a plugin registers
Severity = Literal["info", "warning", "critical"]


class Policies(msgspec.Struct, frozen=True, kw_only=True):
    """What decides a slot's verdict and a run's course.

    `grace`: how late a slot's run may begin and still count as on time; with ``catch_up="none"``,
    how late it may begin at all, also when it waited for its place. `max_catch_up`: with
    ``catch_up="all"``, the newest so many missed slots run, the older are `missed`. `max_running`:
    runs of this job at once, over all its schedules. `concurrency_key`: runs with the same key run
    one after another; ``{name}`` in it stands for a param. `priority`: the higher starts first.
    `memory_limit_mb`: of a process executor's child. `overdue_after`, `severity`: of the job as a
    whole; a schedule cannot override them.
    """

    timeout: timedelta | None = None
    retry: Retry = Retry()
    overlap: Overlap = "skip"
    catch_up: CatchUp = "last"
    max_catch_up: int | None = None
    grace: timedelta = timedelta(minutes=1)
    max_running: int | None = None
    concurrency_key: str | None = None
    priority: int = 0
    on_lost: OnLost = "retry"
    executor: Executor = "async"
    memory_limit_mb: int | None = None
    overdue_after: timedelta | None = None
    severity: Severity = "warning"

    def changed(self, overrides: dict[str, Any], subject: str = "policies") -> "Policies":
        """Return these policies with `overrides` (as people or JSON write them) put over them.

        Raises DeclarationError, which begins with `subject`, on an unknown name or a bad value.
        """
        return replace(self, **checked(overrides, subject)) if overrides else self

    def to_json(self) -> dict[str, Any]:
        """Return plain values that `changed` reads back."""
        return plain(asdict(self))


def plain(policies: dict[str, Any]) -> dict[str, Any]:
    """Return them as they come back from the database, so that they compare equal to it."""
    return dict(msgspec.json.decode(msgspec.json.encode(policies)))


EXECUTORS = ("async", "thread", "process")
_MAX_TEXT = 1_000
_OF_JOB = ("overdue_after", "severity")
_FIELDS = {f.name: f.type for f in fields(Policies)}
POLICY_NAMES = tuple(_FIELDS)
_CHOICES = {"overlap": Overlap, "catch_up": CatchUp, "on_lost": OnLost, "severity": Severity}
_DURATIONS = {"timeout", "grace", "overdue_after"}
_NUMBERS: dict[str, tuple[int, float]] = {
    "max_catch_up": (1, inf),
    "max_running": (1, inf),
    "priority": (-32768, 32767),
    "memory_limit_mb": (16, inf),
}


def checked(overrides: dict[str, Any], subject: str) -> dict[str, Any]:
    """Return `overrides` with each value in its own type."""
    return {name: _value(name, value, subject) for name, value in overrides.items()}


def checked_of_schedule(overrides: dict[str, Any], subject: str) -> dict[str, Any]:
    """Return `overrides` as `checked` does; raises DeclarationError also on what is the job's."""
    for name in _OF_JOB:
        if name in overrides:
            raise DeclarationError(
                f"{subject}: {name} is of the job, over all its schedules; set it in @job(...), or "
                f'in [jobs."<job>"] of the configuration'
            )
    return checked(overrides, subject)


def _value(name: str, value: Any, subject: str) -> Any:
    if name not in _FIELDS:
        hint = suggestion(name, _FIELDS)
        raise DeclarationError(f"{subject}: unknown policy '{name}'{hint}")
    if value is None and "None" in str(_FIELDS[name]):
        return None
    if name in _DURATIONS:
        return _positive(name, value, subject)
    if name in _CHOICES:
        return _choice(name, value, subject)
    if name in _NUMBERS:
        return _number(name, value, subject)
    if name == "retry":
        return _retry(value, subject)
    if not isinstance(value, str) or not value:
        raise DeclarationError(f"{subject}: {name} is {value!r:.100}, it must be a text")
    check_text(subject, name, value, _MAX_TEXT)
    return value


def _positive(name: str, value: Any, subject: str) -> timedelta:
    try:
        found = _duration(value)
    except ValueError as error:
        raise DeclarationError(f"{subject}: {name} is {value!r}: {error}") from error
    if found <= timedelta(0):
        raise DeclarationError(f"{subject}: {name} is {value!r}, it must be longer than nothing")
    return found


def _duration(value: Any) -> timedelta:
    if isinstance(value, str) and value.startswith(("P", "-P")):  # as msgspec writes it
        return msgspec.convert(value, timedelta)
    return parse_duration(value)


def _choice(name: str, value: Any, subject: str) -> str:
    choices = get_args(_CHOICES[name])
    if not isinstance(value, str) or value not in choices:
        hint = suggestion(str(value), choices, "")
        raise DeclarationError(
            f"{subject}: {name} is {value!r}, it must be one of {', '.join(choices)}{hint}"
        )
    return str(value)


def _number(name: str, value: Any, subject: str) -> int:
    least, most = _NUMBERS[name]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        upto = "" if most == inf else f" to {most}"
        raise DeclarationError(
            f"{subject}: {name} is {value!r}, it must be a whole number from {least}{upto}"
        )
    return value


def _retry(value: Any, subject: str) -> Retry:
    if isinstance(value, Retry):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        value = {"attempts": value}
    if not isinstance(value, dict):
        raise DeclarationError(f"{subject}: retry is {value!r}, it must be a table or a number")
    for name in value:
        if name not in Retry.__struct_fields__:
            hint = suggestion(name, Retry.__struct_fields__)
            raise DeclarationError(f"{subject}: retry: unknown key '{name}'{hint}")
    try:
        value = {k: _duration(v) if k in {"delay", "max_delay"} else v for k, v in value.items()}
        return msgspec.convert(value, Retry)
    except (msgspec.ValidationError, ValueError) as error:
        reason = str(error).removeprefix("retry: ")
        raise DeclarationError(f"{subject}: retry: {reason}") from error
