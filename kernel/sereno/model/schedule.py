"""What binds a trigger to a job, as it is declared."""

import inspect
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import (
    Any,
    Generic,
    Literal,
    Protocol,
    TypeGuard,
    Unpack,
    overload,
    runtime_checkable,
)

import msgspec

from sereno.model.calendar import checked_calendars
from sereno.model.call import explained
from sereno.model.declaration import spoken
from sereno.model.errors import DeclarationError
from sereno.model.foreign_names import hint
from sereno.model.policies import POLICY_NAMES, checked_of_schedule
from sereno.model.policy_types import Duration, SchedulePolicies
from sereno.model.registrable import (
    check_instant,
    check_json,
    check_spread,
    check_text,
    checked_flag,
)
from sereno.model.spread import parse_spread
from sereno.model.text import visible_line
from sereno.model.titles import checked_tags, checked_title
from sereno.model.type_variables import J, S

MAX_LABEL = 200
MAX_TRIGGER = 65_536

_NONE: Mapping[str, Any] = MappingProxyType({})
"""No params, or no policies, of any number of schedules."""

_KEYS = (
    "label",
    "params",
    "start",
    "end",
    "jitter",
    "title",
    "tags",
    "one_off",
    "at_start",
    "except_on",
    "only_on",
)

Origin = Literal["plugin", "config", "user"]


@runtime_checkable
class SlotSource(Protocol):
    """A pure rule of time: aware UTC in and out, no hidden state, no I/O."""

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first slot strictly after `instant`, or None when there is none."""
        ...

    @property
    def text(self) -> str:
        """Return the form that `sereno.parse` reads back."""
        ...


def is_trigger(value: object) -> TypeGuard[SlotSource]:
    """Tell whether `value` is a trigger, and not the class of one."""
    return isinstance(value, SlotSource) and not inspect.isclass(value)


class Schedule(msgspec.Struct, Generic[J], frozen=True, kw_only=True):
    """One trigger of a job, with the params and policies that hold for its slots.

    `label` tells several schedules of one job apart: the schedule's name is ``job`` or
    ``job@label``. `start` is inclusive, `end` exclusive. `jitter` spreads slots over so much time,
    the same on every replica; below 0, as ``±30s`` is read, to both sides. `one_off`: its first
    slot is its last. `at_start`: a leader that takes it up first runs it at once, too. `title`,
    `tags`: what people know it by, and find its runs by. `except_on`, `only_on`: calendars on whose
    days it does not run, or alone does.
    """

    trigger: SlotSource
    label: str = ""
    params: Mapping[str, Any] = {}
    start: datetime | None = None
    end: datetime | None = None
    jitter: timedelta | None = None
    title: str = ""
    tags: tuple[str, ...] = ()
    one_off: bool = False
    at_start: bool = False
    except_on: tuple[str, ...] = ()
    only_on: tuple[str, ...] = ()
    policies: Mapping[str, Any] = {}

    def check(self, job: str) -> None:
        """Raise DeclarationError where the database could not keep what is declared for `job`."""
        subject = f"a schedule of job '{job}'"
        check_text(subject, "its label", self.label, MAX_LABEL)
        if visible_line(self.label) != self.label:
            raise DeclarationError(
                f"{subject}: its label is {self.label!r}; leave out what cannot be seen"
            )
        subject = f"schedule '{self.name(job)}'"
        if not isinstance(self.trigger, SlotSource):
            raise DeclarationError(f"{subject}: {self.trigger!r:.100} is no trigger")
        check_text(subject, "the text of its trigger", self.trigger.text, MAX_TRIGGER)
        check_instant(subject, "start", self.start)
        check_instant(subject, "end", self.end)
        check_spread(subject, self.jitter)
        checked_title(self.title, "title", subject)
        checked_tags(self.tags, subject)
        checked_flag(self.one_off, "one_off", subject)
        checked_flag(self.at_start, "at_start", subject)
        checked_calendars(self.except_on, "except_on", subject)
        checked_calendars(self.only_on, "only_on", subject)
        if self.params:
            check_json(subject, "params", dict(self.params))

    def name(self, job: str) -> str:
        """Return this schedule's name as one of `job`'s."""
        return f"{job}@{self.label}" if self.label else job


Declared = SlotSource | Schedule[J] | Iterable[SlotSource | Schedule[J]]
"""What a job's schedule may be said by."""


