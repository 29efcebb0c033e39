"""A schedule as it is kept: what was declared, what a person changed since, and what follows from
both."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from sereno.model.errors import DeclarationError
from sereno.model.ledger import ScheduleState, ScheduleVersion
from sereno.model.policies import plain
from sereno.model.schedule import Schedule
from sereno.model.stored_json import json_object, unreadable


class ScheduleSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a schedule that may change, as JSON keeps them. `trigger`: its text."""

    trigger: str
    params: dict[str, Any] = {}
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    jitter: timedelta | None = None
    policies: dict[str, Any] = {}
    enabled: bool = True

    @classmethod
    def of(cls, schedule: Schedule, enabled: bool = True) -> "ScheduleSpec":
        """Return what `schedule` declares."""
        return cls(
            trigger=schedule.trigger.text,
            params=dict(schedule.params),
            starts_at=schedule.start,
            ends_at=schedule.end,
            jitter=schedule.jitter,
            policies=plain(dict(schedule.policies)),
            enabled=enabled,
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
        return dict(msgspec.to_builtins(self))

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
