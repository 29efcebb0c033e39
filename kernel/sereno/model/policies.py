"""The policies of a job, and how a schedule, the configuration or a person overrides them."""

from collections.abc import Callable, Collection
from datetime import timedelta
from math import inf
from typing import Any, Literal, get_args

import msgspec
from msgspec.structs import asdict, fields, replace

from sereno.model.concurrency import split_concurrency
from sereno.model.duration import as_written, parse_duration
from sereno.model.errors import DeclarationError
from sereno.model.foreign_names import hint
from sereno.model.registrable import check_text
from sereno.model.retry import Retry
from sereno.model.suggestion import suggestion

Overlap = Literal["skip", "queue", "allow", "cancel_previous"]
CatchUp = Literal["last", "none", "all"]
OnLost = Literal["retry", "fail"]
Executor = str  # "async", "thread", "process", "host", or one that a plugin registers
Severity = Literal["info", "warning", "critical"]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]
RunsOn = str | tuple[str, ...]  # "any", "leader", or the labels that a node is to have
Scope = Literal["cluster", "host", "node"]


class Policies(msgspec.Struct, frozen=True, kw_only=True):
    """What decides a slot's verdict and a run's course.

    `grace`: how late a slot's run may begin and still count as on time; with ``catch_up="none"``,
    how late it may begin at all, also when it waited for its place. `start_by`: how long after its
    slot, or the instant it was queued for, a run may begin; not begun by then, it ends unbegun, and
    its slot is `missed`. `max_catch_up`: with
    ``catch_up="all"``, the newest so many missed slots run, the older are `missed`. `max_running`:
    runs of this job at once, over all its schedules. `concurrency_key`: of the runs with the same
    key at most `concurrency_limit` run at once; ``{name}`` in it stands for a param; people write
    both as ``concurrency={"key": ..., "limit": ...}``. `priority`: the higher starts first.
    `runs_on`: which node works on it: any that has a place, the leader, or one with all of these
    labels. `scope`: whether a slot is worked on once, or once at each host, or node, that may;
    then `overlap`, `max_running`, `retry` and `on_lost` are of each place. `memory_limit_mb`: of a
    process executor's child. `keep_result`: what the function returns is kept with the run, and
    given to what is chained after it. `log_level`: from which level on the run's lines are kept,
    None: as the node's settings say; it keeps no more than those. `stalled_after`: a run at work
    that has said nothing for so long is told. `keep_for`, `keep_runs`: for how long its runs are
    kept, and how many that are over; a job that says one of them goes by that alone, and not by the
    general retention.
    `min_interval`: no schedule of the job may have slots closer together; runs that somebody asks
    for are not bound by it. `unique_for`: for how long a run that was asked for keeps another one
    out, by its params, or by those that `unique_by` names; without `unique_for`, while it is not
    over. `overdue_after`, `severity`, `scope` and these five: of the job as a whole; a schedule
    cannot override them.
    """

    timeout: timedelta | None = None
    retry: Retry = Retry()
    overlap: Overlap = "skip"
    catch_up: CatchUp = "last"
    max_catch_up: int | None = None
    grace: timedelta = timedelta(minutes=1)
    start_by: timedelta | None = None
    max_running: int | None = None
    concurrency_key: str | None = None
    concurrency_limit: int = 1
    priority: int = 0
    on_lost: OnLost = "retry"
    executor: Executor = "async"
    runs_on: RunsOn = "any"
    scope: Scope = "cluster"
    memory_limit_mb: int | None = None
    keep_result: bool = True
    log_level: LogLevel | None = None
    stalled_after: timedelta | None = None
    keep_for: timedelta | None = None
    keep_runs: int | None = None
    min_interval: timedelta | None = None
    unique_for: timedelta | None = None
    unique_by: tuple[str, ...] | None = None
    overdue_after: timedelta | None = None
    severity: Severity = "warning"

    def changed(self, overrides: dict[str, Any], subject: str = "policies") -> "Policies":
        """Return these policies with `overrides` (as people or JSON write them) put over them.

        Raises DeclarationError, which begins with `subject`, on an unknown name or a bad value.
        """
        if not overrides:
            return self
        found = checked(overrides, subject)
        if "concurrency_key" in found:  # a key that says no limit is of one run at a time
            found.setdefault("concurrency_limit", 1)
        return replace(self, **found)

    @property
    def parted(self) -> bool:
        """Return whether a run has a part at each place."""
        return self.scope != "cluster"

    @property
    def key_limit(self) -> int:
        """Return how many runs of one key work at once; of a key that is not said here, one."""
        return 1 if self.concurrency_key is None else self.concurrency_limit

    def to_json(self) -> dict[str, Any]:
        """Return plain values that `changed` reads back."""
        return plain(asdict(self))


