"""A schedule as it is kept: what was declared, what a person changed since, and what follows from
both."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from sereno.model.calendar import on_days
from sereno.model.errors import DeclarationError
from sereno.model.ledger import ScheduleState, ScheduleVersion
from sereno.model.policies import plain
from sereno.model.schedule import Schedule
from sereno.model.stored_json import json_object, unreadable
from sereno.model.zone import default_zone


class ScheduleSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a schedule that may change, as JSON keeps them. `trigger`: its text.
    `jitter` below 0: to both sides."""

    trigger: str
    params: dict[str, Any] = {}
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    jitter: timedelta | None = None
    policies: dict[str, Any] = {}
    enabled: bool = True
    title: str = ""
    tags: tuple[str, ...] = ()
    one_off: bool = False
    at_start: bool = False

    @classmethod
    def of(cls, schedule: Schedule, enabled: bool = True) -> "ScheduleSpec":
        """Return what `schedule` declares."""
        return cls(
            trigger=_on_days(schedule),
            params=dict(schedule.params),
            starts_at=schedule.start,
            ends_at=schedule.end,
            jitter=schedule.jitter,
            policies=plain(dict(schedule.policies)),
            enabled=enabled,
            title=schedule.title,
            tags=schedule.tags,
            one_off=schedule.one_off,
            at_start=schedule.at_start,
        )

    @classmethod
    def from_json(cls, declared: dict[str, Any], overrides: dict[str, Any]) -> "ScheduleSpec":
        """Return what holds once `overrides` are laid over `declared`; raises DeclarationError on
        what is none of this."""
        code, users = json_object(declared), json_object(overrides)
        if fault := unreadable(declared=code, overrides=users):
            raise DeclarationError(fault)
        try:
            return msgspec.convert({**code, **users}, cls, strict=False)
        except (msgspec.ValidationError, ValueError, OverflowError) as error:
            raise DeclarationError(f"its declaration does not fit: {error}") from error

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values that `from_json` reads back."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return {k: v for k, v in found.items() if k not in _LATER or v != _DEFAULT[k]}

    def as_version(
        self, version: int, valid_from: datetime, state: ScheduleState
    ) -> ScheduleVersion:
        """Return this as a version of its schedule."""
        return ScheduleVersion(
            version=version,
            valid_from=valid_from,
            state=state,
            trigger=self.trigger,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            jitter=self.jitter,
            params=self.params,
            policies=self.policies,
        )


def _on_days(schedule: Schedule) -> str:
    text, zone = schedule.trigger.text, getattr(schedule.trigger, "zone", None)
    if not schedule.except_on and not schedule.only_on:
        return text
    return on_days(text, schedule.except_on, schedule.only_on, zone or default_zone())


_LATER = ("title", "tags", "one_off", "at_start")
"""Parts that earlier versions did not write: left out where they say nothing, so that what those
have kept is no other declaration."""

_DEFAULT = msgspec.to_builtins(ScheduleSpec(trigger=""))
