"""What is to be another in a rehearsal: places, jobs, schedules, as people write it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from sereno.model.duration import parse_duration
from sereno.model.errors import ParamsError
from sereno.model.rehearsal import MeasuredDurations, Places, RehearsedJob
from sereno.model.suggestion import suggestion

_MOST_PLACES = 10_000


class JobAlteration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is another of a job. `usual`, `slow`: how long half, and 99 of 100 of its runs take."""

    usual: str | None = None
    slow: str | None = None
    policies: dict[str, Any] = {}

    def laid(self, name: str, job: RehearsedJob) -> RehearsedJob:
        """Return `job` with it; raises ParamsError, DeclarationError."""
        held = job.durations
        usual = held.usual if self.usual is None else _long(name, "usual", self.usual)
        slow = held.slow if self.slow is None else _long(name, "slow", self.slow)
        if self.usual is not None and self.slow is None:
            slow = max(usual, slow)
        if self.slow is not None and self.usual is None:
            usual = min(usual, slow)
        runs = held.runs if self.usual is None and self.slow is None else max(held.runs, 1)
        return RehearsedJob(
            policies=job.policies.changed(self.policies, f"job '{name}'"),
            durations=MeasuredDurations(usual=usual, slow=max(usual, slow), runs=runs),
            after=job.after,
        )


class ScheduleAlteration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is another of a schedule, or a schedule that there is not yet: then `trigger` is needed,
    and its job is what stands before ``@`` in its name. What is left out stays; None takes away."""

    trigger: str | None = None
    params: dict[str, Any] = {}
    start: datetime | UnsetType | None = UNSET
    end: datetime | UnsetType | None = UNSET
    jitter: str | UnsetType | None = UNSET
    policies: dict[str, Any] = {}
    one_off: bool | UnsetType = UNSET
    paused: bool | None = None
    removed: bool = False

    @property
    def parts(self) -> dict[str, Any]:
        """Return what `Client.preview_change` is given."""
        found: dict[str, Any] = {"params": self.params, "policies": self.policies}
        if self.trigger is not None:
            found["trigger"] = self.trigger
        for name in ("start", "end", "jitter", "one_off"):
            if getattr(self, name) is not UNSET:
                found[name] = getattr(self, name)
        return {name: value for name, value in found.items() if value != {}}


class RehearsalChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is to be another: places of the node, jobs and schedules by name."""

    max_running: int | None = None
    threads: int | None = None
    processes: int | None = None
    jobs: dict[str, JobAlteration] = {}
    schedules: dict[str, ScheduleAlteration] = {}

    def places(self, now: Places) -> Places:
        """Return the places as they would be; raises ParamsError."""
        changed = {
            name: value
            for name in ("max_running", "threads", "processes")
            if (value := getattr(self, name)) is not None
        }
        for name, value in changed.items():
            if not 1 <= value <= _MOST_PLACES:
                raise ParamsError(f"{name} is {value}, it must be from 1 to {_MOST_PLACES:,}")
        return msgspec.structs.replace(now, **changed)


def read_change(given: "RehearsalChange | Mapping[str, Any] | None") -> RehearsalChange:
    """Return a change as people or JSON write it; raises ParamsError, a sentence."""
    if given is None or isinstance(given, RehearsalChange):
        return given or RehearsalChange()
    if not isinstance(given, Mapping):
        raise ParamsError(f"the change is a {type(given).__name__}, it must be a table")
    known = RehearsalChange.__struct_fields__
    for name in given:
        if name not in known:
            hint = suggestion(str(name), known, f"; it takes {', '.join(known)}")
            raise ParamsError(f"the change: unknown key '{name!s:.60}'{hint}")
    try:
        return msgspec.convert(dict(given), RehearsalChange)
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        raise ParamsError(f"the change does not fit: {error}") from None


def _long(job: str, name: str, text: str) -> timedelta:
    found = parse_duration(text)
    if not timedelta(0) <= found <= timedelta(days=366):
        raise ParamsError(f"job '{job}': {name} is {text!r:.60}, it must be from 0s to 366d")
    return found
