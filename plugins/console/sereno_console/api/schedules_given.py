"""What is given to operations of schedules."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from sereno_console.api.runs_given import Limit, Text

Instant = Annotated[datetime, Meta(tz=True)]
Trigger = Annotated[str, Meta(max_length=2_000)]
Many = Annotated[int, Meta(ge=1, le=1_000)]
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


class ScheduleWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A schedule to be added to a job. `label`: its name is ``job@label``. `jitter`: as ``30s``, or
    ``±30s``."""

    trigger: Trigger
    label: Annotated[str, Meta(max_length=200)] = ""
    params: dict[str, Any] = {}
    start: Instant | None = None
    end: Instant | None = None
    jitter: Text | None = None
    policies: dict[str, Any] = {}
    title: Text = ""
    tags: tuple[str, ...] = ()
    one_off: bool = False
    at_start: bool = False
    except_on: tuple[str, ...] = ()
    only_on: tuple[str, ...] = ()
    reason: Text = ""


class ChangeWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change of a schedule. What is left out stays, null takes `start`, `end`, `jitter` away.

    `params`, `policies`: those that are named, others stay. `reset`: parts as they were declared.
    """

    trigger: Trigger | UnsetType = UNSET
    params: dict[str, Any] | UnsetType = UNSET
    start: Instant | UnsetType | None = UNSET
    end: Instant | UnsetType | None = UNSET
    jitter: Text | UnsetType | None = UNSET
    policies: dict[str, Any] | UnsetType = UNSET
    title: Text | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    one_off: bool | UnsetType = UNSET
    at_start: bool | UnsetType = UNSET
    reset: tuple[Part, ...] = ()


class RevisionWanted(ChangeWanted, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change that is to be made, and why."""

    reason: Text = ""


class PreviewedChange(ChangeWanted, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change that may be made. `count`: how many slots before and after."""

    count: Many = 10


class PreviewedTrigger(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A trigger that no schedule has yet."""

    trigger: Trigger
    name: Text = "preview"
    start: Instant | None = None
    end: Instant | None = None
    jitter: Text | None = None
    one_off: bool = False
    at_start: bool = False
    after: Instant | None = None
    count: Many = 10


class NextQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many slots, and after when."""

    count: Many = 10
    after: Instant | None = None


class SchedulesQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`name`: of a job, or those that a pattern stands for; all without. With any of the others a
    page of them by name: `text` is in name, title or trigger."""

    name: Text | None = None
    text: Text | None = None
    job: Text | None = None
    state: Literal["active", "paused", "orphaned"] | None = None
    tag: Text | None = None
    limit: Limit | None = None
    cursor: Text | None = None


class RemovalQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why."""

    reason: Text = ""


class PauseWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pause of one schedule. `until`: None: until it is resumed."""

    until: Instant | None = None
    reason: Text = ""


class ResumeWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An end of a pause. `replay`: which slots of the pause are to be run."""

    replay: Literal["none", "last", "all"] = "none"
    reason: Text = ""


class ManyPaused(PauseWanted, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pause of many: by name or pattern, of a plugin, or of everything."""

    name: Text | None = None
    plugin: Text | None = None
    everything: bool = False


class ManyResumed(ResumeWanted, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An end of a pause of many, chosen alike."""

    name: Text | None = None
    plugin: Text | None = None
    everything: bool = False