def plain(policies: dict[str, Any]) -> dict[str, Any]:
    """Return them as they come back from the database, so that they compare equal to it."""
    return dict(msgspec.json.decode(msgspec.json.encode(policies)))


EXECUTORS = ("async", "thread", "process", "host")
"""The kernel's own."""

_learnt: dict[str, None] = {}


def known_executors() -> tuple[str, ...]:
    """Return the names that a job may ask for in this process: the kernel's, and those of plugins
    that were collected."""
    return (*EXECUTORS, *_learnt)


def learn_executor(name: str) -> None:
    """Take the name of a plugin's executor for known."""
    _learnt[name] = None


_MAX_TEXT = 1_000
_MAX_LABEL = 100
_OF_JOB = (
    *("keep_for", "keep_runs", "min_interval"),
    *("unique_for", "unique_by", "overdue_after", "severity", "scope"),
)
_FIELDS = {f.name: f.type for f in fields(Policies)}
POLICY_NAMES = (*_FIELDS, "concurrency")
"""As people write them."""

LONGEST_UNIQUE = timedelta(days=3650)
_CHOICES = {
    "overlap": Overlap,
    "catch_up": CatchUp,
    "on_lost": OnLost,
    "scope": Scope,
    "severity": Severity,
    "log_level": LogLevel,
}
_SWITCHES = {"keep_result"}
_DURATIONS = {
    *("timeout", "grace", "start_by", "stalled_after", "keep_for"),
    *("min_interval", "overdue_after", "unique_for"),
}
_NUMBERS: dict[str, tuple[int, float]] = {
    "max_catch_up": (1, inf),
    "max_running": (1, inf),
    "concurrency_limit": (1, 2**31 - 1),
    "keep_runs": (1, 2**31 - 1),
    "priority": (-32768, 32767),
    "memory_limit_mb": (16, inf),
}


def checked(overrides: dict[str, Any], subject: str) -> dict[str, Any]:
    """Return `overrides` with each value in its own type."""
    found = split_concurrency(overrides, subject) if "concurrency" in overrides else overrides
    return {name: checked_policy(name, value, subject) for name, value in found.items()}


def checked_of_schedule(overrides: dict[str, Any], subject: str) -> dict[str, Any]:
    """Return `overrides` as `checked` does; raises DeclarationError also on what is the job's."""
    for name in _OF_JOB:
        if name in overrides:
            raise DeclarationError(
                f"{subject}: {name} is of the job, over all its schedules; set it in @job(...), or "
                f'in [jobs."<job>"] of the configuration'
            )
    return checked(overrides, subject)


def checked_policy(name: str, value: Any, subject: str) -> Any:
    """Return one policy in its own type; the two of ``concurrency`` as a table."""
    if name == "concurrency":
        return checked(split_concurrency({name: value}, subject), subject)
    if name not in _FIELDS:
        raise DeclarationError(f"{subject}: unknown policy '{name}'{hint(name, POLICY_NAMES)}")
    if value is None and type(None) in get_args(_FIELDS[name]):
        return None
    for names, check in _CHECKS:
        if name in names:
            return check(name, value, subject)
    if not isinstance(value, str) or not value:
        raise DeclarationError(f"{subject}: {name} is {value!r:.100}, it must be a text")
    check_text(subject, name, value, _MAX_TEXT)
    return value


