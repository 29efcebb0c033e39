"""Decides what a change of a schedule lays over what is declared."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from sereno.model.errors import ParamsError
from sereno.model.job import Job
from sereno.model.schedule_spec import ScheduleSpec
from sereno.store.schedules import LockedSchedule, Revision

Part = Literal[
    "trigger",
    "params",
    "start",
    "end",
    "jitter",
    "policies",
    "title",
    "tags",
    "one_off",
    "at_start",
    "all",
]

_FIELDS = {
    "trigger": "trigger",
    "params": "params",
    "start": "starts_at",
    "end": "ends_at",
    "jitter": "jitter",
    "policies": "policies",
    "title": "title",
    "tags": "tags",
    "one_off": "one_off",
    "at_start": "at_start",
}


class ScheduleRevision(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be changed; UNSET leaves as it is, None takes away. `params`, `policies`: those
    that are named, others stay. `reset`: parts that are to be as they were declared."""

    trigger: str | None = None
    params: dict[str, Any] = {}
    start: datetime | UnsetType | None = UNSET
    end: datetime | UnsetType | None = UNSET
    jitter: timedelta | UnsetType | None = UNSET
    policies: dict[str, Any] = {}
    title: str | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    one_off: bool | UnsetType = UNSET
    at_start: bool | UnsetType = UNSET
    reset: Sequence[Part] = ()

    def laid(self, jobs: Callable[[str], Job]) -> Revision:
        """Return what the store makes of it, once the schedule is locked; raises ParamsError where
        nothing is to be changed."""
        if unknown := [part for part in self.reset if part not in (*_FIELDS, "all")]:
            raise ParamsError(
                f"reset: '{unknown[0]:.60}' is no part of a schedule, but {', '.join(_FIELDS)}, all"
            )
        if self == ScheduleRevision():
            raise ParamsError("nothing to change is named")

        def revision(standing: LockedSchedule) -> Mapping[str, Any]:
            names = _FIELDS.values() if "all" in self.reset else [_FIELDS[n] for n in self.reset]
            changes: dict[str, Any] = dict.fromkeys(names)
            current = _laid(standing, changes)
            if self.trigger is not None:
                changes["trigger"] = self.trigger
            for name in ("start", "end", "jitter", "title", "tags", "one_off", "at_start"):
                value = getattr(self, name)
                if value is not UNSET:
                    changes[_FIELDS[name]] = UNSET if value is None else value
            if self.params:
                changes["params"] = current.params | self.params
            if self.policies:
                subject = f"schedule '{standing.name}'"
                checked = jobs(standing.job).checked_policies(self.policies, subject)
                changes["policies"] = current.policies | checked
            return {k: v if v is UNSET else msgspec.to_builtins(v) for k, v in changes.items()}

        return revision


def _laid(standing: LockedSchedule, changes: Mapping[str, Any]) -> ScheduleSpec:
    """Return what holds once `changes` are made: None stands for what is declared."""
    laid = {key: getattr(standing.declared, key) for key in changes}
    return msgspec.structs.replace(standing.current, **laid)
