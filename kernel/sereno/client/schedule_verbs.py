"""Verbs of schedules: read, add, change, pause and resume them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from sereno.client.revision import Part, ScheduleRevision
from sereno.client.slot_verbs import MOST_SLOTS, SlotVerbs, slots_of, text_of
from sereno.client.verbs import Duration, check_texts, checked_limit, known_plugin
from sereno.model.calendar import checked_calendars, on_days
from sereno.model.errors import ConflictError, NotFoundError, ParamsError
from sereno.model.ledger import ScheduleVersion
from sereno.model.schedule_spec import ScheduleSpec
from sereno.model.spread import parse_spread
from sereno.model.titles import checked_tags, checked_title
from sereno.model.zone import default_zone
from sereno.settings import hidden
from sereno.store import cluster, schedules
from sereno.store.filters import is_pattern
from sereno.store.version import ends_with_it
from sereno.triggers import Trigger, parse
from sereno.triggers.replay import Replayed
from sereno.triggers.resolution import foretold

_AT_ONCE = 200
"""Schedules that are paused or resumed in one transaction."""


class ScheduleChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as it is after a change. `valid_from`: slots after that follow it, what jitter had
    put off to then stays with the version before; `next_slot`: the first of them."""

    schedule: str
    job: str
    version: ScheduleVersion
    changed_at: datetime
    valid_from: datetime
    next_slot: datetime