@overload
def schedule(
    trigger: SlotSource,
    *,
    params: S,
    label: str = "",
    start: datetime | None = None,
    end: datetime | None = None,
    jitter: Duration | None = None,
    title: str = "",
    tags: Iterable[str] = (),
    one_off: bool = False,
    at_start: bool = False,
    except_on: str | Iterable[str] = (),
    only_on: str | Iterable[str] = (),
    **policies: Unpack[SchedulePolicies],
) -> Schedule[S]: ...


@overload
def schedule(
    trigger: SlotSource,
    *,
    params: Mapping[str, Any] | None = None,
    label: str = "",
    start: datetime | None = None,
    end: datetime | None = None,
    jitter: Duration | None = None,
    title: str = "",
    tags: Iterable[str] = (),
    one_off: bool = False,
    at_start: bool = False,
    except_on: str | Iterable[str] = (),
    only_on: str | Iterable[str] = (),
    **policies: Unpack[SchedulePolicies],
) -> Schedule[Any]: ...


@explained
def schedule(
    trigger: SlotSource,
    *,
    label: str = "",
    params: Mapping[str, Any] | msgspec.Struct | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    jitter: Duration | None = None,
    title: str = "",
    tags: Iterable[str] = (),
    one_off: bool = False,
    at_start: bool = False,
    except_on: str | Iterable[str] = (),
    only_on: str | Iterable[str] = (),
    **policies: Any,
) -> Schedule[Any]:
    """Bind `trigger` to params, a window and policies, for ``@job(..., schedule=[...])``.

    `params`: a table, or a value of the job's Struct.

    Raises DeclarationError on a naive time, an empty window or a bad policy.
    """
    if not is_trigger(trigger):
        raise DeclarationError(
            f"schedule: {spoken(trigger)} is no trigger; write cron('0 8 * * *') or every('6h')"
        )
    for key in policies:
        if key not in POLICY_NAMES:
            known = [*_KEYS, *POLICY_NAMES]
            raise DeclarationError(f"schedule: unknown key '{key}'{hint(key, known)}")
    if not isinstance(label, str):
        raise DeclarationError(f"schedule: label is {label!r:.80}, it must be a text")
    for name, value in (("start", start), ("end", end)):
        if value is not None and not isinstance(value, datetime):
            raise DeclarationError(f"schedule: {name} is {value!r:.80}, it must be a datetime")
        if value is not None and value.tzinfo is None:
            raise DeclarationError(f"schedule: {name} is {value}, it must carry a time zone")
    if start is not None and end is not None and start >= end:
        raise DeclarationError(
            f"schedule: the window is empty, start {start} is not before end {end}"
        )
    return Schedule(
        trigger=trigger,
        label=label,
        params=_table(params) or _NONE,
        start=start,
        end=end,
        jitter=None if jitter is None else parse_spread(jitter),
        title=checked_title(title, "title", "schedule"),
        tags=checked_tags(tags, "schedule"),
        one_off=checked_flag(one_off, "one_off", "schedule"),
        at_start=checked_flag(at_start, "at_start", "schedule"),
        except_on=checked_calendars(except_on, "except_on", "schedule"),
        only_on=checked_calendars(only_on, "only_on", "schedule"),
        policies=checked_of_schedule(policies, "schedule") or _NONE,
    )


def _table(params: Mapping[str, Any] | msgspec.Struct | None) -> dict[str, Any]:
    if isinstance(params, msgspec.Struct):
        return dict(msgspec.to_builtins(params))
    if params is not None and not isinstance(params, Mapping):
        raise DeclarationError(
            f"schedule: params is {spoken(params)}, it must be a table, as {{'site': 'rome'}}"
        )
    return dict(params or {})