def _switch(name: str, value: Any, subject: str) -> bool:
    if not isinstance(value, bool):
        raise DeclarationError(f"{subject}: {name} is {value!r:.100}, it must be true or false")
    return value


def _positive(name: str, value: Any, subject: str) -> timedelta:
    try:
        found = _duration(value)
    except ValueError as error:
        raise DeclarationError(f"{subject}: {name} is {as_written(value)}: {error}") from error
    if found <= timedelta(0):
        raise DeclarationError(
            f"{subject}: {name} is {as_written(value)}, it must be longer than nothing"
        )
    if name == "unique_for" and found > LONGEST_UNIQUE:
        raise DeclarationError(
            f"{subject}: {name} is {as_written(value)}, it must be of {LONGEST_UNIQUE.days} days "
            "at most"
        )
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


def _names(value: Any, subject: str) -> tuple[str, ...]:
    """Return names of params, each once."""
    if isinstance(value, str):
        raise DeclarationError(
            f"{subject}: unique_by is {value!r:.100}, it must be a list of params' names: "
            f"{[value]!r:.100}"
        )
    if not isinstance(value, list | tuple) or not value:
        raise DeclarationError(
            f"{subject}: unique_by is {value!r:.100}, it must be a list of params' names; leave it"
            " out to compare all params"
        )
    for name in value:
        if not isinstance(name, str) or not name:
            raise DeclarationError(f"{subject}: unique_by names {name!r:.100}, which is no param")
        check_text(subject, "unique_by", name, _MAX_TEXT)
    return tuple(sorted(set(value)))


RUNS_ON = ("any", "leader")


def _place(value: Any, subject: str) -> RunsOn:
    if isinstance(value, str):
        if value in RUNS_ON:
            return value
        hint = suggestion(value, RUNS_ON, f"; of nodes with a label: {[value]!r:.100}")
        raise DeclarationError(
            f'{subject}: runs_on is {value!r:.100}, it must be "any", "leader" or a list of labels'
            f"{hint}"
        )
    return checked_labels(value, f"{subject}: runs_on")


def checked_labels(value: Any, subject: str) -> tuple[str, ...]:
    """Return labels of nodes, each once; raises DeclarationError."""
    if not isinstance(value, list | tuple) or not value:
        raise DeclarationError(f"{subject} is {value!r:.100}, it must be a list of labels")
    for label in value:
        if not isinstance(label, str) or not label.strip() or label != label.strip():
            raise DeclarationError(
                f"{subject} names {label!r:.100}, a label is a text without blanks around it"
            )
        check_text(subject, "a label", label, _MAX_LABEL)
    return tuple(sorted(set(value)))


def _retry(value: Any, subject: str) -> Retry:
    if isinstance(value, Retry):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        value = {"attempts": value}
    if not isinstance(value, dict):
        raise DeclarationError(f"{subject}: retry is {value!r}, it must be a table or a number")
    for name in value:
        if name not in Retry.__struct_fields__:
            known = Retry.__struct_fields__
            raise DeclarationError(f"{subject}: retry: unknown key '{name}'{hint(name, known)}")
    try:
        value = {k: _duration(v) if k in {"delay", "max_delay"} else v for k, v in value.items()}
        return msgspec.convert(value, Retry)
    except (msgspec.ValidationError, ValueError) as error:
        reason = str(error).removeprefix("retry: ")
        raise DeclarationError(f"{subject}: retry: {reason}") from error


_CHECKS: tuple[tuple[Collection[str], Callable[[str, Any, str], Any]], ...] = (
    (_DURATIONS, _positive),
    (_CHOICES, _choice),
    (_NUMBERS, _number),
    (_SWITCHES, _switch),
    ({"retry"}, lambda _, value, subject: _retry(value, subject)),
    ({"unique_by"}, lambda _, value, subject: _names(value, subject)),
    ({"runs_on"}, lambda _, value, subject: _place(value, subject)),
)