class ScheduleAdded(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule that was added, and its first slot."""

    schedule: str
    job: str
    trigger: str
    next_slot: datetime


class ScheduleRemoved(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule that was removed. `ended`: slots that jitter had put off, and that end unbegun."""

    schedule: str
    ended: tuple[datetime, ...]

    @property
    def remark(self) -> str:
        """Return the sentence that tells of `ended`, empty where there is none."""
        return ends_with_it(self.ended) if self.ended else ""


class ChangePreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a change would do: the schedule's parts and its next slots, before and after."""

    schedule: str
    job: str
    now: datetime
    before: ScheduleSpec
    after: ScheduleSpec
    slots_before: tuple[datetime, ...]
    slots_after: tuple[datetime, ...]


class Paused(msgspec.Struct, frozen=True, kw_only=True):
    """Schedules that were paused now. `active`: those of the same name that go on, as they were
    resumed meanwhile or are of another state."""

    paused: tuple[str, ...]
    until: datetime | None


class Resumed(msgspec.Struct, frozen=True, kw_only=True):
    """Schedules that were resumed now, and runs that were queued for slots of the pause."""

    resumed: tuple[str, ...]
    runs: tuple[int, ...]


class ScheduleVerbs(SlotVerbs):
    """Verbs of schedules."""

    async def add_schedule(
        self,
        job: str,
        trigger: str | Trigger,
        *,
        label: str = "",
        params: Mapping[str, Any] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        jitter: Duration | None = None,
        policies: Mapping[str, Any] | None = None,
        title: str = "",
        tags: Iterable[str] = (),
        one_off: bool = False,
        at_start: bool = False,
        except_on: str | Iterable[str] = (),
        only_on: str | Iterable[str] = (),
        reason: str = "",
        requested_by: str | None = None,
    ) -> ScheduleAdded:
        """Add a schedule to `job`, named as the job or, with a `label`, ``job@label``.

        `one_off`: its first slot is its last. `at_start`: it runs at once, too. `jitter`: ``±30s``
        for both sides. The job must be declared here, by a plugin that is installed. Raises
        NotFoundError, DeclarationError, TriggerError, ParamsError.
        """
        known = self._declarations.job(job)
        name = f"{job}@{label}" if label else job
        text = text_of(trigger)
        subject, zone = f"schedule '{name}'", parse(text).zone or default_zone()
        but = checked_calendars(except_on, "except_on", subject)
        alone = checked_calendars(only_on, "only_on", subject)
        spec = ScheduleSpec(
            trigger=on_days(text, but, alone, zone),
            params=dict(params or {}),
            starts_at=start,
            ends_at=end,
            jitter=(parse_spread(jitter) or None) if jitter is not None else None,
            policies=known.checked_policies(dict(policies or {}), f"schedule '{name}'"),
            title=checked_title(title, "title", f"schedule '{name}'"),
            tags=checked_tags(tags, f"schedule '{name}'"),
            one_off=one_off,
            at_start=at_start,
        )
        by = self._by(requested_by)
        first = await schedules.add(self._db, name, known, spec, by=by, reason=reason)
        return ScheduleAdded(schedule=name, job=job, trigger=spec.trigger, next_slot=first)

    async def change_schedule(
        self,
        name: str,
        *,
        trigger: str | Trigger | None = None,
        params: Mapping[str, Any] | None = None,
        start: datetime | UnsetType | None = UNSET,
        end: datetime | UnsetType | None = UNSET,
        jitter: Duration | UnsetType | None = UNSET,
        policies: Mapping[str, Any] | None = None,
        title: str | UnsetType = UNSET,
        tags: Iterable[str] | UnsetType = UNSET,
        one_off: bool | UnsetType = UNSET,
        at_start: bool | UnsetType = UNSET,
        reset: Sequence[Part] = (),
        expect: int | None = None,
        reason: str = "",
        requested_by: str | None = None,
    ) -> ScheduleChanged:
        """Change one schedule, of whatever origin, from its next slot on.

        What is left out stays, and so does each param and policy that is not named; None for
        `start`, `end`, `jitter` takes these away. `reset`: parts as they were declared again,
        before the rest is laid over. `expect`: the version that was seen; ConflictError when it is
        another by now. Raises as `add_schedule`; then the schedule is as it was.
        """
        wanted = _revision(
            *(trigger, params, start, end, jitter, policies, title, tags, reset),
            one_off=one_off,
            at_start=at_start,
        )
        told: dict[str, Any] = {}

        def noted(standing: schedules.LockedSchedule) -> Mapping[str, Any]:
            _check_version(standing, expect)
            told.update(schedule=standing.name, job=standing.job, changed_at=standing.now)
            return wanted.laid(self._declarations.job)(standing)

        version, first = await schedules.override(
            self._db,
            name,
            noted,
            jobs=self._declarations.job,
            by=self._by(requested_by),
            reason=reason,
        )
        return ScheduleChanged(
            version=_masked(version), valid_from=version.valid_from, next_slot=first, **told
        )

    async def preview_change(
        self,
        name: str,
        *,
        trigger: str | Trigger | None = None,
        params: Mapping[str, Any] | None = None,
        start: datetime | UnsetType | None = UNSET,
        end: datetime | UnsetType | None = UNSET,
        jitter: Duration | UnsetType | None = UNSET,
        policies: Mapping[str, Any] | None = None,
        title: str | UnsetType = UNSET,
        tags: Iterable[str] | UnsetType = UNSET,
        one_off: bool | UnsetType = UNSET,
        at_start: bool | UnsetType = UNSET,
        reset: Sequence[Part] = (),
        count: int = 10,
    ) -> ChangePreview:
        """Return what `change_schedule` would do, with the next `count` slots before and after.

        Raises as it would; nothing is changed.
        """
        checked_limit(count, MOST_SLOTS)
        wanted = _revision(
            *(trigger, params, start, end, jitter, policies, title, tags, reset),
            one_off=one_off,
            at_start=at_start,
        )
        laid = wanted.laid(self._declarations.job)
        standing, after = await schedules.preview(self._db, name, laid, jobs=self._declarations.job)

        def slots(spec: ScheduleSpec) -> tuple[datetime, ...]:
            version = foretold(spec, standing.name, standing.now)
            return tuple(slots_of(version, standing.name, standing.now, count))

        return ChangePreview(
            schedule=standing.name,
            job=standing.job,
            now=standing.now,
            before=_masked(standing.current),
            after=_masked(after),
            slots_before=slots(standing.current),
            slots_after=slots(after),
        )

    async def remove_schedule(
        self, name: str, *, reason: str = "", requested_by: str | None = None
    ) -> ScheduleRemoved:
        """Remove a schedule that a person made, or whose plugin is gone; its history stays.

        Raises NotFoundError, DeclarationError for one that is declared.
        """
        by = self._by(requested_by)
        removed, slots = await schedules.remove(self._db, name, by=by, reason=reason)
        return ScheduleRemoved(schedule=removed, ended=tuple(slots))

    async def pause(
        self,
        name: str | Sequence[str] | None = None,
        *,
        plugin: str | None = None,
        everything: bool = False,
        until: datetime | None = None,
        reason: str = "",
        requested_by: str | None = None,
    ) -> Paused:
        """Pause a schedule, all of a job, those that a pattern stands for, of a plugin, or all.

        A name that a job has, too, is the job's; a list has the very names of schedules.
        Slots are recorded as skipped meanwhile; runs by hand go on. Of many schedules 200 are
        paused at a time, each lot whole: what an error leaves out another call does. Raises
        NotFoundError, and DeclarationError when `until` is past.
        """
        by = self._by(requested_by)
        paused: list[str] = []
        for names in await self._chosen(name, plugin, everything):
            paused += await schedules.pause(self._db, names, by=by, reason=reason, until=until)
        return Paused(paused=tuple(paused), until=until)

    async def resume(
        self,
        name: str | Sequence[str] | None = None,
        *,
        plugin: str | None = None,
        everything: bool = False,
        replay: Replayed = "none",
        reason: str = "",
        requested_by: str | None = None,
    ) -> Resumed:
        """Resume what `pause` has paused, chosen alike, from the next slot on.

        `replay`: which of the slots that fell into the pause are to be run: ``none``, the ``last``,
        or ``all``. Raises NotFoundError.
        """
        if replay not in ("none", "last", "all"):
            raise ParamsError(f"replay is {replay!r:.60}, it must be none, last or all")
        by = self._by(requested_by)
        resumed: list[str] = []
        runs: list[int] = []
        for names in await self._chosen(name, plugin, everything):
            some, queued = await schedules.resume(self._db, names, by=by, run=replay, reason=reason)
            resumed += some
            runs += queued
        return Resumed(resumed=tuple(resumed), runs=tuple(runs))

    async def _chosen(
        self, name: str | Sequence[str] | None, plugin: str | None, everything: bool
    ) -> Sequence[str | Sequence[str]]:
        """Return what is chosen, in lots: a name as it is, or names of schedules."""
        given = [what for what in (name, plugin, everything or None) if what is not None]
        if len(given) != 1:
            raise ParamsError(
                "say what is meant by one of these: a name or pattern, a plugin, or everything"
            )
        if name is not None and not isinstance(name, str):
            for each in name:
                check_texts(name=each)
            return [name[n : n + _AT_ONCE] for n in range(0, len(name), _AT_ONCE)]
        check_texts(name=name, plugin=plugin)
        if name is not None and not is_pattern(name):
            return [name]
        if plugin is not None:
            known_plugin(plugin, {p.name for p in await cluster.plugins(self._db)})
        names = await schedules.selected(self._db, name, plugin)
        if name is not None and not names:
            raise NotFoundError(f"no schedule, nor a job of one, is like '{name}'")
        return [names[n : n + _AT_ONCE] for n in range(0, len(names), _AT_ONCE)]


def _check_version(standing: schedules.LockedSchedule, expect: int | None) -> None:
    """Raise ConflictError when a schedule is of another version than was seen."""
    if expect is not None and standing.version != expect:
        raise ConflictError(
            f"schedule '{standing.name}' is of version {standing.version} by now, not {expect}: "
            "somebody has changed it; nothing was done"
        )


S = TypeVar("S", ScheduleSpec, ScheduleVersion)


def _masked(found: S) -> S:
    return msgspec.structs.replace(found, params=hidden("params", found.params))


def _revision(
    trigger: str | Trigger | None,
    params: Mapping[str, Any] | None,
    start: datetime | UnsetType | None,
    end: datetime | UnsetType | None,
    jitter: Duration | UnsetType | None,
    policies: Mapping[str, Any] | None,
    title: str | UnsetType,
    tags: Iterable[str] | UnsetType,
    reset: Sequence[Part],
    **flags: bool | UnsetType,
) -> ScheduleRevision:
    spread: timedelta | UnsetType | None = UNSET
    if jitter is None or not isinstance(jitter, UnsetType):
        spread = None if jitter is None else parse_spread(jitter) or None
    return ScheduleRevision(
        trigger=None if trigger is None else text_of(trigger),
        params=dict(params or {}),
        start=start,
        end=end,
        jitter=spread,
        policies=dict(policies or {}),
        title=title if isinstance(title, UnsetType) else checked_title(title, "title", "schedule"),
        tags=tags if isinstance(tags, UnsetType) else checked_tags(tags, "schedule"),
        reset=tuple(reset),
        **flags,
    )
